package mw

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

func inFlightLimit(t testing.TB, amount int, k Key) *InFlightLimit {
	t.Helper()
	l, err := NewInFlightLimit(InFlightLimitOptions{Amount: amount, Key: k})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestInFlightLimit(t *testing.T) {
	for _, k := range []Key{{}, {Kind: KeyGlobal}} {
		l := inFlightLimit(t, 2, k)
		first, second := l.enter(7), l.enter(7)
		if first == nil || second == nil {
			t.Fatalf("%v: fewer than the amount are let through", k)
		}
		if l.enter(7) != nil {
			t.Errorf("%v: more than the amount are let through", k)
		}
		if other := l.enter(8); (other != nil) != (k.Kind != KeyGlobal) {
			t.Errorf("%v: another key is let through: %v", k, other != nil)
		}
		second.leave()
		if l.enter(7) == nil {
			t.Errorf("%v: what has left still counts", k)
		}
	}
}

// TestInFlightLimitIsExact has loops count requests of the same keys, more than there is room for, so that slots go from
// key to key all the time.
func TestInFlightLimitIsExact(t *testing.T) {
	const loops, keys, amount, turns = 8, 2 * room, 3, 4000
	l := inFlightLimit(t, amount, Key{})
	var running [keys]atomic.Int64
	var all sync.WaitGroup
	for i := range loops {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 7))
			var mine []func()
			for range turns {
				if n := len(mine); n > 0 && r.IntN(2) == 0 {
					last := r.IntN(n)
					mine[last]()
					mine[last] = mine[n-1]
					mine = mine[:n-1]
					continue
				}
				k := r.IntN(keys)
				s := l.enter(sameBuckets(k))
				if s == nil {
					continue
				}
				if n := running[k].Add(1); n > amount {
					t.Errorf("key %d: %d requests are under way, %d may be", k, n, amount)
				}
				mine = append(mine, func() { running[k].Add(-1); s.leave() })
			}
			for _, leave := range mine {
				leave()
			}
		})
	}
	all.Wait()
	for k := range room { // nothing is left over
		for i := range amount {
			if l.enter(sameBuckets(k)) == nil {
				t.Fatalf("with no requests under way, key %d is refused its number %d", k, i)
			}
		}
	}
	if l.enter(sameBuckets(room)) != nil {
		t.Error("a key without room is let through, uncounted")
	}
}

func TestInFlightLimitAllocatesNothing(t *testing.T) {
	l := inFlightLimit(t, 10, Key{})
	x := arrivals(t, "198.51.100.7").request()
	cycle := func() {
		l.Request(x)
		l.Done(x)
	}
	if n := testing.AllocsPerRun(100, cycle); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if s := l.many.shard(l.of(x)).find(l.of(x)); s == nil || s.word.Load()&countMask != 0 {
		t.Error("requests that are over still count")
	}
}

func TestInFlightLimitOptions(t *testing.T) {
	for _, o := range []InFlightLimitOptions{{Amount: 0}, {Amount: -1}, {Amount: 1 << 31}, {Amount: 1, Key: Key{Kind: KeyHeader}}} {
		if _, err := NewInFlightLimit(o); err == nil {
			t.Errorf("%+v is no error", o)
		}
	}
}

func BenchmarkInFlightLimit(b *testing.B) {
	l := inFlightLimit(b, 10, Key{})
	for b.Loop() {
		l.enter(7).leave()
	}
}
