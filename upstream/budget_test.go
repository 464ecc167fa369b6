package upstream

import (
	"sync"
	"sync/atomic"
	"testing"

	"traffic_management/engine/reactor"
)

func TestRetryBudget(t *testing.T) {
	for _, c := range []struct {
		name              string
		percent           int
		inFlight, waiting int
		want              int // retries that are granted
	}{
		{"always three", 20, 0, 5, 3},
		{"no share, still three", 0, 1000, 10, 3},
		{"a share of those with the servers", 20, 100, 30, 26},
		{"those that wait are active", 20, 0, 50, 10},
		{"all", 100, 10, 5, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewService("s", &Options{}, nil)
			target := budgetTarget()
			s.SetTargets([]*Target{target})
			target.Counts(1).InFlight.Add(int64(c.inFlight))
			for range c.waiting {
				s.AwaitRetry()
			}
			granted := 0
			for range c.waiting {
				if s.BeginRetry(c.percent) {
					granted++
					target.Counts(0).InFlight.Add(1) // its attempt
				}
			}
			if waiting, running := s.Retries(); granted != c.want || int(running) != c.want || int(waiting) != c.waiting-c.want {
				t.Errorf("%d were granted, %d run, %d wait; want %d, %d, %d", granted, running, waiting, c.want, c.want,
					c.waiting-c.want)
			}
			s.EndRetry()
			if c.want < c.waiting && !s.BeginRetry(c.percent) {
				t.Error("the place of one that ended was not granted again")
			}
		})
	}
}

// TestRetryBudgetOfManyLoops has goroutines take and give back places at the same time: never more than three run.
func TestRetryBudgetOfManyLoops(t *testing.T) {
	s := NewService("s", &Options{}, nil)
	var most, now atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for granted := 0; granted < 1000; {
				s.AwaitRetry()
				if !s.BeginRetry(20) {
					s.CancelRetry()
					continue
				}
				n := now.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				granted++
				now.Add(-1)
				s.EndRetry()
			}
		})
	}
	all.Wait()
	if waiting, running := s.Retries(); most.Load() > minRetries || waiting != 0 || running != 0 {
		t.Errorf("at most %d ran at the same time, at the end %d wait and %d run", most.Load(), waiting, running)
	}
}

func budgetTarget() *Target { return NewTarget("t", reactor.Addr{Path: "/t"}, "h", 2) }
