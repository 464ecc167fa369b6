package reactor

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// member is one of many connections of a stepped loop that are ready in one turn, and what it heard.
type member struct {
	conn Conn
	peer int // the other end, not blocking
	act  func(m *member)
	got  []byte
	told int
	end  bool
	fate []error
}

func (m *member) OnData() {
	m.told++
	if m.act != nil {
		m.act(m)
	}
	m.got = append(m.got, m.conn.In()...)
	m.conn.Consume(len(m.conn.In()))
	m.end = m.end || m.conn.EOF()
}
func (m *member) OnDrained()         {}
func (m *member) OnClosed(err error) { m.fate = append(m.fate, err) }

// members are n connections of l; all call act when they are told something.
func members(t testing.TB, l *EventLoop, n int, act func(m *member)) []*member {
	all := make([]*member, n)
	for i := range all {
		us, them := unixPair(t)
		closeAtEnd(t, them)
		all[i] = &member{peer: them, act: act}
		all[i].conn = l.Attach(us, all[i])
	}
	settleTurns(l) // what Attach itself reports
	return all
}

// settleTurns makes turns until there is nothing to do.
func settleTurns(l *EventLoop) {
	for worked := true; worked; {
		worked, _ = l.turn()
	}
}

// hearsEarly checks that the input of m was received before its event, where there is a ring.
func hearsEarly(t *testing.T, m *member) {
	t.Helper()
	if s := m.conn.(*socket); (s.early != 0) == plain {
		t.Errorf("early is %d, plain %v", s.early, plain)
	}
}

// TestFirstOfABatchActsOnAnother: input of several sockets was received together, and the first sink that is told does
// something to another whose input waits.
func TestFirstOfABatchActsOnAnother(t *testing.T) {
	heir := new(member)
	for _, c := range []struct {
		name  string
		act   func(victim *member)
		told  int // of the turn
		later func(victim *member)
		got   string // by the end
	}{
		{"nothing", func(*member) {}, 1, nil, "input"},
		{"hold", func(v *member) { v.conn.Hold(true) }, 0, func(v *member) { v.conn.Hold(false) }, "input"},
		{"hold and let go", func(v *member) { v.conn.Hold(true); v.conn.Hold(false) }, 1, nil, "input"},
		{"wake", func(v *member) { v.conn.Wake() }, 1, nil, "input"},
		{"half-close", func(v *member) { v.conn.CloseWrite() }, 1, nil, "input"},
		{"abort", func(v *member) { v.conn.Abort() }, 0, nil, ""},
		{"close", func(v *member) { v.conn.Close(false) }, 0, nil, ""},
		{"close, lingering", func(v *member) { v.conn.Close(true) }, 0, func(v *member) { unix.Close(v.peer) }, ""},
		{"close behind output", func(v *member) { v.conn.Write([]byte("x")); v.conn.Close(true) }, 0,
			func(v *member) { unix.Close(v.peer) }, ""},
		{"new sink", func(v *member) { heir.conn = v.conn; v.conn.SetSink(heir) }, 0, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := stepper(t)
			var all []*member
			var first, victim *member
			all = members(t, l, 4, func(m *member) {
				if first == nil {
					first, victim = m, all[0]
					if victim == m {
						victim = all[1]
					}
					hearsEarly(t, victim)
					c.act(victim)
				}
			})
			for _, m := range all {
				unix.Write(m.peer, []byte("input"))
			}
			l.turn()
			if victim == nil || victim.told != c.told {
				t.Fatalf("victim %+v, want told %d times in the turn", victim, c.told)
			}
			if c.later != nil {
				c.later(victim)
			}
			settleTurns(l)
			for _, m := range all {
				want := "input"
				if m == victim {
					want = c.got
				}
				if string(m.got) != want || len(m.fate) != 0 || m.told != min(len(want), 1) {
					t.Errorf("victim: %v: heard %q in %d calls, %v", m == victim, m.got, m.told, m.fate)
				}
			}
			if open := l.Stats().Open.Load(); c.got == "" && heir.conn != victim.conn && open != 3 {
				t.Errorf("%d open", open)
			}
		})
	}
	if string(heir.got) != "input" || heir.told != 1 {
		t.Errorf("the new sink heard %q in %d calls", heir.got, heir.told)
	}
}

// TestDetachFromABatch: a socket whose input waits is moved or stays, and is heard once in either case.
func TestDetachFromABatch(t *testing.T) {
	l := stepper(t)
	var all []*member
	moved := new(member)
	acted := false
	all = members(t, l, 3, func(m *member) {
		if acted {
			return
		}
		acted = true
		for _, v := range all {
			if v == m {
				continue
			}
			if fd, ok := v.conn.Detach(); ok == plain {
				if ok {
					moved.conn = l.Attach(fd, moved)
				}
				return
			}
			t.Errorf("plain %v, detached otherwise", plain)
		}
	})
	for _, m := range all {
		unix.Write(m.peer, []byte("input"))
	}
	settleTurns(l)
	heard := moved.told
	for _, m := range all {
		heard += m.told
		if moved.told == 0 && string(m.got) != "input" {
			t.Errorf("heard %q", m.got)
		}
	}
	if heard != 3 || moved.told > 0 && string(moved.got) != "input" {
		t.Errorf("heard %d times, %q by the one that moved", heard, moved.got)
	}
}

