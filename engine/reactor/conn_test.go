package reactor

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"traffic_management/codec"
)

func TestSocketIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(socket{}); n > 250 {
		t.Errorf("a socket takes %d bytes", n)
	}
}

func TestEchoOfManyConnections(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "unix:" + socketPath(t)} {
		l := startLoop(t, Config{})
		listener, _ := serve(t, addr, acceptEcho, l)
		var wg sync.WaitGroup
		for i := range 64 {
			c := dial(t, listener.Addr())
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(i), 7))
				sent := pattern(100_000 + i)
				go func() {
					for b := sent; len(b) > 0; {
						n := min(1+rnd.IntN(9000), len(b))
						c.Write(b[:n])
						b = b[n:]
					}
					c.(interface{ CloseWrite() error }).CloseWrite()
				}()
				got, err := io.ReadAll(c)
				if err != nil || !bytes.Equal(got, sent) {
					t.Errorf("%s: connection %d: %d of %d bytes back, %v", addr, i, len(got), len(sent), err)
				}
			})
		}
		wg.Wait()
	}
}

// relay copies from one connection to the other with counted back-pressure, and passes half-closes on.
type relay struct {
	to    *relay
	conn  Conn
	held  bool
	most  int // the most that was ever queued here
	ended func(error)
}

func (r *relay) OnData() {
	to := r.to
	to.conn.Write(r.conn.In())
	r.conn.Consume(len(r.conn.In()))
	to.most = max(to.most, to.conn.Queued())
	if to.conn.Queued() > codec.HighMark && !r.held {
		r.held = true
		r.conn.Hold(true)
	}
	if r.conn.EOF() {
		to.conn.CloseWrite()
	}
}

func (r *relay) OnDrained() {
	if from := r.to; from.held {
		from.held = false
		from.conn.Hold(false)
	}
}

func (r *relay) OnClosed(err error) { r.ended(err) }

func TestRelayHoldsAFastSourceForASlowReader(t *testing.T) {
	l := startLoop(t, Config{})
	a, b := new(relay), new(relay)
	a.to, b.to = b, a
	aOut, aFD := tcpPair(t)
	bOut, bFD := tcpPair(t)
	fails := make(chan error, 2)
	on(t, l, func() {
		a.ended, b.ended = func(err error) { fails <- err }, func(err error) { fails <- err }
		a.conn, b.conn = l.Attach(aFD, a), l.Attach(bFD, b)
	})
	sent := pattern(48 << 20)
	back := pattern(3 << 20)
	wrote := make(chan error, 2)
	go func() {
		_, err := aOut.Write(sent)
		aOut.CloseWrite()
		wrote <- err
	}()
	// Nothing is read until the source is held, which must come, since the kernel does not hold 48 MB.
	for held := false; !held; {
		on(t, l, func() { held = a.held })
	}
	go func() {
		_, err := bOut.Write(back) // the other direction flows meanwhile
		bOut.CloseWrite()
		wrote <- err
	}()
	if got, err := io.ReadAll(aOut); err != nil || !bytes.Equal(got, back) {
		t.Errorf("back: %d of %d bytes, %v", len(got), len(back), err)
	}
	if got, err := io.ReadAll(bOut); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("there: %d of %d bytes, %v", len(got), len(sent), err)
	}
	for range 2 {
		if err := await(t, wrote); err != nil {
			t.Error(err)
		}
	}
	on(t, l, func() {
		if bound := codec.HighMark + ReadSize; b.most > bound {
			t.Errorf("%d bytes were queued, bound %d", b.most, bound)
		}
		if !a.conn.EOF() || !b.conn.EOF() {
			t.Error("half-close did not reach both sides")
		}
		a.conn.Close(false)
		b.conn.Close(false)
	})
	if len(fails) > 0 {
		t.Error(<-fails)
	}
}

func TestUnconsumedInputStaysContiguous(t *testing.T) {
	l := startLoop(t, Config{})
	var got []byte
	done := make(chan struct{})
	seen := 0
	out := pair(t, l, func(s *sink) {
		s.data = func() {
			// Takes whole records of 1000 bytes only, and checks that what it left is still there.
			in := s.conn.In()
			if len(in) < seen {
				t.Errorf("input shrank from %d to %d", seen, len(in))
			}
			n := len(in) / 1000 * 1000
			got = append(got, in[:n]...)
			s.conn.Consume(n)
			seen = len(in) - n
			if s.conn.EOF() {
				got = append(got, s.conn.In()...)
				s.conn.Close(false)
				close(done)
			}
		}
	})
	sent := pattern(300_777)
	rnd := rand.New(rand.NewPCG(3, 3))
	for b := sent; len(b) > 0; {
		n := min(1+rnd.IntN(2500), len(b))
		if _, err := out.Write(b[:n]); err != nil {
			t.Fatal(err)
		}
		b = b[n:]
	}
	out.CloseWrite()
	await(t, done)
	if !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes, or others", len(got), len(sent))
	}
}

