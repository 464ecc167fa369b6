package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"traffic_management/engine"
)

// patience bounds waiting for what must happen; a test that reaches it fails.
const patience = 30 * time.Second

// site is a configuration with one entry point, "web", that leads everything to one service, "main". Its texts are
// YAML in flow style: keys without the braces around them.
type site struct {
	http     string // keys of entrypoints.web.http
	entry    string // further keys of entrypoints.web
	service  string // further keys of services.main
	ending   string // keys of shutdown; empty for idle connections to be closed at once
	address  string // of the entry point; empty for a port of 127.0.0.1
	rule     string // of the only router; empty for everything
	retry    string // keys of a middleware of that kind; empty for none
	breaker  string // as well, of a circuit_breaker
	servers  []string
	loops    int           // 0 for one
	plain    bool          // every socket call by itself
	shutdown time.Duration // given to Shutdown at the end of the test; 0 for patience
}

func (s site) String() string {
	urls := make([]string, len(s.servers))
	for i, address := range s.servers {
		urls[i] = "{url: 'http://" + address + "'}"
	}
	rule := s.rule
	if rule == "" {
		rule = "Host(`*`)"
	}
	address := s.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	ending := s.ending
	if ending == "" {
		ending = "idle_close_seconds: 0"
	}
	var kinds, names string
	for kind, keys := range map[string]string{"retry": s.retry, "circuit_breaker": s.breaker} {
		if keys != "" {
			kinds += fmt.Sprintf("the_%s: {%s: {%s}}, ", kind, kind, keys)
			names += "the_" + kind + ", "
		}
	}
	return fmt.Sprintf("entrypoints: {web: {address: '%s', http: {%s}, %s}}\nmiddlewares: {%s}\n"+
		"services: {main: {servers: [%s], %s}}\nrouters: {main: {rule: '%s', service: main, middlewares: [%s]}}\n"+
		"shutdown: {%s}\n",
		address, s.http, s.entry, kinds, strings.Join(urls, ", "), s.service, rule, names, ending)
}

// proxy is an engine that runs until its test ends.
type proxy struct {
	*engine.Engine
	address string
	stopped bool
}

// start runs an engine with the configuration of s.
func (s site) start(t testing.TB) *proxy {
	t.Helper()
	return run(t, s.String(), engine.Options{Loops: max(s.loops, 1), Plain: s.plain}, s.shutdown)
}

// startText runs an engine with this configuration, which has an entry point "web".
func startText(t testing.TB, text string, loops int) *proxy {
	t.Helper()
	return run(t, text, engine.Options{Loops: loops}, 0)
}

// run runs an engine. When the test ends the engine is shut down, and must leave no goroutine and no descriptor.
func run(t testing.TB, text string, o engine.Options, shutdown time.Duration) *proxy {
	t.Helper()
	goroutines, descriptors := runtime.NumGoroutine(), countDescriptors(t)
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	e, err := engine.New(parse(t, text), o)
	if err != nil {
		t.Fatal(err)
	}
	e.Start(t.Context())
	p := &proxy{Engine: e, address: e.Addr("web").String()}
	t.Cleanup(func() {
		if !p.stopped {
			p.shutdown(t, shutdown)
		}
		checkLeft(t, "goroutines", goroutines, runtime.NumGoroutine)
		checkLeft(t, "descriptors", descriptors, func() int { return countDescriptors(t) })
	})
	return p
}

// shutdown ends the engine; connections still open are cut off after the time given.
func (p *proxy) shutdown(t testing.TB, d time.Duration) error {
	if d == 0 {
		d = patience
	}
	p.stopped = true
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return p.Shutdown(ctx)
}

// checkLeft waits until there are no more of something than there were.
func checkLeft(t testing.TB, what string, before int, count func() int) {
	deadline := time.Now().Add(patience)
	for count() > before {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Errorf("%d %s are left over\n%s", count()-before, what, stacks[:runtime.Stack(stacks, true)])
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func countDescriptors(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// backend is a listening server that does nothing by itself: tests take its connections one by one.
type backend struct {
	listener net.Listener
	address  string
	accepted chan net.Conn
	taken    atomic.Int64 // connections that named took
}

// listen opens a backend until the test ends. It must be opened before the proxy, whose end is to find it open.
func listen(t testing.TB) *backend {
	t.Helper()
	return listenAt(t, "127.0.0.1:0")
}

// listenAt is listen at an address of this machine.
func listenAt(t testing.TB, address string) *backend {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{listener: l, address: l.Addr().String(), accepted: make(chan net.Conn, 1024)}
	go func() {
		defer close(b.accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.accepted <- c
		}
	}()
	t.Cleanup(func() { l.Close() })
	return b
}

// accept takes the next connection.
func (b *backend) accept(t testing.TB) *peer {
	t.Helper()
	select {
	case c := <-b.accepted:
		return newPeer(t, "server", c)
	case <-time.After(patience):
		t.Fatal("no connection to the server was opened")
		return nil
	}
}

// expectNoMore fails the test when there is a connection that nobody took.
func (b *backend) expectNoMore(t testing.TB) {
	t.Helper()
	select {
	case c := <-b.accepted:
		c.Close()
		t.Error("one connection more than expected to the server was opened")
	default:
	}
}

// deadAddress is one at which nobody listens.
func deadAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
