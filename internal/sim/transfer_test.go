package sim

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"traffic_management/codec"
	"traffic_management/internal/invariant"
)

// Both sides send in writes of any size; each gets the other's bytes, then its end, in this order.
func TestTransferAndHalfClose(t *testing.T) {
	eachSeed(t, func(t *testing.T, l *Loop) {
		a, b := pair(t, l)
		toB, toA := content(50_000, 1), content(30_000, 2)
		for _, side := range []struct {
			from, to *peer
			bytes    []byte
		}{{a, b, toB}, {b, a, toA}} {
			side.to.onData = func() {
				if side.to.conn.EOF() && len(side.to.got)+len(side.to.conn.In()) != len(side.bytes) {
					t.Fatalf("%s saw the end after %d of %d bytes", side.to.name, len(side.to.got), len(side.bytes))
				}
				side.to.takeAll()
			}
			for rest := side.bytes; len(rest) > 0; {
				n := 1 + l.rnd.IntN(len(rest))
				side.from.conn.Writev([][]byte{rest[:n/2], nil, rest[n/2 : n]})
				rest = rest[n:]
				if l.rnd.IntN(2) == 0 {
					l.Run()
				}
			}
			side.from.conn.CloseWrite()
			side.from.conn.Write([]byte("dropped: behind the end"))
			l.Run()
			same(t, side.to.name, side.to.got, side.bytes)
			if !side.to.conn.EOF() {
				t.Fatalf("%s saw no end", side.to.name)
			}
		}
		if a.err != nil || b.err != nil {
			t.Fatalf("closed: %v, %v", a.err, b.err)
		}
	})
}

// What is written is copied before the call returns.
func TestWrittenBytesAreCopied(t *testing.T) {
	eachSeed(t, func(t *testing.T, l *Loop) {
		a, b := pair(t, l)
		want := content(40_000, 3)
		buf := slices.Clone(want)
		a.conn.Write(buf[:10])
		a.conn.Write(buf[10:])
		clear(buf)
		l.Run()
		same(t, "b", b.got, want)
	})
}

// A held connection is not read: its peer's queue grows, the kernel holds no more than the window, and OnDrained comes
// once, when the queue has fallen to the low mark.
func TestBackPressure(t *testing.T) {
	eachSeed(t, func(t *testing.T, l *Loop) {
		a, b := pair(t, l)
		l.Net.Window = min(l.Net.Window, 32<<10)
		b.conn.Hold(true)
		want := content(200_000, 4)
		a.conn.Write(want)
		a.onDrained = func() {
			if q := a.conn.Queued(); q > codec.LowMark {
				t.Fatalf("drained with %d bytes queued", q)
			}
		}
		l.Run()
		if b.count("data") != 0 {
			t.Fatal("a held connection heard OnData")
		}
		if q := a.conn.Queued(); q < len(want)-l.Net.Window {
			t.Fatalf("%d bytes queued of %d, window %d", q, len(want), l.Net.Window)
		}
		if a.drains != 0 {
			t.Fatal("drained while nobody reads")
		}
		b.conn.Hold(false)
		l.Run()
		same(t, "b", b.got, want)
		if a.drains != 1 || a.conn.Queued() != 0 {
			t.Fatalf("drained %d times, %d bytes queued", a.drains, a.conn.Queued())
		}
	})
}

// A queue that never passes the high mark is not reported as drained; small output that is only gathered is not queued.
func TestNoDrainBelowHighMark(t *testing.T) {
	eachSeed(t, func(t *testing.T, l *Loop) {
		a, b := pair(t, l)
		a.conn.Write(make([]byte, 1000))
		if q := a.conn.Queued(); q != 0 {
			t.Fatalf("%d gathered bytes count as queued", q)
		}
		b.conn.Hold(true)
		a.conn.Write(make([]byte, codec.HighMark-1000))
		l.Run()
		b.conn.Hold(false)
		l.Run()
		if a.drains != 0 || len(b.got) != codec.HighMark {
			t.Fatalf("drained %d times, %d bytes arrived", a.drains, len(b.got))
		}
	})
}

