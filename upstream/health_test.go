package upstream

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"traffic_management/engine/reactor"
)

// nap is one sleep of a checker's goroutine, which lasts until it is ended.
type nap struct {
	length time.Duration
	end    chan struct{}
}

// checkBed is a checker whose sleeps the test ends, and what it said of the servers.
type checkBed struct {
	t       *testing.T
	checker *Checker
	service *Service
	naps    chan nap
	mu      sync.Mutex
	events  []string
}

func newCheckBed(t *testing.T) *checkBed {
	b := &checkBed{t: t, naps: make(chan nap)}
	b.service = NewService("s", &Options{}, func(e Event) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.events = append(b.events, fmt.Sprintf("%s: %s, %s", e.Target.ID, e.To, e.Why))
	})
	b.checker = NewChecker(func() reactor.Instant { return 1 }, func(ctx context.Context, d time.Duration) error {
		n := nap{d, make(chan struct{})}
		select {
		case b.naps <- n:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-n.end:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	t.Cleanup(b.checker.Stop)
	return b
}

// asleep waits until a server's check is over and its goroutine sleeps.
func (b *checkBed) asleep() nap {
	b.t.Helper()
	select {
	case n := <-b.naps:
		return n
	case <-time.After(patience):
		b.t.Fatal("no check ended")
		return nap{}
	}
}

// checks has the one server checked n times.
func (b *checkBed) checks(n nap, times int) nap {
	b.t.Helper()
	for range times {
		close(n.end)
		n = b.asleep()
	}
	return n
}

// told is what the service was told since the last time.
func (b *checkBed) told() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := strings.Join(b.events, "; ")
	b.events = nil
	return s
}

func httpPolicy() *HealthPolicy {
	p := &HealthPolicy{Interval: 10 * time.Second, Timeout: 5 * time.Second, Healthy: 2, Unhealthy: 3, Method: "GET",
		Path: "/up?q=1"}
	p.Expected.Add(200, 399)
	return p
}

func addressOf(l net.Listener) reactor.Addr {
	if l.Addr().Network() == "unix" {
		return reactor.Addr{Path: l.Addr().String()}
	}
	return reactor.Addr{TCP: netip.MustParseAddrPort(l.Addr().String())}
}

// switchable is a server that answers as the test says.
type switchable struct {
	*httptest.Server
	mu     sync.Mutex
	answer http.HandlerFunc
}

func newSwitchable(t *testing.T, network, address string) *switchable {
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := &switchable{}
	s.Server = &httptest.Server{Listener: l, Config: &http.Server{Handler: s}}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *switchable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	answer := s.answer
	s.mu.Unlock()
	answer(w, r)
}

func (s *switchable) answers(f http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// It takes as many results in a row as configured to change what is known of a server, but for the first.
func TestHealthThresholds(t *testing.T) {
	b := newCheckBed(t)
	server := newSwitchable(t, "tcp", "127.0.0.1:0")
	target := NewTarget("a", addressOf(server.Listener), "a.example", 1)
	b.service.SetTargets([]*Target{target})
	server.answers(status(503))
	b.checker.Set(b.service, httpPolicy())
	n := b.asleep()
	if n.length > time.Second {
		t.Errorf("the first check is %v away", n.length)
	}
	n = b.checks(n, 1)
	if got := b.told(); got != "a: down, health check: status 503" {
		t.Errorf("after the first result: %q", got)
	}
	server.answers(status(204))
	n = b.checks(n, 1)
	server.answers(status(500))
	n = b.checks(n, 1)
	server.answers(status(200))
	n = b.checks(n, 1)
	if got := b.told(); got != "" {
		t.Errorf("told %q though no two good results followed each other", got)
	}
	n = b.checks(n, 1)
	if got := b.told(); got != "a: up, status 200" {
		t.Errorf("after two good results: %q", got)
	}
	server.answers(status(404))
	n = b.checks(n, 2)
	if got := b.told(); got != "" || target.Status(1).State != TargetUp {
		t.Errorf("after two bad results: %q, %v", got, target.Status(1).State)
	}
	if n.length < 9*time.Second || n.length > 11*time.Second {
		t.Errorf("the next check is %v away", n.length)
	}
	b.checks(n, 1)
	if st := target.Status(1); st.State != TargetDown || st.Healthy || st.LastError != "health check: status 404" {
		t.Errorf("after three bad results: %+v", st)
	}
}

// What is asked and what is made of the answer.
func TestHealthChecks(t *testing.T) {
	server := newSwitchable(t, "tcp", "127.0.0.1:0")
	local := newSwitchable(t, "unix", filepath.Join(t.TempDir(), "s"))
	closed := newSwitchable(t, "tcp", "127.0.0.1:0")
	closed.Close()
	port := addressOf(server.Listener).TCP.Port()
	expect := func(want string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			got := fmt.Sprintf("%s %s %s %s %s", r.Method, r.Host, r.URL, r.Header.Get("X-Check"), r.UserAgent())
			if got != want {
				t.Errorf("the server was asked %q, want %q", got, want)
			}
		}
	}
	for _, c := range []struct {
		name   string
		server *switchable
		answer http.HandlerFunc
		change func(*HealthPolicy)
		why    string
		good   bool
	}{
		{"plain", server, expect("GET a.example /up?q=1  traffic_management"), nil, "status 200", true},
		{"all that can be asked", server, expect("HEAD b.example /up?q=1 yes x"), func(p *HealthPolicy) {
			p.Method, p.Host, p.Headers = "HEAD", "b.example", map[string]string{"X-Check": "yes", "User-Agent": "x"}
		}, "status 200", true},
		{"a Host field", server, expect("GET c.example /up?q=1  traffic_management"), func(p *HealthPolicy) {
			p.Headers = map[string]string{"host": "c.example"}
		}, "status 200", true},
		{"a redirect is not followed", server, http.RedirectHandler("/elsewhere", http.StatusFound).ServeHTTP, nil, "status 302", true},
		{"another status", server, status(418), nil, "health check: status 418", false},
		{"a status that is expected", server, status(418), func(p *HealthPolicy) { p.Expected.Add(418, 418) }, "status 418", true},
		{"content", server, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "all is well") },
			func(p *HealthPolicy) { p.BodyContains = "is well" }, "status 200", true},
		{"other content", server, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "all is lost") },
			func(p *HealthPolicy) { p.BodyContains = "is well" }, `health check: the content does not contain "is well"`, false},
		{"content too far behind", server, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, strings.Repeat(" ", probeBytes), "is well")
		}, func(p *HealthPolicy) { p.BodyContains = "is well" }, `health check: the content does not contain "is well"`, false},
		{"silence", server, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			func(p *HealthPolicy) { p.Timeout = 20 * time.Millisecond }, "no answer to a health check in 20ms", false},
		{"unix socket", local, expect("GET a.example /up?q=1  traffic_management"), nil, "status 200", true},
		{"another port", closed, status(200), func(p *HealthPolicy) { p.Port = port }, "status 200", true},
		{"a connection", server, status(500), func(p *HealthPolicy) { p.Type = CheckTCP }, "a connection was accepted", true},
		{"no connection", closed, nil, func(p *HealthPolicy) { p.Type = CheckTCP }, "health check: dial tcp", false},
		{"no connection for a request", closed, nil, nil, "health check: dial tcp", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			server.answers(c.answer)
			local.answers(c.answer)
			p := httpPolicy()
			if c.change != nil {
				c.change(p)
			}
			probe := newProbe(NewTarget("a", addressOf(c.server.Listener), "a.example", 1), p)
			why, good := probe.check(t.Context())
			if good != c.good || !strings.HasPrefix(why, c.why) {
				t.Errorf("%v, %q; want %v, %q", good, why, c.good, c.why)
			}
		})
	}
}

