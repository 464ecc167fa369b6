package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"traffic_management/perf/process"
)

// Times of the drill that kills servers, which its configuration has too.
const (
	killEvery = time.Second
	downFor   = killEvery / 2
	slowStart = 2 * time.Second
	// returnLimit bounds the wait for a server to be used again: an ejection that has become long.
	returnLimit = time.Minute
)

// sharePoints is how far the share of a server that came back may be from a third, in points of a percent.
const sharePoints = 5

// sentAlready are the answers to a POST that must not be sent again, because a server may have acted on it.
func sentAlready(why string) bool {
	return strings.HasPrefix(why, "502 ") && strings.Contains(why, "the server closed the")
}

func killing(ctx context.Context, b *bed) ([]finding, error) {
	rounds, measured, every := 60, 5*time.Second, 5*time.Millisecond
	if b.extent == glance {
		rounds, measured, every = 2, time.Second, 10*time.Millisecond
	}
	f, err := b.startFleet(ctx, 3)
	defer f.stop()
	if err != nil {
		return nil, err
	}
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	p, err := b.startProxy(ctx, address, killConfiguration(address, f))
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	gets, posts := newTally(), newTally()
	loading, unload := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer unload()
	all.Go(func() { load{address, http.MethodGet, keeping, 16, every}.run(loading, gets) })
	all.Go(func() { load{address, http.MethodPost, keeping, 4, every}.run(loading, posts) })
	if err := f.storm(ctx, rounds); err != nil {
		return nil, err
	}
	back, share, err := f.comeBack(ctx, measured)
	if err != nil {
		return nil, err
	}
	unload()
	all.Wait()
	return []finding{
		figure("kills, each for "+downFor.String(), "%d", rounds),
		bar("every GET is answered", gets.failures(nil) == 0, "%v", gets),
		bar("every POST is answered, or 502 when a server had it already", posts.failures(sentAlready) == 0, "%v", posts),
		figure("longest answer", "GET %v, POST %v", gets.slowest.Round(time.Millisecond), posts.slowest.Round(time.Millisecond)),
		figure("a server that came back gets requests again after", "%v", back.Round(100*time.Millisecond)),
		bar(fmt.Sprintf("%v later its share is a third again, within %d points", slowStart, sharePoints),
			math.Abs(share-100.0/3) <= sharePoints, "%.1f %%", share),
	}, nil
}

// killConfiguration has all that looks after servers. What checks and ejection know is up to a second old.
func killConfiguration(address string, f *fleet) string {
	return fmt.Sprintf(`
entrypoints: {web: {address: '%s'}}
services:
  fleet:
    servers: [%s]
    load_balancer: {strategy: weighted, slow_start_seconds: %d}
    outlier_detection: {consecutive_errors: 3, base_ejection_seconds: 1}
    health_check: {type: tcp, interval_seconds: 1, healthy_threshold: 1, unhealthy_threshold: 1}
middlewares:
  again: {retry: {attempts: 2, initial_interval_ms: 10}}
routers: {all: {rule: 'PathPrefix(`+"`/`"+`)', service: fleet, middlewares: [again]}}
`, address, f.urls(), int(slowStart.Seconds()))
}

// storm kills the servers in turn and starts them again.
func (f *fleet) storm(ctx context.Context, rounds int) error {
	tick := time.NewTicker(downFor)
	defer tick.Stop()
	for i := range rounds {
		f.kill(i % len(f.servers))
		if err := wait(ctx, tick.C); err != nil {
			return err
		}
		if err := f.start(ctx, i%len(f.servers)); err != nil {
			return err
		}
		if err := wait(ctx, tick.C); err != nil {
			return err
		}
	}
	return nil
}

func wait(ctx context.Context, tick <-chan time.Time) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-tick:
		return nil
	}
}

// comeBack kills one server, starts it again, and returns how long it took until all had requests, and what share of
// them the one had when its slow start was over.
func (f *fleet) comeBack(ctx context.Context, measured time.Duration) (back time.Duration, share float64, err error) {
	const one = 1
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	f.kill(one)
	for range int(killEvery / (100 * time.Millisecond)) {
		if err := wait(ctx, tick.C); err != nil {
			return 0, 0, err
		}
	}
	if err := f.start(ctx, one); err != nil {
		return 0, 0, err
	}
	began := time.Now()
	for last := []int64(nil); ; {
		counts, err := f.served(ctx)
		if err != nil {
			return 0, 0, err
		}
		growing := last != nil
		for i := range last {
			growing = growing && counts[i] > last[i]
		}
		if growing {
			break
		}
		if time.Since(began) > returnLimit {
			return 0, 0, fmt.Errorf("after %v not all servers have requests: %v", returnLimit, counts)
		}
		last = counts
		if err := wait(ctx, tick.C); err != nil {
			return 0, 0, err
		}
	}
	back = time.Since(began)
	if err := wait(ctx, time.After(slowStart)); err != nil {
		return 0, 0, err
	}
	before, err := f.served(ctx)
	if err != nil {
		return 0, 0, err
	}
	if err := wait(ctx, time.After(measured)); err != nil {
		return 0, 0, err
	}
	after, err := f.served(ctx)
	if err != nil {
		return 0, 0, err
	}
	var sum int64
	for i := range after {
		sum += after[i] - before[i]
	}
	if slices.Min(after) == 0 || sum == 0 {
		return 0, 0, fmt.Errorf("no requests are served: %v", after)
	}
	return back, 100 * float64(after[one]-before[one]) / float64(sum), nil
}
