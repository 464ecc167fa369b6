package engine_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"traffic_management/config"
)

// parse loads a configuration.
func parse(t testing.TB, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("site.yaml", []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return c
}

// reload brings a configuration into force that must be good.
func (p *proxy) reload(t testing.TB, text fmt.Stringer) {
	t.Helper()
	if err := p.Reload(parse(t, text.String())); err != nil {
		t.Fatal(err)
	}
}

// text is a configuration as it is written.
type text string

func (s text) String() string { return string(s) }

// at is the same proxy through another entry point.
func (p *proxy) at(t testing.TB, entryPoint string) *proxy {
	t.Helper()
	address := p.Addr(entryPoint).String()
	if strings.HasPrefix(address, "invalid") {
		t.Fatalf("there is no entry point %s", entryPoint)
	}
	return &proxy{Engine: p.Engine, address: address}
}

// named is a server that answers everything with its name, and its connections.
func named(t testing.TB, name string) *backend {
	b := listen(t)
	go func() {
		for c := range b.accepted {
			b.taken.Add(1)
			go func() {
				defer c.Close()
				buf := make([]byte, 4096)
				head := ""
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					if head += string(buf[:n]); strings.HasSuffix(head, "\r\n\r\n") {
						head = ""
						fmt.Fprint(c, response(name))
					}
				}
			}()
		}
	}()
	return b
}

