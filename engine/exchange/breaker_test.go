package exchange_test

import (
	"strings"
	"testing"
	"time"

	"traffic_management/engine/exchange"
	"traffic_management/upstream"
)

const failing = "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"

// newBreakerScene has a breaker of the whole service that opens for 6.5 s after two failures. That of a single server
// does not come into it: each fails once.
func newBreakerScene(t *testing.T) *scene {
	s := newScene(t)
	p := upstream.BreakerPolicy{Name: "b", FailureThreshold: 2, Recovery: 6500 * time.Millisecond, HalfOpenRequests: 1}
	p.Failures.Add(500, 599)
	s.route.Breaker = s.route.Service.Breaker(p)
	return s
}

// ask sends a request, has the server that gets it do what play says, and returns what the client got.
func (s *scene) ask(request string, play func(server *end)) string {
	e := &end{}
	s.connect(e)
	for _, server := range s.servers {
		server.got = ""
	}
	s.sends(e, request)
	for _, server := range s.servers {
		if server.got != "" {
			play(server)
			s.loop.Run()
		}
	}
	if s.loop.Advance(600 * time.Millisecond); e.got == "" {
		e.conn.Abort()
		s.loop.Run()
	}
	return e.got
}

func (s *scene) answers(with string) func(*end) {
	return func(server *end) { s.sends(server, with) }
}

