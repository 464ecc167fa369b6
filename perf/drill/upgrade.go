package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"time"

	"traffic_management/perf/process"
)

// upgradeLimit bounds the time from the signal until the old process is gone.
const upgradeLimit = 30 * time.Second

func upgrading(ctx context.Context, b *bed) ([]finding, error) {
	upgrades, rest, every := 20, 2*time.Second, 5*time.Millisecond
	if b.extent == glance {
		upgrades, rest, every = 4, 400*time.Millisecond, 10*time.Millisecond
	}
	f, err := b.startFleet(ctx, 2)
	defer f.stop()
	if err != nil {
		return nil, err
	}
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	p, err := b.startProxy(ctx, address, fmt.Sprintf("entrypoints: {web: {address: '%s'}}\nservices: {fleet: {servers: [%s]}}\n"+
		"routers: {all: {rule: 'PathPrefix(`/`)', service: fleet}}\nshutdown: {drain_timeout_seconds: 5, idle_close_seconds: 1}\n",
		address, f.urls()))
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	fresh, kept := newTally(), newTally()
	loading, unload := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer unload()
	all.Go(func() { load{address, http.MethodGet, renewing, 8, every}.run(loading, fresh) })
	all.Go(func() { load{address, http.MethodPost, keeping, 8, every}.run(loading, kept) })
	var slowest time.Duration
	for n := range upgrades {
		took, err := p.upgrade(ctx)
		if err != nil {
			return nil, fmt.Errorf("upgrade %d: %w", n+1, err)
		}
		slowest = max(slowest, took)
		if err := wait(ctx, time.After(rest)); err != nil {
			return nil, err
		}
	}
	unload()
	all.Wait()
	return []finding{
		figure("upgrades", "%d", upgrades),
		figure("longest time until the old process is gone", "%v", slowest.Round(time.Millisecond)),
		bar("every GET over a connection of its own is answered", fresh.failures(nil) == 0, "%v", fresh),
		bar("every POST over a kept connection is answered", kept.failures(nil) == 0, "%v", kept),
		figure("kept connections that moved to a new process", "%d", kept.ended),
		figure("longest answer", "GET %v, POST %v", fresh.slowest.Round(time.Millisecond), kept.slowest.Round(time.Millisecond)),
	}, nil
}

// upgrade replaces the process by a new one and returns how long it took until the old one was gone.
func (p *proxy) upgrade(ctx context.Context) (time.Duration, error) {
	members, err := p.Members()
	if err != nil {
		return 0, err
	}
	if len(members) != 1 {
		return 0, fmt.Errorf("there are %d processes", len(members))
	}
	old, began := members[0], time.Now()
	if err := syscall.Kill(old, syscall.SIGUSR2); err != nil {
		return 0, err
	}
	for {
		members, err := p.Members()
		switch {
		case err != nil:
			return 0, err
		case len(members) == 1 && members[0] != old:
			return time.Since(began), nil
		case time.Since(began) > upgradeLimit:
			return 0, fmt.Errorf("after %v the processes are %v; %d was to go", upgradeLimit, members, old)
		}
		if err := wait(ctx, time.After(10*time.Millisecond)); err != nil {
			return 0, err
		}
	}
}
