package sim

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"traffic_management/engine/reactor"
)

func TestDial(t *testing.T) {
	for _, at := range []reactor.Addr{tcpAddress, unixAddress} {
		t.Run(at.String(), func(t *testing.T) {
			eachSeed(t, func(t *testing.T, l *Loop) {
				client, server := newPeer(t, "client"), newPeer(t, "server")
				l.Listen(at, func(c reactor.Conn) reactor.Sink {
					server.conn = c
					c.Write([]byte("hello "))
					return server
				})
				client.conn = l.Dial(at, client)
				client.conn.Write([]byte("early"))
				if q := client.conn.Queued(); q != 5 || len(client.heard) != 0 {
					t.Fatalf("%d bytes queued before the connection is open, heard %v", q, client.heard)
				}
				l.Run()
				if client.drains != 1 || client.heard[0] != "drained" || server.drains != 0 {
					t.Fatalf("client heard %v, server %v", client.heard, server.heard)
				}
				if string(server.got) != "early" || string(client.got) != "hello " {
					t.Fatalf("server got %q, client %q", server.got, client.got)
				}
				if client.conn.Peer() != at.TCP || server.conn.Local() != at.TCP ||
					client.conn.Local() != server.conn.Peer() {
					t.Fatalf("addresses: %v %v, %v %v", client.conn.Local(), client.conn.Peer(),
						server.conn.Local(), server.conn.Peer())
				}
			})
		})
	}
}

func TestDialFails(t *testing.T) {
	eachSeed(t, func(t *testing.T, l *Loop) {
		refused := newPeer(t, "refused")
		refused.conn = l.Dial(tcpAddress, refused)
		if refused.err != nil {
			t.Fatal("OnClosed inside Dial")
		}
		l.Hang(unixAddress)
		hanging := newPeer(t, "hanging")
		hanging.conn = l.Dial(unixAddress, hanging)
		l.Run()
		if !errors.Is(refused.err, unix.ECONNREFUSED) {
			t.Fatalf("dial of an address nobody listens on: %v", refused.err)
		}
		l.Advance(time.Hour)
		if len(hanging.heard) != 0 {
			t.Fatalf("a hanging dial heard %v", hanging.heard)
		}
		hanging.conn.Abort()
		l.Run()
		if len(hanging.heard) != 0 || l.Open() != 0 {
			t.Fatalf("after Abort: heard %v, %d ends open", hanging.heard, l.Open())
		}
	})
}

func TestUnlistenRefusesAgain(t *testing.T) {
	l := NewLoop(1)
	client, server := dialled(t, l, tcpAddress)
	l.Unlisten(tcpAddress)
	late := newPeer(t, "late")
	late.conn = l.Dial(tcpAddress, late)
	client.conn.Write([]byte("still open"))
	l.Run()
	if !errors.Is(late.err, unix.ECONNREFUSED) || string(server.got) != "still open" {
		t.Errorf("late dial: %v; the open connection got %q", late.err, server.got)
	}
}

func TestAcceptTurnsAway(t *testing.T) {
	l := NewLoop(1)
	l.Listen(tcpAddress, func(reactor.Conn) reactor.Sink { return nil })
	p := newPeer(t, "p")
	p.conn = l.Dial(tcpAddress, p)
	l.Run()
	wantReset(t, p)
	if l.Open() != 0 {
		t.Errorf("%d ends open", l.Open())
	}
}

// A dial that is given up reaches the listener as a connection that is reset, or not at all.
func TestDialGivenUp(t *testing.T) {
	eachSeed(t, func(t *testing.T, l *Loop) {
		server := newPeer(t, "server")
		l.Listen(tcpAddress, func(c reactor.Conn) reactor.Sink {
			server.conn = c
			return server
		})
		client := newPeer(t, "client")
		client.conn = l.Dial(tcpAddress, client)
		if l.rnd.IntN(2) == 0 {
			l.turn()
		}
		client.conn.Abort()
		l.Run()
		if server.conn != nil {
			wantReset(t, server)
		}
		if l.Open() != 0 || client.err != nil {
			t.Fatalf("%d ends open, client heard %v", l.Open(), client.heard)
		}
	})
}

// A peer sees an abort as a reset, even while it is held; who aborts hears nothing more.
func TestAbort(t *testing.T) {
	eachSeed(t, func(t *testing.T, l *Loop) {
		a, b := pair(t, l)
		if l.rnd.IntN(2) == 0 {
			b.conn.Hold(true)
		}
		a.conn.Write(make([]byte, 100_000))
		b.conn.Write([]byte("to a"))
		a.conn.Abort()
		l.Run()
		wantReset(t, b)
		if len(a.heard) != 0 || l.Open() != 0 {
			t.Fatalf("a heard %v, %d ends open", a.heard, l.Open())
		}
		a.conn.Write([]byte("x"))
		a.conn.Close(true)
		b.conn.Abort()
		l.Run()
	})
}

// Who closes between a failure and OnClosed does not hear of the failure.
func TestAbortBeforeOnClosed(t *testing.T) {
	for _, closeIt := range []func(c reactor.Conn){reactor.Conn.Abort, func(c reactor.Conn) { c.Close(true) }} {
		l := NewLoop(1)
		a, b := pair(t, l)
		a.conn.Abort()
		// The reset arrives in a turn in which, before OnClosed, deferred code of b closes.
		for b.conn.(*conn).phase.hears() && len(l.packets) > 0 {
			l.now = max(l.now, l.packets[0].at)
			p := l.packets[0]
			l.packets = l.packets[1:]
			l.Defer(func() { closeIt(b.conn) })
			p.arrive()
			l.settle()
		}
		if len(b.heard) != 0 {
			t.Errorf("b heard %v", b.heard)
		}
	}
}