func TestInputOfAllSizesInABatch(t *testing.T) {
	l := stepper(t)
	all := members(t, l, 2*earlySlots+5, nil)
	for round, size := range []int{1, earlySlot - 1, earlySlot, earlySlot + 1, 2 * earlySlot, ReadSize, 300, ReadSize + 1, 300} {
		sent := make([][]byte, len(all))
		for i, m := range all {
			m.got, m.told = m.got[:0], 0
			sent[i] = pattern(max(1, size-i%3))
			if n, err := unix.Write(m.peer, sent[i]); n != len(sent[i]) {
				t.Fatal(n, err)
			}
		}
		settleTurns(l)
		for i, m := range all {
			if most := (len(sent[i]) + ReadSize - 1) / ReadSize; !bytes.Equal(m.got, sent[i]) || m.told > most {
				t.Errorf("round %d: %d bytes of %d, or others, in %d calls", round, len(m.got), len(sent[i]), m.told)
			}
		}
	}
	for _, m := range all {
		if s := m.conn.(*socket); s.marks != 0 || s.kept != nil || s.early != 0 {
			t.Fatalf("left: marks %b, kept %v, early %d", s.marks, s.kept, s.early)
		}
	}
}

// TestBatchMeetsWhatTheEventDidNotSay changes sockets between the event and the call: in a first batch the first sink
// that is told changes those of the later one; there the first that is told holds some whose input waits.
func TestBatchMeetsWhatTheEventDidNotSay(t *testing.T) {
	const first, second = earlySlots, 24
	steal := func(m *member) { recv(m.conn.(*socket).fd, make([]byte, 100)) } // what the event meant
	leave := func(m *member) {                                                // a clean end: nothing of ours was left unread
		recv(int32(m.peer), make([]byte, 100))
		unix.Shutdown(m.peer, unix.SHUT_RDWR)
	}
	reset := func(m *member) { unix.Close(m.peer); m.peer = -1 } // with something unread
	kinds := []struct {
		name  string
		alter func(m *member)
		got   string
		end   bool
		fate  error
	}{
		{"nothing", func(*member) {}, "input", false, nil},
		{"more input", func(m *member) { unix.Write(m.peer, []byte(" and more")) }, "input and more", false, nil},
		{"end behind input", leave, "input", true, nil},
		{"reset behind input", reset, "input", false, syscall.ECONNRESET},
		{"no input", steal, "", false, nil},
		{"end only", func(m *member) { steal(m); leave(m) }, "", true, nil},
		{"reset only", func(m *member) { steal(m); reset(m) }, "", false, syscall.ECONNRESET},
		{"as much as a slot", func(m *member) { unix.Write(m.peer, pattern(earlySlot)) },
			"input" + string(pattern(earlySlot)), false, nil},
	}
	l := stepper(t)
	var all []*member
	kind := map[*member]int{}
	held := map[*member]bool{}
	act := func(m *member) {
		_, altered := kind[m]
		switch {
		case len(kind) == 0: // the first of all
			for i, v := range all {
				if v != m && v.told == 0 && v.conn.(*socket).early == 0 {
					kind[v] = i % len(kinds)
					kinds[kind[v]].alter(v)
				}
			}
		case altered && len(held) == 0: // the first of those
			for i, v := range all {
				if _, altered := kind[v]; altered && v.told == 0 && v != m && i/len(kinds)%2 == 0 {
					held[v] = true
					v.conn.Hold(true)
				}
			}
		}
	}
	all = members(t, l, first+second, act)
	for _, m := range all {
		m.conn.Write([]byte("unread"))
	}
	settleTurns(l)
	for _, m := range all {
		unix.Write(m.peer, []byte("input"))
	}
	l.turn()
	if !plain && len(kind) != second || len(held) == 0 {
		t.Fatalf("%d altered, %d held", len(kind), len(held))
	}
	settleTurns(l)
	for v := range held {
		if v.told > 0 {
			t.Errorf("%s: told while held", kinds[kind[v]].name)
		}
		v.conn.Hold(false)
	}
	settleTurns(l)
	for _, m := range all {
		k := kinds[0]
		if at, ok := kind[m]; ok {
			k = kinds[at]
		}
		// A reset overtakes input that is held back, as it does without a batch.
		got := string(m.got)
		if got != k.got && !(held[m] && k.fate != nil) {
			t.Errorf("%s, held %v: got %d bytes, want %d", k.name, held[m], len(got), len(k.got))
		}
		if m.end != k.end || len(m.fate) > 1 || k.fate == nil != (len(m.fate) == 0) ||
			k.fate != nil && !errors.Is(m.fate[0], k.fate) {
			t.Errorf("%s, held %v: end %v, fate %v", k.name, held[m], m.end, m.fate)
		}
	}
}
