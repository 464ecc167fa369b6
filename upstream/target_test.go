package upstream

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"traffic_management/engine/reactor"
	"traffic_management/internal/owned"
)

func newTestTarget(weight int) *Target {
	t := NewTarget("http://server", reactor.Addr{}, "server", 2)
	t.SetWeight(weight)
	return t
}

func TestTargetState(t *testing.T) {
	for s, want := range map[TargetState]string{TargetUp: "up", TargetDraining: "draining", TargetDown: "down",
		TargetEjected: "ejected", 9: "?"} {
		if got := s.String(); got != want {
			t.Errorf("state %d is %q, want %q", s, got, want)
		}
	}
}

func TestStatus(t *testing.T) {
	const now = reactor.Instant(time.Hour)
	for _, c := range []struct {
		name   string
		change func(*Target)
		want   TargetState
	}{
		{"new", func(*Target) {}, TargetUp},
		{"heavy", func(x *Target) { x.SetWeight(100) }, TargetUp},
		{"too heavy", func(x *Target) { x.SetWeight(MaxWeight + 1) }, TargetUp},
		{"weight 0", func(x *Target) { x.SetWeight(0) }, TargetDraining},
		{"weight 0 and back", func(x *Target) { x.SetWeight(0); x.SetWeight(2) }, TargetUp},
		{"negative weight", func(x *Target) { x.SetWeight(-1) }, TargetDraining},
		{"draining", func(x *Target) { x.SetDraining(true) }, TargetDraining},
		{"draining and back", func(x *Target) { x.SetDraining(true); x.SetDraining(false) }, TargetUp},
		{"down", func(x *Target) { x.SetHealth(false, now, "no answer") }, TargetDown},
		{"down and back", func(x *Target) { x.SetHealth(false, now, "no answer"); x.SetHealth(true, now, "answer") }, TargetUp},
		{"down and draining", func(x *Target) { x.SetHealth(false, now, "no answer"); x.SetDraining(true) }, TargetDraining},
		{"backup", func(x *Target) { x.SetBackup(true) }, TargetUp},
	} {
		target := newTestTarget(1)
		c.change(target)
		st := target.Status(now)
		if st.State != c.want || st.Healthy != !target.has(isDown) || (st.LastError == "no answer") != target.has(isDown) {
			t.Errorf("%s: %+v, want %v", c.name, st, c.want)
		}
	}
	if x := newTestTarget(MaxWeight + 1); x.Weight() != MaxWeight {
		t.Errorf("weight %d", x.Weight())
	}
}

func TestTargetSums(t *testing.T) {
	target := NewTarget("http://server", reactor.Addr{}, "server", 3)
	for loop := range 3 {
		target.Counts(loop).InFlight.Add(int64(1 + loop))
		target.Counts(loop).Idle.Add(int64(10 * loop))
	}
	if got := target.InFlight(); got != 6 {
		t.Errorf("%d in flight, want 6", got)
	}
	if got := target.Idle(); got != 30 {
		t.Errorf("%d idle, want 30", got)
	}
}

func TestTargetReserve(t *testing.T) {
	target := newTestTarget(1)
	for i, want := range []bool{true, true, false, false} {
		if got := target.reserve(2); got != want {
			t.Errorf("reservation %d of 2: %v", i+1, got)
		}
	}
	target.release()
	if !target.reserve(2) {
		t.Error("a released place was refused")
	}
	if !target.reserve(0) {
		t.Error("refused without a limit")
	}
	if got := target.Open(); got != 3 {
		t.Errorf("%d open, want 3", got)
	}
}

// As many goroutines as there are places must all get one, and no more than that: none is refused for what another
// one only tried.
func TestTargetReserveTogether(t *testing.T) {
	const limit = 4
	target := newTestTarget(1)
	var most atomic.Int64
	var all sync.WaitGroup
	for range limit {
		all.Go(func() {
			for range 5000 {
				if !target.reserve(limit) {
					t.Error("refused though there is a place for everyone")
					return
				}
				if n := target.Open(); n > most.Load() {
					most.Store(n)
				}
				target.release()
			}
		})
	}
	all.Wait()
	if most.Load() > limit {
		t.Errorf("%d connections, limit %d", most.Load(), limit)
	}
	if got := target.Open(); got != 0 {
		t.Errorf("%d open at the end", got)
	}
}

// What different loops write must never share a cache line, nor may open share one with what choosing reads.
func TestTargetLayout(t *testing.T) {
	for loops := 1; loops <= 70; loops++ {
		target := NewTarget("http://server", reactor.Addr{}, "server", loops)
		for loop := range loops {
			if at := uintptr(unsafe.Pointer(target.Counts(loop))); at%cacheLine != 0 {
				t.Fatalf("of %d loops, the counts of loop %d begin at %#x, inside a cache line", loops, loop, at)
			}
		}
	}
	var target Target
	if d := unsafe.Offsetof(target.open) - unsafe.Offsetof(target.ejectedRow); d < cacheLine {
		t.Errorf("open is %d bytes after what is written seldom", d)
	}
}

// BenchmarkCounts is what counting one request costs while another loop counts too: a share for each loop, shares
// that touch, or one count for all, which must be locked.
func BenchmarkCounts(b *testing.B) {
	target := newTestTarget(1)
	var touching [2]owned.Int64
	var shared atomic.Int64
	b.Run("own line", func(b *testing.B) { twoLoops(b, &target.Counts(0).InFlight, &target.Counts(1).InFlight) })
	b.Run("one line", func(b *testing.B) { twoLoops(b, &touching[0], &touching[1]) })
	b.Run("one count", func(b *testing.B) { twoLoops(b, &shared, &shared) })
}

func twoLoops(b *testing.B, counts ...interface{ Add(int64) int64 }) {
	var loops sync.WaitGroup
	for _, c := range counts {
		loops.Go(func() {
			for range b.N {
				c.Add(1)
				c.Add(-1)
			}
		})
	}
	loops.Wait()
}