// expect sends a request and checks the answer's status and content.
func (p *peer) expect(path string, status int, content string) {
	p.t.Helper()
	p.say("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
	head, got := p.response()
	if want := fmt.Sprintf("HTTP/1.1 %d %s\r\n", status, http.StatusText(status)); !strings.HasPrefix(head, want) ||
		content != "" && got != content {
		p.t.Fatalf("%s\n%s%s\nwant %d %s", path, quoteLines(head), quoteLines(got), status, content)
	}
}

// TestReloadRouting changes routers and services; a connection that stays open sees each change with its next request.
func TestReloadRouting(t *testing.T) {
	one, two := named(t, "one"), named(t, "two")
	entry := "entrypoints: {web: {address: '127.0.0.1:0'}}\n"
	services := fmt.Sprintf("services: {one: {servers: [{url: 'http://%s'}]}, two: {servers: [{url: 'http://%s'}]}}\n",
		one.address, two.address)
	p := startText(t, entry+services+"routers: {a: {rule: PathPrefix(`/`), service: one}}\n", 2)
	client := p.dial(t)
	client.expect("/", 200, "one")

	p.reload(t, text(entry+services+"routers: {a: {rule: PathPrefix(`/`), service: two}}\n"))
	client.expect("/", 200, "two")
	p.reload(t, text(entry+services+"routers: {a: {rule: PathPrefix(`/`), service: one}, b: {rule: PathPrefix(`/b`), service: two}}\n"))
	client.expect("/", 200, "one")
	client.expect("/b", 200, "two")
	p.reload(t, text(entry+fmt.Sprintf("services: {two: {servers: [{url: 'http://%s'}]}}\n", two.address)+
		"routers: {b: {rule: PathPrefix(`/b`), service: two}}\n"))
	client.expect("/", 404, "")
	client.expect("/b", 200, "two")
	p.reload(t, text(entry+fmt.Sprintf("services: {two: {servers: [{url: 'http://%s'}]}}\n", one.address)+
		"routers: {b: {rule: PathPrefix(`/b`), service: two}}\n"))
	client.expect("/b", 200, "one")
}

// TestReloadEntryPoints adds, renames and removes entry points. Those who came through one that goes are still answered,
// for the last time.
func TestReloadEntryPoints(t *testing.T) {
	one := named(t, "one")
	rest := fmt.Sprintf("services: {one: {servers: [{url: 'http://%s'}]}}\nrouters: {a: {rule: PathPrefix(`/`), service: one}}\n",
		one.address)
	with := func(entryPoints string) text { return text("entrypoints: {" + entryPoints + "}\n" + rest) }
	p := startText(t, with("web: {address: '127.0.0.1:0'}").String(), 2)
	web := p.dial(t)
	web.expect("/", 200, "one")

	p.reload(t, with("web: {address: '127.0.0.1:0'}, more: {address: '[::1]:0'}"))
	more := p.at(t, "more").dial(t)
	more.expect("/", 200, "one")
	if p.Addr("web").String() != p.address {
		t.Error("an entry point that stays has another address")
	}
	p.reload(t, with("renamed: {address: '127.0.0.1:0'}, more: {address: '[::1]:0'}"))
	web.expect("/", 200, "one")
	if p.Addr("renamed").String() != p.address || p.Addr("web").TCP.IsValid() {
		t.Error("an entry point that was renamed does not keep its address")
	}
	gone := p.at(t, "more")
	late := gone.dial(t)
	p.reload(t, with("renamed: {address: '127.0.0.1:0'}"))
	for _, c := range []*peer{more, late} {
		c.say(get)
		c.hear("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\none")
		c.hearEnd()
	}
	if c, err := dialAddress(gone.address); err == nil {
		c.Close()
		t.Error("an address that no entry point has is still listened on")
	}
	web.expect("/", 200, "one")
}

// TestReloadRefused tries configurations that are wrong in different ways; nothing of them comes into force.
func TestReloadRefused(t *testing.T) {
	one := named(t, "one")
	taken := listen(t)
	format := "entrypoints: {web: {address: '127.0.0.1:0'}, %s}\nservices: {one: {servers: [{url: 'http://" + one.address +
		"'}]}}\nrouters: {a: {rule: '%s', service: one}}\n%s"
	good := fmt.Sprintf(format, "", "PathPrefix(`/`)", "")
	p := startText(t, good, 1)
	client := p.dial(t)
	descriptors := countDescriptors(t)
	for _, c := range []struct{ entry, rule, more, want string }{
		{"", "PathPrefix(`/`", "", "site.yaml:3:"},
		{"b: {address: '" + taken.address + "'}", "PathPrefix(`/`)", "", "site.yaml:1:"},
		{"b: {address: '127.0.0.1:0'}", "PathPrefix(`/`)", "access_log: {file: /no/such/directory/log}\n", "site.yaml:4:"},
		{"b: {address: '127.0.0.1:0'}", "PathPrefix(`/`)", "access_log: {}\nmetrics: {address: '" + taken.address + "'}\n", "site.yaml:5:"},
	} {
		err := p.Reload(parse(t, fmt.Sprintf(format, c.entry, c.rule, c.more)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: the error is %v, want one at %s", c, err, c.want)
		}
		client.expect("/", 200, "one")
		if p.Addr("b").TCP.IsValid() {
			t.Errorf("%+v: the entry point listens", c)
		}
	}
	checkLeft(t, "descriptors", descriptors+3, func() int { return countDescriptors(t) }) // of the client and the server
}

// TestReloadTouchesNoSocket has a download, an upload and a connection between requests live through 20 reloads, and
// counts what the server sees of them.
func TestReloadTouchesNoSocket(t *testing.T) {
	b := listen(t)
	s := site{servers: []string{b.address}, loops: 1}
	p := s.start(t)
	idle, download, upload := p.dial(t), p.dial(t), p.dial(t)
	download.say("GET /down HTTP/1.1\r\nHost: a\r\n\r\n")
	down := b.accept(t)
	down.head()
	down.say("HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\nab")
	download.hear("HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\nab")
	upload.say("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 42\r\n\r\nab")
	up := b.accept(t)
	up.head()
	up.hear("ab")
	idle.say(get)
	pooled := b.accept(t)
	pooled.answer()
	idle.hear(response("/ "))
	for i := range 20 {
		s.http = fmt.Sprintf("max_headers: %d", 50+i)
		s.service = fmt.Sprintf("timeouts: {request_ms: %d}, load_balancer: {strategy: %s}", 30000+i,
			[]string{"round_robin", "ewma", "consistent_hash", "least_conn"}[i%4])
		p.reload(t, s)
		if n := p.OldSnapshots(); n != 1 {
			t.Fatalf("%d old configurations are in use after %d reloads, want the one of the running requests", n, i+1)
		}
		idle.say(get)
		pooled.answer()
		idle.hear(response("/ "))
		down.say("cd")
		download.hear("cd")
		upload.say("cd")
		up.hear("cd")
	}
	up.say(response("up"))
	upload.hear(response("up"))
	checkLeft(t, "old configurations", 0, p.OldSnapshots)
	b.expectNoMore(t)
}

// TestReloadLeavesNothing reloads 50 times, with all that can change in turn; descriptors and goroutines stay as they are.
func TestReloadLeavesNothing(t *testing.T) {
	one, two := named(t, "one"), named(t, "two")
	dir := t.TempDir()
	configuration := func(i int) text {
		return text(fmt.Sprintf("entrypoints: {web: {address: '127.0.0.1:0'}, e%d: {address: 'unix:%s/%d'}}\n"+
			"services: {s%d: {servers: [{url: 'http://%s'}, {url: 'http://localhost:%s'}]}}\n"+
			"routers: {r%d: {rule: PathPrefix(`/`), service: s%d}}\n"+
			"metrics: {address: '127.0.0.1:0'}\naccess_log: {file: %s/log%d}\n",
			i%2, dir, i, i%3, one.address, two.address[len("127.0.0.1:"):], i, i%3, dir, i%4))
	}
	p := startText(t, configuration(0).String(), 2)
	client := p.dial(t)
	round := func(i int) {
		p.reload(t, configuration(i))
		client.expect("/", 200, "")
		client.expect("/", 200, "")
	}
	for i := range 10 {
		round(i)
	}
	descriptors, goroutines := countDescriptors(t), runtime.NumGoroutine()
	for i := range 50 {
		round(i)
	}
	checkLeft(t, "descriptors", descriptors+8, func() int { return countDescriptors(t) }) // both ends of pooled connections
	checkLeft(t, "goroutines", goroutines+4, runtime.NumGoroutine)
	checkLeft(t, "old configurations", 0, p.OldSnapshots)
}

// TestReloadEndsOldExchanges gives requests no time with a configuration that was replaced.
func TestReloadEndsOldExchanges(t *testing.T) {
	b := listen(t)
	p := site{servers: []string{b.address}}.start(t)
	unanswered, download := p.dial(t), p.dial(t)
	unanswered.say(get)
	server := b.accept(t)
	server.head()
	download.say(get)
	down := b.accept(t)
	down.head()
	down.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
	download.hear("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")

	p.reload(t, text(site{servers: []string{b.address}}.String()+"reload: {old_exchanges_seconds: 0}\n"))
	if head := unanswered.head(); !strings.HasPrefix(head, "HTTP/1.1 503 ") {
		t.Errorf("the answer to a request that was not answered yet is\n%s", head)
	}
	download.hearLoss()
	checkLeft(t, "old configurations", 0, p.OldSnapshots)
}

// TestReloadPolicies brings health checks, a breaker, retries, sticky sessions and weights into force and out again,
// each with its next request.
func TestReloadPolicies(t *testing.T) {
	one, two := named(t, "one"), named(t, "two")
	dead := deadAddress(t)
	format := "entrypoints: {web: {address: '127.0.0.1:0'}}\n" +
		"services: {main: {servers: [{url: 'http://%s', weight: %d}, {url: 'http://%s', weight: %d}], load_balancer: {strategy: weighted, %s}, %s}}\n" +
		"routers: {a: {rule: PathPrefix(`/`), service: main, middlewares: [%s]}}\n" +
		"middlewares: {again: {retry: {attempts: 2}}, fuse: {circuit_breaker: {failure_threshold: 2, status_codes: [502], recovery_timeout_seconds: 3600}}}\n"
	configuration := func(first string, weight int, second string, weight2 int, balancer, more, middlewares string) text {
		return text(fmt.Sprintf(format, first, weight, second, weight2, balancer, more, middlewares))
	}
	p := startText(t, configuration(one.address, 1, two.address, 0, "", "", "").String(), 1)
	client := p.dial(t)
	client.expect("/", 200, "one")
	client.expect("/", 200, "one")
	p.reload(t, configuration(one.address, 0, two.address, 1, "", "", ""))
	client.expect("/", 200, "two")
	client.expect("/", 200, "two")

	p.reload(t, configuration(one.address, 1, two.address, 0, "sticky: {cookie: {name: at, secret: s}}", "", ""))
	client.say(get)
	head, _ := client.response()
	_, cookie, ok := strings.Cut(head, "Set-Cookie: at=")
	if cookie, _, _ = strings.Cut(cookie, "\r\n"); !ok || !strings.HasSuffix(cookie, "; Path=/; HttpOnly; SameSite=Lax") {
		t.Errorf("no sticky cookie in\n%s", head)
	}
	cookie, _, _ = strings.Cut(cookie, ";")
	p.reload(t, configuration(one.address, 0, two.address, 1, "sticky: {cookie: {name: at, secret: s}}", "", ""))
	client.say("GET / HTTP/1.1\r\nHost: a\r\nCookie: at=" + cookie + "\r\n\r\n")
	if _, content := client.response(); content != "one" {
		t.Errorf("a client that sticks to a server that drains is answered by %s", content)
	}

	breaking := configuration(dead, 1, dead, 1, "", "", "fuse")
	p.reload(t, breaking)
	for range 2 {
		client.expect("/", 502, "")
	}
	client.expect("/", 503, "")
	p.reload(t, breaking)
	client.expect("/", 503, "") // its state outlives the reload
	p.reload(t, configuration(dead, 1, dead, 1, "", "", ""))
	client.expect("/", 502, "")

	checked := configuration(dead, 1, two.address, 1, "panic_threshold_percent: 0",
		"health_check: {type: tcp, interval_seconds: 1, unhealthy_threshold: 1}", "again")
	p.reload(t, checked)
	for range 20 {
		client.expect("/", 200, "two")
	}
}

// TestReloadLogAndMetrics moves the access log and the metrics while requests go on.
func TestReloadLogAndMetrics(t *testing.T) {
	one := named(t, "one")
	dir := t.TempDir()
	plain := site{servers: []string{one.address}}.String()
	with := func(file string) text {
		return text(plain + "metrics: {address: '127.0.0.1:0'}\naccess_log: {file: " + dir + "/" + file + "}\n")
	}
	p := startText(t, with("a").String(), 2)
	client := p.dial(t)
	client.expect("/first", 200, "one")
	metrics := p.MetricsAddr().String()
	p.reload(t, with("b"))
	client.expect("/second", 200, "one")
	if p.MetricsAddr().String() != metrics {
		t.Error("metrics moved, though nobody said so")
	}
	p.reload(t, text(plain))
	client.expect("/third", 200, "one")
	if p.MetricsAddr() != nil {
		t.Error("metrics are still served")
	}
	for file, want := range map[string]string{"a": "/first", "b": "/second"} {
		content, err := os.ReadFile(dir + "/" + file)
		if err != nil || !strings.Contains(string(content), `"path":"`+want+`"`) || strings.Count(string(content), "\n") != 1 {
			t.Errorf("log %s has (%v)\n%s", file, err, content)
		}
	}
}

// TestReloadUnderLoad has clients ask all the time, over connections they keep and over new ones, while everything that
// can change does. None of them notices.
func TestReloadUnderLoad(t *testing.T) {
	one, two := named(t, "same"), named(t, "same")
	log := t.TempDir() + "/log"
	configuration := func(i int) text {
		servers := []string{one.address, two.address}
		return text(fmt.Sprintf("entrypoints: {w%d: {address: '127.0.0.1:0', http: {max_headers: %d}}}\n"+
			"services: {s%d: {servers: [{url: 'http://%s'}], load_balancer: {strategy: %s}}}\n"+
			"routers: {r%d: {rule: PathPrefix(`/`), service: s%d}}\naccess_log: {file: %s%d}\n",
			i%2, 50+i, i%3, servers[i%2], []string{"p2c", "weighted", "ewma"}[i%3], i, i%3, log, i%2))
	}
	first := strings.Replace(configuration(0).String(), "w0", "web", 1)
	p := startText(t, first, 2)
	var asking sync.WaitGroup
	var asked atomic.Int64
	stop := make(chan struct{})
	for i := range 4 {
		asking.Go(func() {
			client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: i == 0}}
			defer client.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				response, err := client.Get("http://" + p.address + "/")
				if err != nil {
					t.Error(err)
					return
				}
				content, err := io.ReadAll(response.Body)
				response.Body.Close()
				if err != nil || string(content) != "same" {
					t.Errorf("status %d %q, %v", response.StatusCode, content, err)
					return
				}
				asked.Add(1)
			}
		})
	}
	for i := range 40 {
		before := asked.Load()
		p.reload(t, configuration(i))
		for deadline := time.Now().Add(patience); asked.Load() < before+8 && !t.Failed(); runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Error("nobody is answered any more")
			}
		}
	}
	close(stop)
	asking.Wait()
	checkLeft(t, "old configurations", 0, p.OldSnapshots)
	t.Logf("%d requests", asked.Load())
}
