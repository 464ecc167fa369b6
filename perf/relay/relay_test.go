package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// echo is a backend that sends back what it gets.
func echo(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// start runs a relay for the rest of the test process and returns its address.
func start(t *testing.T, kind string, backend netip.AddrPort) string {
	t.Helper()
	p, err := openPoller(kind)
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRelay(netip.MustParseAddrPort("127.0.0.1:0"), backend, p)
	if err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(r.listener)
	if err != nil {
		t.Fatal(err)
	}
	go p.run(r)
	return fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
}

// TestRelay moves much more than sockets hold, over several connections at the same time, with every poller.
func TestRelay(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for _, kind := range []string{"own", "spin", "gnet", "nested"} {
		t.Run(kind, func(t *testing.T) {
			address := start(t, kind, echo(t))
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					if err := there(address, rand.New(rand.NewPCG(seed, uint64(i)))); err != nil {
						t.Errorf("connection %d: %v", i, err)
					}
				})
			}
			all.Wait()
		})
	}
}

// there sends random bytes, does not read for a while so that queues fill, and checks that they come back.
func there(address string, rng *rand.Rand) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], rng.Uint64())
	sent := make([]byte, 16<<20)
	rand.NewChaCha8(key).Read(sent)
	c.SetDeadline(time.Now().Add(30 * time.Second))
	wrote := make(chan error, 1)
	go func() {
		for rest := sent; len(rest) > 0; {
			n := min(1+rng.IntN(1<<20), len(rest))
			if _, err := c.Write(rest[:n]); err != nil {
				wrote <- err
				return
			}
			rest = rest[n:]
		}
		wrote <- nil
	}()
	got := make([]byte, len(sent))
	if n, err := io.ReadFull(c, got); err != nil {
		return fmt.Errorf("after %d bytes: %w", n, err)
	}
	if !bytes.Equal(sent, got) {
		return fmt.Errorf("other bytes came back")
	}
	return <-wrote
}

// TestClosesBoth holds that the end of one side ends the other, and that a backend that is not there ends the client.
func TestClosesBoth(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := start(t, "own", l.Addr().(*net.TCPAddr).AddrPort())
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s.SetDeadline(time.Now().Add(10 * time.Second))
	c.Close()
	if _, err := s.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the backend sees %v, want the end", err)
	}
	s.Close()
	l.Close()
	if c, err = net.Dial("tcp", address); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a client without backend is not closed")
	}
}

func TestUnknownPoller(t *testing.T) {
	if _, err := openPoller("select"); err == nil {
		t.Error("taken")
	}
}