func TestUnconsumedInputIsBounded(t *testing.T) {
	l := startLoop(t, Config{})
	full := make(chan struct{})
	var got []byte
	done := make(chan struct{})
	open := false
	out, fd := tcpPair(t)
	s := attach(t, l, fd, func(s *sink) {
		s.data = func() {
			if open {
				s.take(&got)
			} else if len(s.conn.In()) >= MaxInput {
				if len(s.conn.In()) > MaxInput+2*ReadSize {
					t.Errorf("%d bytes unconsumed", len(s.conn.In()))
				}
				full <- struct{}{}
			}
			if s.conn.EOF() {
				close(done)
			}
		}
	})
	sent := pattern(4 << 20)
	go func() {
		out.Write(sent)
		out.CloseWrite()
	}()
	await(t, full)
	on(t, l, func() {
		open = true
		s.take(&got) // outside OnData: reading must go on by itself
	})
	await(t, done)
	if !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes, or others", len(got), len(sent))
	}
}

func TestHoldLeavesInputInTheKernel(t *testing.T) {
	l := startLoop(t, Config{})
	heard := make(chan string, 10)
	out, fd := tcpPair(t)
	s := attach(t, l, fd, func(s *sink) {
		s.data = func() { heard <- string(s.conn.In()) }
		s.conn.Hold(true)
		s.conn.Hold(true)
	})
	out.Write([]byte("early"))
	out.CloseWrite()
	on(t, l, func() { s.conn.Hold(false) })
	on(t, l, func() {}) // turns pass
	if len(heard) > 0 {
		t.Fatalf("heard %q while one holder was left", <-heard)
	}
	on(t, l, func() {
		s.conn.Hold(false)
		if len(heard) > 0 {
			t.Error("OnData inside the call of Hold")
		}
	})
	for got := ""; got != "early"; got = await(t, heard) {
	}
	// Unconsumed input and the end are told of again after another hold.
	on(t, l, func() { s.conn.Hold(true); s.conn.Hold(false) })
	if got := await(t, heard); got != "early" {
		t.Errorf("%q after a second hold", got)
	}
}

func TestResetIsToldWhileHeld(t *testing.T) {
	l := startLoop(t, Config{})
	closed := make(chan error, 1)
	out := pair(t, l, func(s *sink) {
		s.data = func() { t.Error("OnData while held") }
		s.closed = func(err error) { closed <- err }
		s.conn.Hold(true)
	})
	out.Write([]byte("lost"))
	out.SetLinger(0)
	out.Close()
	if err := await(t, closed); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("closed with %v", err)
	}
}

func TestEndComesWithTheLastBytes(t *testing.T) {
	l := startLoop(t, Config{})
	calls := make(chan string, 10)
	them, us := unixPair(t)
	peer := outsideOf(t, them)
	peer.Write([]byte("last words"))
	peer.Close() // all of it is there before the loop looks
	attach(t, l, us, func(s *sink) {
		s.data = func() {
			text := string(s.conn.In())
			if s.conn.EOF() {
				text += " EOF"
			}
			calls <- text
		}
	})
	if got := await(t, calls); got != "last words EOF" {
		t.Errorf("first call: %q", got)
	}
}

func TestWakeAndSetSink(t *testing.T) {
	l := startLoop(t, Config{})
	first, second := make(chan string, 10), make(chan string, 10)
	out, fd := tcpPair(t)
	s := attach(t, l, fd, func(s *sink) { s.data = func() { first <- string(s.conn.In()) } })
	out.Write([]byte("a"))
	await(t, first)
	on(t, l, func() {
		s.conn.SetSink(&sink{data: func() { second <- string(s.conn.In()) }})
		s.conn.Wake()
		if len(second) > 0 {
			t.Error("OnData inside the call of Wake")
		}
	})
	if got := await(t, second); got != "a" {
		t.Errorf("woken with %q", got)
	}
	out.Write([]byte("b"))
	if got := await(t, second); got != "ab" {
		t.Errorf("then %q", got)
	}
	if len(first) > 0 {
		t.Error("the old sink was called")
	}
}

func TestIdleConnectionHoldsNoBuffer(t *testing.T) {
	l := startLoop(t, Config{})
	told := make(chan struct{}, 1)
	out, fd := tcpPair(t)
	s := attach(t, l, fd, func(s *sink) {
		s.data = func() {
			if len(s.conn.In()) == 10 {
				s.conn.Write(s.conn.In())
				s.conn.Consume(10)
			}
			told <- struct{}{}
		}
	})
	out.Write(make([]byte, 4))
	await(t, told)
	on(t, l, func() {
		if s.conn.(*socket).kept == nil {
			t.Error("unconsumed input has no memory")
		}
	})
	out.Write(make([]byte, 6))
	await(t, told)
	if _, err := io.ReadFull(out, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	on(t, l, func() {
		if k := s.conn.(*socket); k.kept != nil || k.out.head != nil || k.in != nil {
			t.Error("an idle connection holds memory")
		}
	})
}

func TestAddresses(t *testing.T) {
	l := startLoop(t, Config{})
	conns := make(chan Conn, 1)
	accept := func(_ *EventLoop, c Conn) Sink { conns <- c; return new(sink) }
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		listener, _ := serve(t, addr, accept, l)
		out := dial(t, Addr{TCP: loopbackOf(listener)})
		c := await(t, conns)
		on(t, l, func() {
			if got, want := c.Peer(), out.LocalAddr().(*net.TCPAddr).AddrPort(); got != want {
				t.Errorf("%s: peer %v, want %v", addr, got, want)
			}
			if got, want := c.Local(), out.RemoteAddr().(*net.TCPAddr).AddrPort(); got != want {
				t.Errorf("%s: local %v, want %v", addr, got, want)
			}
		})
	}
}
