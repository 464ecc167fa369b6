package socket

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair is a connection to ourselves.
func pair(t *testing.T, at string) (client, server int) {
	t.Helper()
	l, err := Listen(netip.MustParseAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(l)
	if _, err := Accept(l); err != unix.EAGAIN {
		t.Fatalf("accept of nothing: %v", err)
	}
	name, err := unix.Getsockname(l)
	if err != nil {
		t.Fatal(err)
	}
	to := netip.MustParseAddrPort(at)
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		to = netip.AddrPortFrom(to.Addr(), uint16(a.Port))
	case *unix.SockaddrInet6:
		to = netip.AddrPortFrom(to.Addr(), uint16(a.Port))
	}
	if client, err = Dial(to); err != nil {
		t.Fatal(err)
	}
	if server, err = Accept(l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(client); unix.Close(server) })
	return client, server
}

func TestSendAndReceive(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		if at[0] == '[' && !hasIPv6() {
			t.Log("no IPv6 here")
			continue
		}
		c, s := pair(t, at)
		buf := make([]byte, 16)
		if n, errno := Recv(s, buf); n != 0 || errno != unix.EAGAIN {
			t.Errorf("%s: nothing sent: %d, %v", at, n, errno)
		}
		if n, errno := Send(c, []byte("hello")); n != 5 || errno != 0 {
			t.Errorf("%s: sent %d, %v", at, n, errno)
		}
		if n, errno := Recv(s, buf); string(buf[:n]) != "hello" || errno != 0 {
			t.Errorf("%s: received %q, %v", at, buf[:n], errno)
		}
		unix.Shutdown(c, unix.SHUT_WR)
		if n, errno := Recv(s, buf); n != 0 || errno != 0 {
			t.Errorf("%s: at the end: %d, %v", at, n, errno)
		}
	}
}

func hasIPv6() bool {
	fd, err := Listen(netip.MustParseAddrPort("[::1]:0"))
	if err == nil {
		unix.Close(fd)
	}
	return err == nil
}

// TestGather sends more buffers than one call takes, some empty, and then to a peer that is gone.
func TestGather(t *testing.T) {
	c, s := pair(t, "127.0.0.1:0")
	var g Gather
	var bufs [][]byte
	for range 70 {
		bufs = append(bufs, []byte("ab"), nil)
	}
	n, errno := g.Send(c, bufs)
	if n != 64 || errno != 0 {
		t.Fatalf("sent %d, %v; want the 32 of the first 64 that are not empty", n, errno)
	}
	buf := make([]byte, 1000)
	if n, _ := Recv(s, buf); !bytes.Equal(buf[:n], bytes.Repeat([]byte("ab"), 32)) {
		t.Errorf("received %q", buf[:n])
	}
	unix.SetsockoptLinger(s, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(s)
	if _, errno := g.Send(c, bufs); errno != unix.ECONNRESET && errno != unix.EPIPE {
		t.Errorf("to a peer that is gone: %v", errno)
	}
}

func TestSet(t *testing.T) {
	c, s := pair(t, "127.0.0.1:0")
	set, err := NewSet()
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Add(s, Both); err != nil {
		t.Fatal(err)
	}
	if err := set.Add(s, Both); err == nil {
		t.Error("the same descriptor is added twice")
	}
	if ready, err := set.Poll(); err != nil || len(ready) != 1 || ready[0].Events != unix.EPOLLOUT || int(ready[0].Fd) != s {
		t.Errorf("a fresh connection: %v, %v", ready, err)
	}
	begun := time.Now()
	if ready, err := set.WaitFor(3 * time.Millisecond); err != nil || len(ready) != 0 || time.Since(begun) < 3*time.Millisecond {
		t.Errorf("nothing new: %v, %v after %v", ready, err, time.Since(begun))
	}
	Send(c, []byte("x"))
	if ready, err := set.Wait(1000); err != nil || len(ready) != 1 || ready[0].Events&unix.EPOLLIN == 0 {
		t.Errorf("input: %v, %v", ready, err)
	}
	unix.Shutdown(c, unix.SHUT_WR)
	if ready, err := set.WaitFor(time.Second); err != nil || len(ready) != 1 || ready[0].Events&Ended == 0 {
		t.Errorf("end: %v, %v", ready, err)
	}
}