// The checker follows the service's servers and settings.
func TestHealthFollows(t *testing.T) {
	b := newCheckBed(t)
	server := newSwitchable(t, "tcp", "127.0.0.1:0")
	server.answers(status(500))
	first, second := NewTarget("a", addressOf(server.Listener), "a", 1), NewTarget("b", addressOf(server.Listener), "b", 1)
	b.checker.Set(b.service, httpPolicy())
	b.service.SetTargets([]*Target{first})
	n := b.checks(b.asleep(), 1)
	b.service.SetTargets([]*Target{second}) // the first one's goroutine ends in its sleep
	m := b.checks(b.asleep(), 1)
	if got := b.told(); got != "a: down, health check: status 500; b: down, health check: status 500" {
		t.Errorf("told %q", got)
	}
	close(n.end)
	b.checker.Set(b.service, httpPolicy()) // the same settings: the goroutine sleeps on
	server.answers(status(200))
	m = b.checks(m, 1)
	other := httpPolicy()
	other.Healthy = 1
	b.checker.Set(b.service, other) // another goroutine
	close(m.end)
	b.checks(b.asleep(), 1)
	if got := b.told(); got != "b: up, status 200" {
		t.Errorf("told %q", got)
	}
	server.answers(status(500))
	strict := httpPolicy()
	strict.Unhealthy = 1
	b.checker.Set(b.service, strict)
	b.checks(b.asleep(), 1)
	b.checker.Set(b.service, nil)
	if got := b.told(); got != "b: down, health check: status 500; b: up, it is no longer checked" {
		t.Errorf("told %q", got)
	}
	b.checker.Stop()
	b.service.SetTargets([]*Target{first})
	b.checker.Set(b.service, httpPolicy())
	if n := len(b.checker.services); n != 0 {
		t.Errorf("%d services are checked after Stop", n)
	}
}
