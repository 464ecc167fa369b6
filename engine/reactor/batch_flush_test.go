package reactor

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"traffic_management/codec"
)

// TestShortSendsInABatch: every connection gathers output that its peer does not take for many turns.
func TestShortSendsInABatch(t *testing.T) {
	l := stepper(t)
	all := members(t, l, 9, nil)
	piece := pattern(gatherLimit - 1000)
	for i, m := range all {
		unix.SetsockoptInt(int(m.conn.(*socket).fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 8<<10+i*3000)
	}
	turns := 0
	for blocked := 0; blocked < len(all); turns++ {
		blocked = 0
		for _, m := range all {
			m.conn.Write(piece)
			if m.conn.Queued() > codec.HighMark {
				blocked++
			}
		}
		l.turn()
	}
	want := bytes.Repeat(piece, turns)
	buf := make([]byte, ReadSize)
	for i, m := range all {
		var got []byte
		for len(got) < len(want) {
			n, errno := recv(int32(m.peer), buf)
			if errno == unix.EAGAIN {
				if worked, _ := l.turn(); !worked {
					t.Fatalf("connection %d stuck at %d of %d bytes", i, len(got), len(want))
				}
			}
			got = append(got, buf[:n]...)
		}
		if !bytes.Equal(got, want) || m.conn.Queued() != 0 {
			t.Errorf("connection %d: other bytes, %d queued", i, m.conn.Queued())
		}
	}
}

// TestFlushOfABatch sends for many at the end of one turn, among them some that are not to be sent for.
func TestFlushOfABatch(t *testing.T) {
	l := stepper(t)
	all := members(t, l, 8, nil)
	aborted, refused, shut, closed, large := all[0], all[1], all[2], all[3], all[4]
	for _, m := range all {
		m.conn.Write([]byte("output"))
	}
	aborted.conn.Abort()
	unix.Close(refused.peer)
	shut.conn.CloseWrite()
	closed.conn.Close(false)
	large.conn.Write(pattern(10_000)) // gathered in several pieces
	settleTurns(l)
	for i, m := range all {
		if m == refused {
			if len(m.fate) != 1 || !errors.Is(m.fate[0], syscall.EPIPE) {
				t.Errorf("refused: %v", m.fate)
			}
			continue
		}
		want := "output"
		switch m {
		case aborted:
			want = ""
		case large:
			want += string(pattern(10_000))
		}
		got := make([]byte, len(want)+1)
		n, errno := recv(int32(m.peer), got)
		if string(got[:n]) != want || errno != 0 || len(m.fate) != 0 {
			t.Errorf("connection %d: peer got %d bytes, want %d, %v; fate %v", i, n, len(want), errno, m.fate)
		}
		_, errno = recv(int32(m.peer), got) // an end, or nothing yet
		if ended := m == aborted || m == shut || m == closed; ended != (errno == 0) {
			t.Errorf("connection %d: then %v", i, errno)
		}
	}
	if n := l.Stats().Open.Load(); n != 5 {
		t.Errorf("%d open", n)
	}
}

// TestPanicBehindAFlush: a sink panics when it hears that the flush of a batch failed for its connection.
func TestPanicBehindAFlush(t *testing.T) {
	panics := 0
	l := newLoop(t, Config{OnPanic: func(v any, _ []byte) {
		if panics++; panics > 1 || fmt.Sprint(v) != "in OnClosed" {
			t.Fatalf("panic %d: %v", panics, v)
		}
	}})
	t.Cleanup(l.end)
	all := members(t, l, 6, nil)
	failing := all[2]
	failing.conn.SetSink(&sink{closed: func(error) { panic("in OnClosed") }})
	failing.conn.Hold(true) // so that the failure ends it at once
	unix.Close(failing.peer)
	for _, m := range all {
		m.conn.Write([]byte("output"))
	}
	settleTurns(l)
	if panics != 1 {
		t.Errorf("%d panics", panics)
	}
	for _, m := range all {
		if b := make([]byte, 10); m != failing {
			if n, errno := recv(int32(m.peer), b); string(b[:n]) != "output" || errno != 0 {
				t.Errorf("peer got %q, %v", b[:n], errno)
			}
		}
	}
}

// TestRingGivenUp breaks the ring before a batch is received, or before one is sent: all goes on without it.
func TestRingGivenUp(t *testing.T) {
	if plain {
		t.Skip("no ring in this mode")
	}
	for _, where := range []string{"before receiving", "before sending"} {
		l := stepper(t)
		all := members(t, l, 10, func(m *member) {
			if where == "before sending" && l.ring != nil && len(l.flushes) == 0 {
				breakRing(t, l.ring)
			}
			m.conn.Write(m.conn.In())
		})
		if where == "before receiving" {
			breakRing(t, l.ring)
		}
		for round := range 3 {
			for i, m := range all {
				unix.Write(m.peer, fmt.Appendf(nil, "%d in round %d", i, round))
			}
			l.turn()
			for i, m := range all {
				b := make([]byte, 100)
				n, errno := recv(int32(m.peer), b)
				if want := fmt.Sprintf("%d in round %d", i, round); string(b[:n]) != want || m.told != round+1 {
					t.Errorf("%s: %q, %v came back, want %q; told %d times", where, b[:n], errno, want, m.told)
				}
			}
		}
		if l.ring != nil {
			t.Errorf("%s: the ring is still used", where)
		}
	}
}

func TestBatchAllocatesNothing(t *testing.T) {
	l := stepper(t)
	all := members(t, l, earlySlots+10, func(m *member) { m.conn.Write(m.conn.In()) })
	round := echoRound(t, l, all, pattern(700))
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