// Holds are counted; a connection that was resumed hears what came meanwhile; the end is not seen while held.
func TestHoldIsCounted(t *testing.T) {
	eachSeed(t, func(t *testing.T, l *Loop) {
		a, b := pair(t, l)
		b.conn.Hold(true)
		b.conn.Hold(true)
		a.conn.Write([]byte("held"))
		a.conn.CloseWrite()
		l.Run()
		b.conn.Hold(false)
		l.Run()
		if b.heard != nil || b.conn.EOF() {
			t.Fatalf("heard %v, end %v with a holder left", b.heard, b.conn.EOF())
		}
		b.conn.Hold(false)
		l.Run()
		if string(b.got) != "held" || !b.conn.EOF() {
			t.Fatalf("got %q, end %v", b.got, b.conn.EOF())
		}
	})
}

func TestHoldFalseWithoutHolder(t *testing.T) {
	l := NewLoop(1)
	a, _ := pair(t, l)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	a.conn.Hold(false)
}

// Input that is not consumed stays and is contiguous with what follows; a resumed connection hears of it again.
func TestUnconsumedInputStays(t *testing.T) {
	eachSeed(t, func(t *testing.T, l *Loop) {
		a, b := pair(t, l)
		want := content(3000, 5)
		seen := 0
		b.onData = func() {
			in := b.conn.In()
			if len(in) < seen {
				t.Fatalf("In shrank from %d to %d", seen, len(in))
			}
			seen = len(in)
		}
		for rest := want; len(rest) > 0; rest = rest[300:] {
			a.conn.Write(rest[:300])
			l.Run()
		}
		same(t, "In", b.conn.In(), want)
		calls := b.count("data")
		b.conn.Hold(true)
		b.conn.Hold(false)
		l.Run()
		if b.count("data") != calls+1 {
			t.Fatal("a resumed connection with input did not hear OnData")
		}
		b.conn.Consume(1000)
		same(t, "In after Consume", b.conn.In(), want[1000:])
	})
}

// A sink that consumes nothing is not read beyond reactor.MaxInput, and is read on when it consumes.
func TestUnconsumedInputIsBounded(t *testing.T) {
	l := NewLoop(1)
	l.Net.Piece = 64 << 10
	a, b := pair(t, l)
	b.onData = func() {}
	want := content(1<<20, 6)
	a.conn.Write(want)
	l.Run()
	if n := len(b.conn.In()); n < 128<<10 || n >= 192<<10 {
		t.Fatalf("%d bytes in", n)
	}
	b.onData = b.takeAll
	b.takeAll()
	l.Run()
	same(t, "b", b.got, want)
}

// A slice of In is overwritten in checked builds when OnData returns, and when Consume is called.
func TestLentBytesArePoisoned(t *testing.T) {
	if !invariant.Enabled {
		t.Skip("needs -tags invariants")
	}
	for _, c := range []struct {
		name  string
		leave func(b *peer)
	}{
		{"nothing consumed", func(*peer) {}},
		{"some consumed", func(b *peer) { b.conn.Consume(2) }},
		{"all consumed", func(b *peer) { b.conn.Consume(4) }},
		{"aborted", func(b *peer) { b.conn.Abort() }},
		{"closed", func(b *peer) { b.conn.Close(true) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := NewLoop(1)
			l.Net = Net{Window: 100, Piece: 4}
			a, b := pair(t, l)
			var kept []byte
			b.onData = func() {
				if in := b.conn.In(); len(in) == 4 {
					kept = in
					c.leave(b)
				}
			}
			a.conn.Write([]byte("four"))
			l.Run()
			if !bytes.Equal(kept, bytes.Repeat([]byte{invariant.PoisonByte}, 4)) {
				t.Errorf("kept bytes read %q", kept)
			}
		})
	}
	l := NewLoop(1)
	a, b := pair(t, l)
	b.onData = func() {
		in := b.conn.In()
		b.conn.Consume(1)
		if in[0] != invariant.PoisonByte || bytes.IndexByte(b.conn.In(), invariant.PoisonByte) >= 0 {
			t.Errorf("after Consume the old slice reads %q, In %q", in, b.conn.In())
		}
	}
	a.conn.Write([]byte("x"))
	l.Run()
	if b.count("data") == 0 {
		t.Error("OnData was not called")
	}
}

