package upstream

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"traffic_management/engine/reactor"
)

// Strategies that go by load draw by weight as long as nothing is in flight.
func TestIdleDraws(t *testing.T) {
	for _, s := range []Strategy{TwoChoices, PeakEWMA} {
		for _, weights := range [][]int{same(1, 2), same(1, 10), {5, 1, 1}, {1, 0, 3}} {
			for seed := range uint64(3) {
				t.Run(fmt.Sprintf("%v/%v/seed %d", s, weights, seed), func(t *testing.T) {
					b := balancerOf(Options{Strategy: s}, targetsOf(weights...), 0, 0)
					checkShares(t, count(t, b, len(weights), 10000, seed), weights)
				})
			}
		}
	}
}

// Of two targets the less loaded for its weight is taken, always.
func TestTwoChoices(t *testing.T) {
	for _, c := range []struct {
		weights  []int
		inFlight []int64
		want     int
	}{
		{[]int{1, 1}, []int64{1, 0}, 1},
		{[]int{1, 1}, []int64{3, 4}, 0},
		{[]int{5, 1}, []int64{4, 1}, 0},
		{[]int{5, 1}, []int64{6, 1}, 1},
	} {
		set := targetsOf(c.weights...)
		for i, n := range c.inFlight {
			set[i].Counts(i).InFlight.Add(n)
		}
		if got := count(t, balancerOf(Options{Strategy: TwoChoices}, set, 0, 0), 2, 100, 1); got[c.want] != 100 {
			t.Errorf("weights %v, in flight %v: picked %v", c.weights, c.inFlight, got)
		}
	}
}

// simulateLoad lets several loops send requests at a rate to targets that take a while for each, and returns how many
// each target got, and the most it had in flight.
func simulateLoad(s Strategy, loops int, seed uint64, takes []time.Duration) (got []int, most []int64) {
	const every, requests = time.Millisecond, 20000
	rnd := rand.New(rand.NewPCG(seed, 1))
	set := targetsOf(same(1, len(takes))...)
	service := NewService("s", &Options{Strategy: s}, nil)
	service.SetTargets(set)
	var balancers []*balancer
	for loop := range loops {
		var latencies []*latency
		for range set {
			latencies = append(latencies, &latency{})
		}
		balancers = append(balancers, newBalancer(service, service.setup.Load(), loop, seed, latencies))
	}
	type running struct {
		at, began reactor.Instant
		loop, to  int
	}
	var all []running
	got, most = make([]int, len(takes)), make([]int64, len(takes))
	now := reactor.Instant(time.Hour)
	for range requests {
		now = now.Add(time.Duration(rnd.ExpFloat64() * float64(every)))
		left := all[:0]
		for _, r := range all {
			if r.at > now {
				left = append(left, r)
				continue
			}
			set[r.to].Counts(r.loop).InFlight.Add(-1)
			if b, ok := balancers[r.loop].chooser.(peakEWMA); ok {
				b[r.to].observe(now, now.Sub(r.began))
			}
		}
		all = left
		loop := rnd.IntN(loops)
		b := balancers[loop]
		b.ask.now, b.ask.key = now, rnd.Uint64()
		to := b.next(rnd.Uint64())
		n := set[to].Counts(loop).InFlight.Add(1)
		for i := range loops {
			if i != loop {
				n += set[to].Counts(i).InFlight.Load()
			}
		}
		got[to]++
		most[to] = max(most[to], n)
		took := time.Duration((0.5 + rnd.Float64()) * float64(takes[to]))
		all = append(all, running{now.Add(took), now, loop, to})
	}
	return got, most
}

// Four loops that do not talk to each other spread requests evenly over equal targets.
func TestFairOverLoops(t *testing.T) {
	takes := slices.Repeat([]time.Duration{20 * time.Millisecond}, 5)
	for _, s := range allStrategies {
		for seed := range uint64(seeds/32 + 1) {
			got, _ := simulateLoad(s, 4, seed, takes)
			for i, n := range got {
				if n < 3600 || n > 4400 {
					t.Errorf("%v, seed %d: target %d got %d of 20000, want 4000 give or take 10 %%: %v", s, seed, i, n, got)
				}
			}
		}
	}
}

// A target that takes ten times as long as the others gets less, and never has many more in flight than it can work off.
func TestSlowTarget(t *testing.T) {
	takes := append([]time.Duration{200 * time.Millisecond}, slices.Repeat([]time.Duration{20 * time.Millisecond}, 4)...)
	for _, c := range []struct {
		strategy Strategy
		share    int   // at most, of 20000
		most     int64 // in flight, at most
	}{
		{RoundRobin, 4100, 80},
		{LeastConn, 1600, 25},
		{TwoChoices, 1600, 25},
		{PeakEWMA, 800, 20},
	} {
		for seed := range uint64(seeds/32 + 1) {
			got, most := simulateLoad(c.strategy, 2, seed, takes)
			t.Logf("%v, seed %d: the slow target got %d, at most %d in flight", c.strategy, seed, got[0], most[0])
			if got[0] > c.share || most[0] > c.most || got[0] < 20 {
				t.Errorf("%v, seed %d: that is more, or fewer requests, than it should be", c.strategy, seed)
			}
		}
	}
}

// The latency is the peak at once and fades afterwards.
func TestLatency(t *testing.T) {
	var l latency
	now := reactor.Instant(time.Hour)
	l.observe(now, 10*time.Millisecond)
	l.observe(now, 500*time.Millisecond)
	if got := l.now(now); got != 500e6 {
		t.Errorf("after a slow answer it is %v ns, want the peak", got)
	}
	l.observe(now.Add(time.Second), 10*time.Millisecond)
	if got := l.now(now.Add(time.Second)); got < 400e6 || got > 500e6 {
		t.Errorf("one fast answer a second later makes it %v ns", got)
	}
	if got := l.now(now.Add(time.Minute)); got > 10e6 {
		t.Errorf("a minute later it is %v ns", got)
	}
}
