package upstream

import (
	"context"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
)

// HealthType is how servers are checked.
type HealthType uint8

// Types of checks.
const (
	CheckHTTP HealthType = iota // a request is answered as expected
	CheckTCP                    // a connection can be opened
)

func (t HealthType) String() string { return [...]string{"http", "tcp"}[t] }

// HealthPolicy says how the servers of a service are checked. Immutable.
type HealthPolicy struct {
	Type      HealthType
	Interval  time.Duration // from the end of one check to the next, 10 % more or less
	Timeout   time.Duration // of one check
	Healthy   int           // good results in a row that bring a server up
	Unhealthy int           // bad results in a row that take it down; of a server's first result one is enough
	Port      uint16        // 0: the server's

	// With CheckHTTP:
	Method       string
	Path         string            // and query
	Host         string            // "": the server's
	Headers      map[string]string // further fields of the request
	Expected     codec.StatusSet
	BodyContains string // in the first 64 kB of the content; "": anything
}

// Checker checks the health of the servers of services: a goroutine for each server, none of them a loop's. A server is
// up until a check says otherwise; its first check comes at once. All methods may be called from any goroutine but a
// loop's.
//
//	Set, or Service.SetTargets ──▶ goroutine of the server: check ──result──▶ in a row? ──▶ Target.SetHealth
//	                                    ▲                │
//	                                    └── sleep: Interval
type Checker struct {
	// Immutable:
	clock func() reactor.Instant
	sleep Sleep
	ctx   context.Context
	stop  context.CancelFunc

	running sync.WaitGroup

	mu       sync.Mutex
	services map[*Service]*watched
}

// watched is a service that is checked; guarded by Checker.mu.
type watched struct {
	policy  *HealthPolicy
	targets map[*Target]context.CancelFunc // ends the goroutine
}

// NewChecker makes a checker of no service yet.
func NewChecker(clock func() reactor.Instant, sleep Sleep) *Checker {
	c := &Checker{clock: clock, sleep: sleep, services: map[*Service]*watched{}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// Set has the servers of a service checked by a policy from now on, those that come later too; what is known of them
// stays. With nil they are checked no more and count as up.
func (c *Checker) Set(s *Service, p *HealthPolicy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.services[s]
	switch {
	case p == nil && w == nil || c.ctx.Err() != nil:
		return
	case w == nil:
		w = &watched{targets: map[*Target]context.CancelFunc{}}
		c.services[s] = w
		s.watch(func() { c.follow(s) })
	case p == nil:
		s.watch(nil)
		delete(c.services, s)
		for t, end := range w.targets {
			end()
			t.SetHealth(true, c.clock(), "it is no longer checked")
		}
		return
	case !reflect.DeepEqual(w.policy, p):
		for t, end := range w.targets {
			end()
			delete(w.targets, t)
		}
	}
	w.policy = p
	c.adjust(s, w)
}

// follow is told that a service's servers have changed.
func (c *Checker) follow(s *Service) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.services[s]; w != nil && c.ctx.Err() == nil {
		c.adjust(s, w)
	}
}

// adjust starts and ends goroutines so that each server has one; c.mu is held.
func (c *Checker) adjust(s *Service, w *watched) {
	targets := s.Targets()
	for t, end := range w.targets {
		if !t.among(targets) {
			end()
			delete(w.targets, t)
		}
	}
	for _, t := range targets {
		if w.targets[t] == nil {
			ctx, end := context.WithCancel(c.ctx)
			w.targets[t] = end
			p := w.policy
			c.running.Go(func() { c.keep(ctx, t, p) })
		}
	}
}

// Stop ends all checks and waits for the goroutines. The servers stay as they are.
func (c *Checker) Stop() {
	c.mu.Lock() // no goroutine begins behind the wait
	c.stop()
	c.mu.Unlock()
	c.running.Wait()
}

// keep checks one server again and again until ctx ends.
func (c *Checker) keep(ctx context.Context, t *Target, p *HealthPolicy) {
	probe := newProbe(t, p)
	row := 0                                                     // results in a row that speak against what the server is taken for
	wait := time.Duration(rand.Int64N(int64(p.Interval/10) + 1)) // many servers at once begin a little apart
	for c.sleep(ctx, wait) == nil {
		why, good := probe.check(ctx)
		row = c.judge(ctx, t, p, row, good, why)
		wait = spread(p.Interval)
	}
}

// judge counts one result.
func (c *Checker) judge(ctx context.Context, t *Target, p *HealthPolicy, row int, good bool, why string) int {
	c.mu.Lock() // what comes of a check that was ended meanwhile must not be written over what ended it
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		return 0
	}
	first := !t.checked.Swap(true)
	up := !t.has(isDown)
	if good == up {
		return 0
	}
	row++
	need := p.Unhealthy
	if good {
		need = p.Healthy
	}
	if row < need && !first {
		return row
	}
	t.SetHealth(good, c.clock(), why)
	return 0
}
