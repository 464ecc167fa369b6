package upstream

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"traffic_management/engine/reactor"
	"traffic_management/internal/sim"
)

// Loops open attempts, all of which fail, while others change everything that can be changed.
func TestChangesWhileLoopsOpen(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const loops = 3
	p := breakerPolicy()
	p.Recovery = time.Millisecond
	o := func(s Strategy) *Options {
		o := bedOptions()
		o.Strategy, o.SlowStart, o.PanicThreshold = s, time.Second, 50
		o.Outlier = &OutlierPolicy{ConsecutiveErrors: 2, BaseEjection: time.Millisecond, MaxEjectedPercent: 50}
		o.Sticky = &Sticky{Name: "srv", Key: []byte("k")}
		return &o
	}
	s := NewService("s", o(RoundRobin), func(Event) {})
	var set []*Target
	for i := range 5 {
		set = append(set, NewTarget(string(rune('a'+i)), originAddr(i), "h", loops))
	}
	s.SetTargets(set[:4])
	b := s.Breaker(p)
	group := NewGroup(loops)
	var opening sync.WaitGroup
	for i := range loops {
		loop := &watchedLoop{sim.NewLoop(seed), map[*reactor.Timer]bool{}}
		loop.Net = sim.Net{Window: 64 << 10, Piece: 64 << 10}
		bed := &bed{t: t, loop: loop, service: s, meter: &tally{}, seen: map[*Attempt]bool{}}
		bed.pools = NewPools(&loopView{watchedLoop: loop, index: i}, group, seed, func(*Service) Meter { return bed.meter })
		opening.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(i)))
			for range 1500 {
				c := bed.query(&Query{Key: rnd.Uint64(), Breaker: b, Stick: set[rnd.IntN(5)], Tried: set[:rnd.IntN(3)]})
				loop.Advance(time.Millisecond)
				if c.err == nil {
					t.Error("an attempt has no outcome")
					return
				}
				c.release()
			}
		})
	}
	done := make(chan struct{})
	go func() { opening.Wait(); close(done) }()
	rnd := rand.New(rand.NewPCG(seed, loops))
	for n := 0; ; n++ {
		select {
		case <-done:
			for _, x := range set {
				if x.InFlight() != 0 || x.Open() != 0 {
					t.Errorf("%s: %d in flight, %d open", x.ID, x.InFlight(), x.Open())
				}
			}
			return
		default:
		}
		x, now := set[rnd.IntN(5)], reactor.Instant(time.Hour).Add(time.Duration(n)*time.Microsecond)
		x.SetHealth(rnd.IntN(2) == 0, now, "test")
		x.SetDraining(rnd.IntN(4) == 0)
		x.SetBackup(rnd.IntN(4) == 0)
		if n%16 == 0 {
			x.SetWeight(rnd.IntN(5))
			s.SetOptions(o(Strategy(rnd.IntN(int(strategies)))))
			first := rnd.IntN(2)
			s.SetTargets(set[first : first+4])
		}
		x.Status(now)
		s.Breakers(now)
	}
}

// Choosing a server and judging the attempt allocate nothing, whatever is configured.
func TestChoosingAllocatesNothing(t *testing.T) {
	for _, strategy := range allStrategies {
		b := newBed(t, 4, func(o *Options) {
			o.Strategy, o.Outlier, o.SlowStart, o.PanicThreshold = strategy, outlierPolicy(), time.Minute, 10
			o.Sticky = &Sticky{Name: "srv", Key: []byte("k")}
		})
		p := breakerPolicy()
		p.FailureRatio, p.MinRequests = 0.5, 10
		q := &Query{Breaker: b.service.Breaker(p), Tried: b.targets[1:2]}
		l, a := b.pools.local(b.service), b.pools.newAttempt()
		n := testing.AllocsPerRun(1000, func() {
			a.service, a.opened, a.state = b.service, b.loop.Now(), AttemptOpen
			i, _ := l.choose(b.pools, q, a)
			a.pool = l.pools[i]
			a.pool.counts.InFlight.Add(1)
			a.heard(200)
			a.end(nil)
		})
		if n != 0 {
			t.Errorf("%v: %v allocations", strategy, n)
		}
		if got := b.service.Breakers(1); len(got) != 1 || b.targets[0].InFlight() != 0 {
			t.Errorf("breakers are %v, %d in flight", got, b.targets[0].InFlight())
		}
	}
}

// BenchmarkChoose is choosing a server and judging the attempt, plain and with all that can be configured.
func BenchmarkChoose(b *testing.B) {
	plain := func(*Options) {}
	for _, c := range []struct {
		name   string
		change func(*Options)
		query  func(b *bed) *Query
	}{
		{"plain", plain, func(*bed) *Query { return &Query{} }},
		{"outlier", func(o *Options) { o.Outlier = outlierPolicy() }, func(*bed) *Query { return &Query{} }},
		{"breaker", plain, func(b *bed) *Query { return &Query{Breaker: b.service.Breaker(breakerPolicy())} }},
		{"breaker with ratio", plain, func(b *bed) *Query {
			p := breakerPolicy()
			p.FailureRatio, p.MinRequests = 0.5, 10
			return &Query{Breaker: b.service.Breaker(p)}
		}},
		{"sticky", plain, func(b *bed) *Query { return &Query{Stick: b.targets[2]} }},
	} {
		b.Run(c.name, func(b *testing.B) {
			bed := newBed(b, 3, c.change)
			q, l, a := c.query(bed), bed.pools.local(bed.service), bed.pools.newAttempt()
			a.service = bed.service
			for range b.N {
				a.opened, a.state = bed.loop.Now(), AttemptOpen
				i, _ := l.choose(bed.pools, q, a)
				a.pool = l.pools[i]
				a.pool.counts.InFlight.Add(1)
				a.heard(200)
				a.end(nil)
			}
		})
	}
}
