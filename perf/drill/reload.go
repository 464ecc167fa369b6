package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"traffic_management/perf/process"
)

// Times of the drill that changes the configuration.
const (
	changeEvery = 300 * time.Millisecond
	// changeLimit bounds the time from a change of the file until requests meet it.
	changeLimit = 10 * time.Second
)

// site is what the configurations of the drill have in common.
type site struct {
	fleet   *fleet
	echo    string // address of the server of WebSockets
	address string // of the entry point that is always there
	other   string // of the one that comes and goes
}

func reloading(ctx context.Context, b *bed) ([]finding, error) {
	changes, every := 200, 5*time.Millisecond
	if b.extent == glance {
		changes, every = 6, 10*time.Millisecond
	}
	echo, err := startEcho()
	if err != nil {
		return nil, err
	}
	defer echo.Close()
	f, err := b.startFleet(ctx, 3)
	defer f.stop()
	if err != nil {
		return nil, err
	}
	s := &site{fleet: f, echo: echo.Addr}
	for _, address := range []*string{&s.address, &s.other} {
		if *address, err = process.FreeAddress(); err != nil {
			return nil, err
		}
	}
	p, err := b.startProxy(ctx, s.address, s.generation(0))
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	gets, posts, echoes := newTally(), newTally(), newTally()
	loading, unload := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer unload()
	all.Go(func() { load{s.address, http.MethodGet, keeping, 16, every}.run(loading, gets) })
	all.Go(func() { load{s.address, http.MethodPost, keeping, 4, every}.run(loading, posts) })
	all.Go(func() { echoing(loading, s.address, every, echoes) })
	slowest, err := s.change(ctx, p, changes)
	if err != nil {
		return nil, err
	}
	unload()
	all.Wait()
	return []finding{
		figure("changes, by SIGHUP and by the file alone in turns", "%d", changes),
		figure("longest time until a change is in force", "%v", slowest.Round(time.Millisecond)),
		bar("every GET is answered", gets.failures(nil) == 0, "%v", gets),
		bar("every POST is answered", posts.failures(nil) == 0, "%v", posts),
		bar("no connection is closed by the proxy", gets.ended+posts.ended == 0, "%d", gets.ended+posts.ended),
		bar("the WebSocket lives through all", echoes.failures(nil)+echoes.ended == 0 && echoes.answered > 0, "%v", echoes),
		figure("longest answer", "GET %v, POST %v, WebSocket %v", gets.slowest.Round(time.Millisecond),
			posts.slowest.Round(time.Millisecond), echoes.slowest.Round(time.Millisecond)),
	}, nil
}

// generation is the nth configuration: every one has another server left out, strategy, time limits, routers, and every
// other pair of them one entry point more.
func (s *site) generation(n int) string {
	strategies := []string{"round_robin", "weighted", "least_conn", "random"}
	b := &strings.Builder{}
	fmt.Fprintf(b, "entrypoints:\n  web: {address: '%s'}\n", s.address)
	if hasOther(n) {
		fmt.Fprintf(b, "  other: {address: '%s'}\n", s.other)
	}
	fmt.Fprintf(b, "services:\n  fleet: {servers: [%s], load_balancer: {strategy: %s}, timeouts: {request_ms: %d}}\n",
		s.fleet.urls(n%4), strategies[n%len(strategies)], 30_000+n)
	fmt.Fprintf(b, "  echo: {servers: [{url: 'http://%s'}]}\nrouters:\n", s.echo)
	fmt.Fprintf(b, "  all: {rule: 'PathPrefix(`/%d`)', service: fleet}\n  echo: {rule: 'Path(`/echo`)', service: echo}\n", size)
	fmt.Fprintf(b, "  mark: {rule: 'Path(`/1`) && Query(`generation`, `%d`)', service: fleet}\n", n)
	for i := range n % 5 {
		fmt.Fprintf(b, "  more-%d: {rule: 'Host(`more-%d.test`)', service: fleet}\n", i, i)
	}
	return b.String()
}

func hasOther(n int) bool { return n%4 >= 2 }

// change puts one configuration after the other in force and returns the longest time that took.
func (s *site) change(ctx context.Context, p *proxy, changes int) (slowest time.Duration, err error) {
	tick := time.NewTicker(changeEvery)
	defer tick.Stop()
	for n := 1; n <= changes; n++ {
		if err := wait(ctx, tick.C); err != nil {
			return slowest, err
		}
		began := time.Now()
		if err := p.rewrite(s.generation(n), n); err != nil {
			return slowest, err
		}
		for {
			ok, err := s.inForce(ctx, n)
			if err != nil {
				return slowest, err
			}
			if ok {
				break
			}
			if time.Since(began) > changeLimit {
				return slowest, fmt.Errorf("configuration %d is not in force after %v", n, changeLimit)
			}
			if err := wait(ctx, time.After(5*time.Millisecond)); err != nil {
				return slowest, err
			}
		}
		slowest = max(slowest, time.Since(began))
	}
	return slowest, nil
}

// rewrite changes the file of the configuration: in one piece or in place, with a signal or without.
func (p *proxy) rewrite(text string, n int) error {
	if n%4 < 2 { // so that each way of writing goes with and without a signal
		return errors.Join(os.WriteFile(p.file+".new", []byte(text), 0o600), os.Rename(p.file+".new", p.file), p.tell(n))
	}
	return errors.Join(os.WriteFile(p.file, []byte(text), 0o600), p.tell(n))
}

func (p *proxy) tell(n int) error {
	if n%2 == 0 {
		return nil // it watches the file
	}
	return syscall.Kill(p.Pid, syscall.SIGHUP)
}

// inForce asks for what only the nth configuration has, at the other entry point when it has that.
func (s *site) inForce(ctx context.Context, n int) (bool, error) {
	address := s.address
	if hasOther(n) {
		address = s.other
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/1?generation=%d", address, n), nil)
	if err != nil {
		return false, err
	}
	r.Close = true
	a, err := http.DefaultClient.Do(r)
	if errors.Is(err, syscall.ECONNREFUSED) && hasOther(n) {
		return false, nil // not there yet
	}
	if err != nil {
		return false, err
	}
	_, err = io.Copy(io.Discard, a.Body)
	a.Body.Close()
	return a.StatusCode == http.StatusOK, err
}
