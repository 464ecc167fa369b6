package reactor

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"traffic_management/codec"
)

// TestWritesOfAllSizes sends random mixes of small and large pieces against a peer that reads at random times.
func TestWritesOfAllSizes(t *testing.T) {
	for seed := range uint64(4) {
		l := startLoop(t, Config{})
		rnd := rand.New(rand.NewPCG(seed, 11))
		us, them := unixPair(t)
		if seed%2 == 0 {
			unix.SetsockoptInt(us, unix.SOL_SOCKET, unix.SO_SNDBUF, 8<<10)
		}
		out := outsideOf(t, them)
		s := attach(t, l, us, func(*sink) {})
		var sent []byte
		source := pattern(300_000)
		read := make(chan []byte, 1)
		go func() {
			got, err := io.ReadAll(out)
			if err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
			read <- got
		}()
		for range 25 {
			on(t, l, func() {
				var bufs [][]byte
				for range rnd.IntN(100) {
					n := rnd.IntN([]int{1, 100, 5000, 70_000}[rnd.IntN(4)])
					bufs = append(bufs, source[:n])
					sent = append(sent, source[:n]...)
				}
				s.conn.Writev(bufs)
			})
		}
		on(t, l, func() { s.conn.CloseWrite() })
		if got := await(t, read); !bytes.Equal(got, sent) {
			t.Errorf("seed %d: %d of %d bytes, or others", seed, len(got), len(sent))
		}
	}
}

func TestSmallWritesLeaveTogether(t *testing.T) {
	l := startLoop(t, Config{})
	us, them := unixPair(t)
	defer unix.Close(them)
	s := attach(t, l, us, func(*sink) {})
	on(t, l, func() {
		for range 3 {
			s.conn.Write([]byte("abc"))
		}
		if s.conn.Queued() != 0 {
			t.Error("gathered output counts as queued")
		}
		if n, err := unix.Read(them, make([]byte, 10)); !errors.Is(err, unix.EAGAIN) {
			t.Errorf("%d bytes left before the end of the turn", n)
		}
	})
	on(t, l, func() {})
	b := make([]byte, 10)
	if n, err := unix.Read(them, b); err != nil || string(b[:n]) != "abcabcabc" {
		t.Errorf("%q, %v", b[:max(n, 0)], err)
	}
}

// TestUnsent follows output from where it is gathered to the kernel, or to where it is given up.
func TestUnsent(t *testing.T) {
	l := stepper(t)
	us, them := unixPair(t)
	s := &sink{}
	s.conn = l.Attach(us, s)
	settleTurns(l)
	unsent := func(what string, want int) {
		t.Helper()
		if n := s.conn.Unsent(); n != want {
			t.Errorf("%s: %d bytes are unsent, want %d", what, n, want)
		}
	}
	s.conn.Write(make([]byte, 100))
	unsent("gathered", 100)
	settleTurns(l)
	unsent("sent", 0)
	given := 0
	for s.conn.Queued() == 0 {
		s.conn.Write(make([]byte, gatherLimit))
		given += gatherLimit
	}
	unsent("refused in part", s.conn.Queued())
	taken := 100 + given - s.conn.Queued()
	if n, err := io.CopyN(io.Discard, outsideOf(t, them), int64(taken)); err != nil {
		t.Fatal(n, err)
	}
	settleTurns(l)
	unsent("taken", 0)
}