// Wake makes OnData come once more, not at once, and not while held.
func TestWake(t *testing.T) {
	l := NewLoop(1)
	a, _ := pair(t, l)
	a.conn.Wake()
	a.conn.Wake()
	if len(a.heard) != 0 {
		t.Fatal("called inside Wake")
	}
	l.Run()
	if n := a.count("data"); n != 1 {
		t.Fatalf("OnData came %d times", n)
	}
	a.conn.Hold(true)
	a.conn.Wake()
	l.Run()
	if n := a.count("data"); n != 1 {
		t.Fatalf("OnData came while held, %d times in all", n)
	}
}

// The new sink hears what comes from now on.
func TestSetSink(t *testing.T) {
	l := NewLoop(1)
	a, b := pair(t, l)
	a.conn.Write([]byte("one"))
	l.Run()
	second := newPeer(t, "second")
	second.conn = b.conn
	b.conn.SetSink(second)
	a.conn.Write([]byte("two"))
	l.Run()
	if string(b.got) != "one" || string(second.got) != "two" {
		t.Errorf("first sink got %q, second %q", b.got, second.got)
	}
}

// What comes while a socket is detached waits for Attach.
func TestDetachAttach(t *testing.T) {
	eachSeed(t, func(t *testing.T, l *Loop) {
		a, b := pair(t, l)
		a.conn.Write([]byte("before "))
		l.Run()
		fd, ok := b.conn.Detach()
		if !ok {
			t.Fatal("an idle connection could not be detached")
		}
		a.conn.Write([]byte("meanwhile "))
		if l.rnd.IntN(2) == 0 {
			l.Run()
		}
		b.conn.Write([]byte("the old one is dead"))
		second := newPeer(t, "second")
		second.conn = l.Attach(fd, second)
		a.conn.Write([]byte("after"))
		second.conn.Write([]byte("answer"))
		l.Run()
		if string(b.got) != "before " || string(second.got) != "meanwhile after" || string(a.got) != "answer" {
			t.Fatalf("got %q, then %q; answered %q", b.got, second.got, a.got)
		}
		if second.conn.Peer() != b.conn.Peer() || l.Open() != 2 {
			t.Fatalf("peer %v, %d ends open", second.conn.Peer(), l.Open())
		}
	})
}

func TestDetachRefused(t *testing.T) {
	for name, prepare := range map[string]func(l *Loop, a, b *peer){
		"input":    func(l *Loop, a, b *peer) { a.onData = func() {}; b.conn.Write([]byte("x")); l.Run() },
		"gathered": func(l *Loop, a, b *peer) { a.conn.Write([]byte("x")) },
		"queued":   func(l *Loop, a, b *peer) { b.conn.Hold(true); a.conn.Write(make([]byte, 1<<20)) },
		"end":      func(l *Loop, a, b *peer) { b.conn.CloseWrite(); l.Run() },
		"closed":   func(l *Loop, a, b *peer) { a.conn.Close(true) },
	} {
		t.Run(name, func(t *testing.T) {
			l := NewLoop(1)
			a, b := pair(t, l)
			prepare(l, a, b)
			if _, ok := a.conn.Detach(); ok {
				t.Error("detached")
			}
		})
	}
	l := NewLoop(1)
	p := newPeer(t, "p")
	p.conn = l.Attach(77, p)
	l.Run()
	if p.err == nil {
		t.Error("a descriptor that nobody detached was attached")
	}
}

// Equal seeds give equal runs, others differ.
func TestSeedDecides(t *testing.T) {
	run := func(seed uint64) string {
		l := NewLoop(seed)
		l.Net.Piece, l.Net.Window = 1000, 5000
		a, b := pair(t, l)
		var trace []byte
		b.onData = func() {
			trace = fmt.Appendf(trace, "%d@%d ", len(b.conn.In()), l.Now())
			b.takeAll()
		}
		a.conn.Write(content(20_000, 7))
		l.Run()
		return string(trace)
	}
	first, second := run(1), run(1)
	if first != second {
		t.Error("the same seed gave two traces")
	}
	if first == run(2) {
		t.Error("two seeds gave one trace")
	}
}