// Close sends what is queued, then the end, and hears nothing more.
func TestClose(t *testing.T) {
	eachSeed(t, func(t *testing.T, l *Loop) {
		a, b := pair(t, l)
		want := content(100_000, 1)
		a.conn.Write(want)
		a.conn.Close(l.rnd.IntN(2) == 0)
		l.Run()
		same(t, "b", b.got, want)
		if !b.conn.EOF() || b.err != nil {
			t.Fatalf("b: end %v, error %v", b.conn.EOF(), b.err)
		}
		b.conn.Close(false)
		l.Run()
		if len(a.heard) != 0 || l.Open() != 0 {
			t.Fatalf("a heard %v, %d ends open", a.heard, l.Open())
		}
	})
}

// A peer that goes on sending gets our last bytes when we linger, and may lose them when we do not.
func TestCloseWhilePeerSends(t *testing.T) {
	run := func(t *testing.T, l *Loop, linger bool) (whole bool) {
		l.Net.Window = min(l.Net.Window, 32<<10)
		a, b := pair(t, l)
		last := content(2000, 1)
		b.conn.Hold(true) // the peer reads our last bytes only when it has sent everything
		b.conn.Write(content(100_000, 2))
		a.onData = func() {
			a.conn.Write(last)
			a.conn.Close(linger)
		}
		l.Run()
		if b.err != nil {
			if linger {
				t.Fatalf("a lingering close reset its peer: %v", b.err)
			}
			return false
		}
		if linger && b.conn.Queued() != 0 {
			t.Fatalf("a lingering connection did not read: %d bytes queued", b.conn.Queued())
		}
		b.conn.Hold(false)
		l.Run()
		same(t, "b", b.got, last)
		b.conn.Close(false)
		l.Run()
		if l.Open() != 0 {
			t.Fatalf("%d ends open", l.Open())
		}
		return true
	}
	lost := 0
	eachSeed(t, func(t *testing.T, l *Loop) { run(t, l, true) })
	eachSeed(t, func(t *testing.T, l *Loop) {
		if !run(t, l, false) {
			lost++
		}
	})
	if lost == 0 {
		t.Error("closing without lingering never lost anything")
	}
}

// What arrived while we were held and is not read makes a plain close a reset; a lingering one reads and drops it.
func TestCloseWithUnreadInput(t *testing.T) {
	for _, linger := range []bool{false, true} {
		t.Run(fmt.Sprintf("linger %v", linger), func(t *testing.T) {
			eachSeed(t, func(t *testing.T, l *Loop) {
				a, b := pair(t, l)
				a.conn.Hold(true)
				b.conn.Write([]byte("unread"))
				b.conn.CloseWrite()
				l.Run()
				a.conn.Write([]byte("last"))
				a.conn.Close(linger)
				l.Run()
				if !linger {
					wantReset(t, b)
				} else if b.err != nil || string(b.got) != "last" || !b.conn.EOF() {
					t.Fatalf("b got %q, end %v, error %v", b.got, b.conn.EOF(), b.err)
				} else if l.Open() != 1 {
					t.Fatalf("both sides have ended, %d ends open", l.Open())
				}
			})
		})
	}
}

// A lingering close ends after LingerTime; one whose peer takes nothing after WriteOutTime.
func TestCloseIsBounded(t *testing.T) {
	for _, c := range []struct {
		name  string
		write int
		limit time.Duration
		left  int // ends open then; the peer of one that lost output sees a reset
	}{
		{"lingering", 0, reactor.LingerTime, 1},
		{"queued", 1 << 20, reactor.WriteOutTime, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachSeed(t, func(t *testing.T, l *Loop) {
				a, b := pair(t, l)
				b.conn.Hold(true)
				a.conn.Write(make([]byte, c.write))
				l.Run()
				a.conn.Close(true)
				l.Advance(c.limit - time.Millisecond)
				if l.Open() != 2 {
					t.Fatalf("%d ends open before the limit", l.Open())
				}
				l.Advance(time.Millisecond + reactor.Tick)
				if l.Open() != c.left {
					t.Fatalf("%d ends open after the limit", l.Open())
				}
			})
		})
	}
}

// A connection that something between the peers resets ends for both of them, whatever they are doing.
func TestRandomResets(t *testing.T) {
	broken := 0
	eachSeed(t, func(t *testing.T, l *Loop) {
		l.Net.Piece, l.Net.Reset = 2000, 300
		a, b := pair(t, l)
		want := content(40_000, 1)
		a.conn.Write(want)
		b.conn.Write(want)
		l.Run()
		if (a.err == nil) != (b.err == nil) {
			t.Fatalf("one side only was reset: %v, %v", a.err, b.err)
		}
		if a.err == nil {
			same(t, "b", b.got, want)
			return
		}
		broken++
		wantReset(t, a)
		wantReset(t, b)
		if string(b.got) != string(want[:len(b.got)]) || l.Open() != 0 {
			t.Fatalf("b got other bytes than were sent, or %d ends stay open", l.Open())
		}
	})
	if broken == 0 || broken == seeds {
		t.Errorf("%d of %d connections were reset", broken, seeds)
	}
}