// TestBreaker tells what counts as a failure: after two of them nobody is let through.
func TestBreaker(t *testing.T) {
	once := policy()
	once.Attempts = 1
	for _, c := range []struct {
		name  string
		retry *exchange.RetryPolicy
		play  func(s *scene) func(*end)
		opens bool
	}{
		{"a status that is a failure", nil, func(s *scene) func(*end) { return s.answers(failing) }, true},
		{"one that is none", nil, func(s *scene) func(*end) {
			return s.answers("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
		}, false},
		{"no response", nil, func(*scene) func(*end) { return func(e *end) { e.conn.Close(false) } }, true},
		{"a client that leaves", nil, func(*scene) func(*end) { return func(*end) {} }, false},
		{"no server to ask", nil, func(s *scene) func(*end) {
			for _, x := range s.targets {
				x.SetDraining(true)
			}
			return func(*end) { t.Error("a server was asked") }
		}, false},
		{"a response that is cut short", nil, func(s *scene) func(*end) {
			return func(e *end) { s.sends(e, ok[:len(ok)-1]); e.conn.Abort() }
		}, false},
		{"a failure that a retry makes good", policy(), func(s *scene) func(*end) {
			return func(e *end) { e.conn.Close(false); s.loop.Run(); s.loop.Advance(200 * time.Millisecond); s.answerAll() }
		}, false},
		{"a retry that fails, too", once, func(s *scene) func(*end) {
			return func(e *end) {
				e.conn.Close(false)
				s.loop.Run()
				s.loop.Advance(200 * time.Millisecond)
				s.servers[len(s.servers)-1].conn.Close(false)
			}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newBreakerScene(t)
			s.route.Retry = c.retry
			for range 2 {
				s.ask(requests["get"], c.play(s))
			}
			for _, x := range s.targets {
				x.SetDraining(false)
			}
			got, want := s.ask(requests["get"], s.answers(ok)), "HTTP/1.1 200 OK\r\n"
			if c.opens {
				want = "HTTP/1.1 503 Service Unavailable\r\n"
			}
			refused := strings.HasPrefix(s.done[len(s.done)-1], "503 breaker_open")
			if !strings.HasPrefix(got, want) || refused != c.opens {
				t.Errorf("the third client got %q, the observer %q", got, s.done)
			}
		})
	}
}

// TestBreakerRecovers opens the breaker and waits: one request is let through, and when its response begins, all are.
func TestBreakerRecovers(t *testing.T) {
	s := newBreakerScene(t)
	for range 2 {
		s.ask(requests["get"], s.answers(failing))
	}
	opened := s.loop.Now()
	got := s.ask(requests["get"], func(*end) { t.Error("a server was asked") })
	if !strings.Contains(got, "\r\nRetry-After: 6\r\n") || !strings.Contains(got, "the circuit breaker of the service is open") ||
		s.done[len(s.done)-1] != "503 breaker_open, 0 retries" {
		t.Errorf("while open: %q, observed %q", got, s.done)
	}
	s.loop.Advance(6500*time.Millisecond - s.loop.Now().Sub(opened))
	for range 2 { // whose client leaves says nothing; another one may try
		if got := s.ask(requests["get"], func(*end) {}); got != "" {
			t.Fatalf("a probe got %q", got)
		}
	}
	var probe end
	s.connect(&probe)
	for _, server := range s.servers {
		server.got = ""
	}
	s.sends(&probe, requests["get"])
	if got := s.ask(requests["get"], func(*end) {}); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("during the probe: %q", got)
	}
	server := s.servers[len(s.servers)-1]
	s.sends(server, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nthe rest takes long")
	server.got = ""
	if got := s.ask(requests["get"], s.answers(ok)); got != ok {
		t.Errorf("behind the probe: %q", got)
	}
}

// TestSticky has a client come back with the cookie it was given.
func TestSticky(t *testing.T) {
	s := newScene(t)
	o := *s.route.Service.Options()
	o.Sticky = &upstream.Sticky{Name: "srv", Attributes: "; Path=/", Key: []byte("key")}
	s.route.Service.SetOptions(&o)
	var asked *end
	answer := func(server *end) { asked = server; s.sends(server, ok) }
	// cookie asks with a cookie and returns the server that answered and the cookie that the client is given.
	cookie := func(value string) (server *end, given string) {
		request := "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
		if value != "" {
			request += "Cookie: a=b; " + value + "\r\n"
		}
		_, after, _ := strings.Cut(s.ask(request+"\r\n", answer), "\r\nSet-Cookie: ")
		given, _, _ = strings.Cut(after, "; Path=/\r\n")
		return asked, given
	}
	first, given := cookie("")
	if !strings.HasPrefix(given, "srv=") {
		t.Fatalf("the first response sets %q", given)
	}
	for range 3 {
		if server, again := cookie(given); server.conn.Local() != first.conn.Local() || again != "" {
			t.Errorf("a client with a cookie was sent to %v, not %v, and given %q", server.conn.Local(), first.conn.Local(), again)
		}
	}
	for i, x := range s.targets {
		if x.Addr.TCP == first.conn.Local() {
			s.loop.Unlisten(serverAddr(i))
		}
	}
	first.conn.Close(false)
	s.loop.Run()
	other, moved := cookie(given)
	if other.conn.Local() == first.conn.Local() || !strings.HasPrefix(moved, "srv=") || moved == given {
		t.Errorf("when its server is gone: %v instead of %v, cookie %q", other.conn.Local(), first.conn.Local(), moved)
	}
	if server, again := cookie("srv=forged"); server == nil || again == "" {
		t.Error("a cookie of nobody's was taken for one")
	}
}

// TestHash has requests of one path go to one server, and others to others.
func TestHash(t *testing.T) {
	s := newScene(t)
	o := *s.route.Service.Options()
	o.Strategy, o.Hash = upstream.ConsistentHash, upstream.HashKey{Kind: upstream.HashPath}
	s.route.Service.SetOptions(&o)
	where := map[string]string{}
	seen := map[string]bool{}
	for i := range 60 {
		path := "/" + string(rune('a'+i%20))
		s.ask("GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n", func(server *end) {
			at := server.conn.Local().String()
			if before := where[path]; before != "" && before != at {
				t.Errorf("%s went to %s, then to %s", path, before, at)
			}
			where[path], seen[at] = at, true
			s.sends(server, ok)
		})
	}
	if len(where) != 20 || len(seen) != 2 {
		t.Errorf("20 paths lead to %d servers: %v", len(seen), where)
	}
}

// TestTimes holds what the observer reads of the last attempt.
func TestTimes(t *testing.T) {
	type times struct{ queue, connect, first time.Duration }
	s := newScene(t)
	o := *s.route.Service.Options()
	o.MaxConnections = 1
	s.route.Service.SetOptions(&o)
	s.loop.Net.Delay = 20 * time.Millisecond
	var got []times
	s.observed = func(x *exchange.Exchange) { got = append(got, times{x.QueueTime(), x.ConnectTime(), x.FirstByte()}) }
	var clients [3]end
	for i := range clients {
		s.connect(&clients[i])
		clients[i].conn.Write([]byte(requests["get"]))
		s.loop.Advance(100 * time.Millisecond)
	}
	// Each server has one connection, so the third request waits for the first.
	s.loop.Advance(100 * time.Millisecond)
	s.servers[0].conn.Write([]byte(ok))
	s.loop.Advance(300 * time.Millisecond)
	s.servers[1].conn.Write([]byte(ok))
	s.loop.Advance(300 * time.Millisecond)
	s.servers[0].conn.Write([]byte(ok))
	s.loop.Advance(300 * time.Millisecond)
	want := []times{{0, 20, 400}, {0, 20, 600}, {200, 0, 600}} // milliseconds
	if len(got) != len(want) {
		t.Fatalf("%d exchanges ended", len(got))
	}
	near := func(got, want time.Duration) bool { return (got - want*time.Millisecond).Abs() < 80*time.Millisecond }
	for i, w := range want {
		if g := got[i]; !near(g.queue, w.queue) || !near(g.connect, w.connect) || !near(g.first, w.first) ||
			(g.queue > 0) != (w.queue > 0) || (g.connect > 0) != (w.connect > 0) {
			t.Errorf("request %d: %v, want about %v ms", i+1, g, w)
		}
	}
}