// TestUnsentToPeerThatIsGone: nothing of what is written after the peer closed reaches the kernel. There are enough
// connections for one system call to serve all.
func TestUnsentToPeerThatIsGone(t *testing.T) {
	l := stepper(t)
	sinks := make([]*sink, 2*ringWorth)
	for i := range sinks {
		us, them := unixPair(t)
		sinks[i] = &sink{}
		sinks[i].conn = l.Attach(us, sinks[i])
		settleTurns(l)
		sinks[i].conn.Write(make([]byte, 100))
		unix.Close(them)
	}
	l.flush()
	for i, s := range sinks {
		unsent := func(when string, want int) {
			t.Helper()
			if n := s.conn.Unsent(); n != want {
				t.Errorf("connection %d, %s: %d bytes are unsent, want %d", i, when, n, want)
			}
		}
		unsent("refused", 100)
		s.conn.Write(make([]byte, 10))
		s.conn.Write(make([]byte, gatherLimit))
		unsent("failing", 110+gatherLimit)
		s.conn.Abort()
		unsent("ended", 110+gatherLimit)
	}
}

func TestDrainedAtTheLowMark(t *testing.T) {
	l := startLoop(t, Config{})
	us, them := unixPair(t)
	out := outsideOf(t, them)
	drained := make(chan int, 10)
	s := attach(t, l, us, func(s *sink) { s.drained = func() { drained <- s.conn.Queued() } })
	total := 0
	write := func(n int) {
		on(t, l, func() {
			s.conn.Write(make([]byte, n))
			total += n
		})
	}
	// Below the high mark: refused output is sent, and nobody is told.
	queued := 0
	for queued == 0 {
		write(gatherLimit)
		on(t, l, func() { queued = s.conn.Queued() })
	}
	if queued > codec.HighMark {
		t.Fatalf("%d queued", queued)
	}
	if _, err := io.CopyN(io.Discard, out, int64(total)); err != nil {
		t.Fatal(err)
	}
	if len(drained) > 0 {
		t.Error("drained without having been over the high mark")
	}
	total = 0
	for queued = 0; queued <= codec.HighMark; {
		write(gatherLimit)
		on(t, l, func() { queued = s.conn.Queued() })
	}
	if _, err := io.CopyN(io.Discard, out, int64(total)); err != nil {
		t.Fatal(err)
	}
	if got := await(t, drained); got > codec.LowMark {
		t.Errorf("drained with %d queued", got)
	}
	if len(drained) > 0 {
		t.Error("drained twice")
	}
}

// TestResponseBeforeAFailedWriteIsRead is the server that answers early and closes while we still send.
func TestResponseBeforeAFailedWriteIsRead(t *testing.T) {
	l := startLoop(t, Config{})
	us, them := unixPair(t)
	out := outsideOf(t, them)
	var got []byte
	closed := make(chan error, 1)
	s := attach(t, l, us, func(s *sink) {
		s.data = func() {
			s.take(&got)
			if s.conn.EOF() {
				t.Error("a failed connection looks like a clean end")
			}
		}
		s.closed = func(err error) { closed <- err }
	})
	on(t, l, func() {
		out.Write([]byte("413 too large"))
		out.Close()
		s.conn.Write(make([]byte, 100_000)) // fails at once
	})
	if err := await(t, closed); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("closed with %v", err)
	}
	if string(got) != "413 too large" {
		t.Errorf("got %q", got)
	}
}

func TestOutputQueueAgainstBuffer(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		var pool chunks
		var o output
		var want []byte
		source := pattern(200_000)
		for range 300 {
			if rnd.IntN(2) == 0 {
				b := source[:rnd.IntN([]int{10, 5000, 200_000}[rnd.IntN(3)])]
				o.append(&pool, b)
				want = append(want, b...)
			} else {
				n := rnd.IntN(len(want) + 1)
				o.drop(&pool, n)
				want = want[n:]
			}
			if rnd.IntN(8) > 0 {
				continue
			}
			var got []byte
			for c := o.head; c != nil; c = c.next {
				got = append(got, c.b[c.start:c.end]...)
			}
			if o.size != len(want) || !bytes.Equal(got, want) {
				t.Fatalf("seed %d: queue and buffer differ", seed)
			}
		}
		o.clear(&pool)
		if o.size != 0 || o.head != nil || o.tail != nil {
			t.Fatalf("seed %d: not empty after clear", seed)
		}
	}
}
