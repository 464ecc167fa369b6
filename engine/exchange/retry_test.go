package exchange_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

// policy has requests repeated twice, after 503, too.
func policy() *exchange.RetryPolicy {
	p := &exchange.RetryPolicy{Attempts: 2, InitialInterval: 100 * time.Millisecond, MaxInterval: 300 * time.Millisecond,
		AttemptTimeout: 500 * time.Millisecond, BudgetPercent: 20, MaxBody: 64}
	p.OnStatus.Add(503, 503)
	return p
}

// requests are those of TestRetry, by name.
var requests = map[string]string{
	"get":      "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
	"put":      "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\ndata",
	"chunked":  "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n0\r\n\r\n",
	"part":     "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\ndata",
	"window":   "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 64\r\n\r\n" + strings.Repeat("w", 64),
	"large":    "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 65\r\n\r\n" + strings.Repeat("l", 65),
	"chunks":   "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n41\r\n" + strings.Repeat("c", 65) + "\r\n0\r\n\r\n",
	"trailers": "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n0\r\nX-Sum: 4\r\n\r\n",
	"empty":    "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
	"post":     "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\ndata",
}

// TestRetry has the first attempt at each request fail in each way, with and without a policy, and looks whether the
// other server gets the same request.
func TestRetry(t *testing.T) {
	const (
		all       = "get put chunked part window large chunks trailers empty post"
		kept      = "get put chunked part window"
		keptOfAll = kept + " empty post"
		noneAtAll = ""
	)
	closes := func(s *scene) { s.servers[len(s.servers)-1].conn.Close(false) }
	for _, c := range []struct {
		failure          string
		warm             bool
		fail             func(s *scene) // of the first server to get the request; nil: nobody listens
		without          string         // requests that are repeated without a policy
		with, vouchedFor string         // with one, and with one that takes in methods that are not idempotent
	}{
		{"refused", false, nil, all, all, all},
		{"closed when idle", true, func(s *scene) { s.servers[0].conn.Close(false) }, "get", kept, keptOfAll},
		{"closed", false, closes, noneAtAll, kept, keptOfAll},
		{"reset", false, func(s *scene) { s.servers[0].conn.Abort() }, noneAtAll, kept, keptOfAll},
		{"silent", false, func(s *scene) { s.loop.Advance(600 * time.Millisecond) }, noneAtAll, "get put chunked window",
			"get put chunked window empty post"},
		{"a status to repeat", false, func(s *scene) {
			s.sends(s.servers[0], "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		}, noneAtAll, kept, keptOfAll},
		{"a status to repeat, with content", false, func(s *scene) {
			s.sends(s.servers[0], "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 10\r\n\r\nsome")
		}, noneAtAll, kept, keptOfAll},
		{"another status", false, func(s *scene) {
			s.sends(s.servers[0], "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
		}, noneAtAll, noneAtAll, noneAtAll},
		{"not HTTP", false, func(s *scene) { s.sends(s.servers[0], "nonsense\r\n\r\n") }, noneAtAll, noneAtAll, noneAtAll},
		{"closed in a head", false, func(s *scene) { s.sends(s.servers[0], "HTTP/1.1 200"); closes(s) }, noneAtAll,
			noneAtAll, noneAtAll},
		{"silent behind an interim response", false, func(s *scene) {
			s.sends(s.servers[0], "HTTP/1.1 103 Early Hints\r\n\r\n")
			s.loop.Advance(3 * time.Second)
		}, noneAtAll, noneAtAll, noneAtAll},
		{"closed behind an interim response", false, func(s *scene) {
			s.sends(s.servers[0], "HTTP/1.1 103 Early Hints\r\n\r\n")
			closes(s)
		}, noneAtAll, noneAtAll, noneAtAll},
		{"closed behind a head", false, func(s *scene) { s.sends(s.servers[0], ok[:len(ok)-2]); closes(s) }, noneAtAll,
			noneAtAll, noneAtAll},
	} {
		vouching := policy()
		vouching.NonIdempotent = true
		for _, with := range []struct {
			name   string
			policy *exchange.RetryPolicy
			want   string
		}{{"no policy", nil, c.without}, {"policy", policy(), c.with}, {"non-idempotent", vouching, c.vouchedFor}} {
			for name, request := range requests {
				t.Run(fmt.Sprintf("%s/%s/%s", c.failure, with.name, name), func(t *testing.T) {
					s := newScene(t)
					s.route.Retry = with.policy
					if c.warm {
						s.warm()
					}
					want := strings.Contains(" "+with.want+" ", " "+name+" ")
					s.playRetry(c.fail, request, want)
				})
			}
		}
	}
}

// playRetry sends a request, has the first attempt fail and then lets every server answer.
func (s *scene) playRetry(fail func(*scene), request string, repeated bool) {
	if fail == nil {
		s.loop.Unlisten(serverAddr(0))
	}
	s.sends(&s.client, request)
	first := ""
	if fail != nil {
		first = s.servers[0].got
		fail(s)
	}
	s.loop.Run()
	s.loop.Advance(200 * time.Millisecond) // longer than the first wait
	last := s.servers[len(s.servers)-1]
	if got := last.got != "" && last.fate == "" && (fail == nil || last != s.servers[0]); got != repeated {
		s.t.Fatalf("sent again: %v, want %v; the client got %q, the observer %q", got, repeated, s.client.got, s.done)
	}
	if !repeated {
		return
	}
	if fail != nil && last.got != first {
		s.t.Errorf("the first server got %q, the second %q", first, last.got)
	}
	if strings.Contains(request, "Content-Length: 8") {
		s.sends(&s.client, "more")
		if !strings.HasSuffix(last.got, "\r\n\r\ndatamore") {
			s.t.Errorf("at last the second server got %q", last.got)
		}
	}
	s.sends(last, ok)
	if s.client.got != ok || s.done[0] != "200 none, 1 retries" {
		s.t.Errorf("the client got %q, the observer %q", s.client.got, s.done)
	}
	s.nothingLeft()
}

// nothingLeft checks what holds when no exchange runs.
func (s *scene) nothingLeft() {
	s.t.Helper()
	for _, x := range s.targets {
		if n := x.InFlight(); n != 0 || x.Open() != x.Idle() {
			s.t.Errorf("in flight %d, open %d, idle %d", n, x.Open(), x.Idle())
		}
	}
	if waiting, running := s.route.Service.Retries(); waiting != 0 || running != 0 {
		s.t.Errorf("%d retries wait, %d run", waiting, running)
	}
}

// TestRetryWaits has every attempt fail: the waits double, each try goes to the other server.
func TestRetryWaits(t *testing.T) {
	for _, c := range []struct {
		name   string
		refuse bool // the first server refuses connections
		waits  []time.Duration
	}{
		{"failures that a server may know of", false, []time.Duration{100, 200, 300, 300}},
		{"refused first", true, []time.Duration{100, 200, 300}}, // and one at once
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.route.Retry = policy()
			s.route.Retry.Attempts = 4
			if c.refuse {
				s.loop.Unlisten(serverAddr(0))
			}
			s.sends(&s.client, requests["get"])
			last := s.loop.Now()
			for i, longest := range c.waits {
				s.servers[i].conn.Close(false)
				if c.refuse && i == 0 {
					s.loop.Listen(serverAddr(0), s.accept)
				}
				s.loop.Run()
				s.loop.Advance(longest*time.Millisecond/2 - reactor.Tick)
				if len(s.servers) > i+1 {
					t.Fatalf("try %d after %v", i+2, s.servers[i+1].opened.Sub(last))
				}
				s.loop.Advance(longest*time.Millisecond/2 + 3*reactor.Tick)
				if len(s.servers) != i+2 {
					t.Fatalf("%d tries after %v, observed %v", len(s.servers), s.loop.Now().Sub(last), s.done)
				}
				if a, b := s.servers[i].conn.Local(), s.servers[i+1].conn.Local(); a == b {
					t.Errorf("tries %d and %d went to the same server", i+1, i+2)
				}
				last = s.loop.Now()
			}
			s.servers[len(c.waits)].conn.Close(false)
			s.loop.Run()
			if len(s.done) != 1 || s.done[0] != "502 closed, 4 retries" {
				t.Errorf("observed %q", s.done)
			}
			s.nothingLeft()
		})
	}
}

// TestRetryTime has no server respond: all tries and waits together take no longer than one request may.
func TestRetryTime(t *testing.T) {
	for _, c := range []struct {
		name, request string
		attempt       time.Duration
		tries         int
		done          string
	}{
		{"each try is short", requests["get"], 600 * time.Millisecond, 3, "504 timeout, 2 retries"},
		{"content counts anew", requests["put"], 600 * time.Millisecond, 3, "504 timeout, 2 retries"},
		{"one try takes all", requests["get"], 0, 1, "504 timeout, 0 retries"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.route.Retry = policy()
			s.route.Retry.Attempts, s.route.Retry.AttemptTimeout = 10, c.attempt
			s.sends(&s.client, c.request)
			s.loop.Advance(2*time.Second - 2*reactor.Tick)
			if len(s.done) != 0 && c.tries == 1 || len(s.servers) != c.tries {
				t.Errorf("before its time: %d tries, %q", len(s.servers), s.done)
			}
			s.loop.Advance(5 * reactor.Tick)
			if len(s.done) != 1 || s.done[0] != c.done || !strings.HasPrefix(s.client.got, "HTTP/1.1 504 ") {
				t.Errorf("observed %q, the client got %q", s.done, s.client.got)
			}
			s.nothingLeft()
		})
	}
}

// TestRetryTimeOfUpload has a client send for longer than request_ms behind a second try: the time runs from its last
// content.
func TestRetryTimeOfUpload(t *testing.T) {
	s := newScene(t)
	s.route.Retry = policy()
	s.sends(&s.client, "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n0")
	s.servers[0].conn.Close(false)
	s.loop.Run()
	s.loop.Advance(150 * time.Millisecond)
	for i := range 7 {
		s.loop.Advance(time.Second)
		s.sends(&s.client, fmt.Sprint(i+1))
	}
	if len(s.servers) != 2 || !strings.HasSuffix(s.servers[1].got, "\r\n\r\n01234567") {
		t.Fatalf("%d tries, observed %q", len(s.servers), s.done)
	}
	s.loop.Advance(400 * time.Millisecond)
	s.sends(s.servers[1], ok)
	if s.client.got != ok {
		t.Errorf("the client got %q", s.client.got)
	}
	s.loop.Advance(10 * time.Second)
	s.nothingLeft()
}

// TestRetryClientLeaves has a client go while its request waits for another try: there is none.
func TestRetryClientLeaves(t *testing.T) {
	for name, leave := range map[string]func(reactor.Conn){"closes": func(c reactor.Conn) { c.Close(false) }, "resets": reactor.Conn.Abort} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.route.Retry = policy()
			s.sends(&s.client, requests["get"])
			s.servers[0].conn.Close(false)
			s.loop.Run()
			if waiting, running := s.route.Service.Retries(); waiting != 1 || running != 0 {
				t.Fatalf("%d retries wait, %d run", waiting, running)
			}
			leave(s.client.conn)
			s.loop.Run()
			s.nothingLeft()
			s.loop.Advance(time.Second)
			if len(s.servers) != 1 || len(s.done) != 1 || s.done[0] != "0 closed, 0 retries" {
				t.Errorf("%d tries, observed %q", len(s.servers), s.done)
			}
		})
	}
}

// TestRetryContentMeanwhile has content arrive while the request waits for another try.
func TestRetryContentMeanwhile(t *testing.T) {
	s := newScene(t)
	s.route.Retry = policy()
	s.sends(&s.client, requests["part"])
	s.sends(s.servers[0], "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
	s.sends(&s.client, "more")
	s.loop.Advance(200 * time.Millisecond)
	if len(s.servers) != 2 || !strings.HasSuffix(s.servers[1].got, "\r\n\r\ndatamore") {
		t.Fatalf("%d tries, observed %q", len(s.servers), s.done)
	}
	s.sends(s.servers[1], ok)
	if s.client.got != ok {
		t.Errorf("the client got %q", s.client.got)
	}
	s.nothingLeft()
}

// TestRetryBudget has five requests fail at once: no more than three are repeated at a time, the others wait longer.
func TestRetryBudget(t *testing.T) {
	const clients = 5
	for _, c := range []struct {
		name     string
		attempts int
		fail     func(s *scene, e *end)
		want     string // what those get that find no room
	}{
		{"another wait", 2, func(s *scene, e *end) { e.conn.Close(false) }, ok},
		{"no other wait", 1, func(s *scene, e *end) { e.conn.Close(false) }, "HTTP/1.1 502 Bad Gateway\r\n"},
		{"no other wait for a status", 1, func(s *scene, e *end) {
			s.sends(e, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		}, "HTTP/1.1 503 Service Unavailable\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.route.Retry = policy()
			s.route.Retry.Attempts = c.attempts
			refused := 0
			s.observed = func(x *exchange.Exchange) { refused += x.RetriesRefused }
			ends := make([]end, clients)
			for i := range ends {
				s.connect(&ends[i])
				s.sends(&ends[i], requests["get"])
			}
			for _, e := range s.servers {
				e.got = ""
				c.fail(s, e)
			}
			s.loop.Run()
			s.loop.Advance(100*time.Millisecond + 2*reactor.Tick)
			waiting, running := s.route.Service.Retries()
			if left := int64(clients-3) * int64(c.attempts-1); waiting != left || running != 3 || s.asked() != 3 {
				t.Fatalf("%d retries wait, %d run, %d were sent, want %d, 3, 3", waiting, running, s.asked(), left)
			}
			s.answerAll()
			s.loop.Advance(200*time.Millisecond + 2*reactor.Tick)
			s.answerAll()
			answers := map[bool]int{}
			for i := range ends {
				answers[ends[i].got == ok]++
				if ends[i].got != ok && !strings.HasPrefix(ends[i].got, c.want) {
					t.Errorf("client %d got %q", i, ends[i].got)
				}
			}
			if want := 3 + (clients-3)*(c.attempts-1); answers[true] != want {
				t.Errorf("%d clients got the response, want %d", answers[true], want)
			}
			if refused != clients-3 {
				t.Errorf("%d retries were refused, want %d", refused, clients-3)
			}
			s.nothingLeft()
		})
	}
}

// asked is how many servers' connections have a request that was not answered.
func (s *scene) asked() (n int) {
	for _, e := range s.servers {
		if e.got != "" {
			n++
		}
	}
	return n
}

// answerAll answers those requests.
func (s *scene) answerAll() {
	for _, e := range s.servers {
		if e.got != "" {
			e.got = ""
			s.sends(e, ok)
		}
	}
}

// TestRetryStatusPassedOn has servers answer with a status to repeat until nothing is left to try: the last response
// reaches the client as it is.
func TestRetryStatusPassedOn(t *testing.T) {
	for _, c := range []struct {
		name     string
		attempts int
		before   time.Duration // the response
		tries    int
	}{
		{"tries used up", 2, 0, 3},
		{"time used up", 9, 1950 * time.Millisecond, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.route.Retry = policy()
			s.route.Retry.Attempts, s.route.Retry.AttemptTimeout = c.attempts, 0
			s.sends(&s.client, requests["get"])
			for i := 0; i < len(s.servers); i++ {
				s.loop.Advance(c.before)
				s.sends(s.servers[i], fmt.Sprintf("HTTP/1.1 503 Busy\r\nContent-Length: 1\r\nX-Try: %d\r\n\r\n%d", i+1, i+1))
				s.loop.Advance(250 * time.Millisecond)
			}
			want := fmt.Sprintf("HTTP/1.1 503 Busy\r\nX-Try: %d\r\nContent-Length: 1\r\n\r\n%d", c.tries, c.tries)
			if len(s.servers) != c.tries || s.client.got != want {
				t.Errorf("%d tries, the client got %q, want %q", len(s.servers), s.client.got, want)
			}
			s.nothingLeft()
		})
	}
}

// TestRetryExpect repeats a request whose client waits for 100 (Continue), before and after it got one.
func TestRetryExpect(t *testing.T) {
	const request = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
	const busy, goOn = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"
	for _, c := range []struct {
		name    string
		first   func(s *scene)
		expects bool   // the second server is asked to say 100
		content string // that it gets with the head
		rest    string // that the client sends after that
		goOn    string // all interim responses to the client
	}{
		{"none came", func(s *scene) { s.sends(s.servers[0], busy) }, true, "", "data", goOn},
		{"one came, no content yet", func(s *scene) {
			s.sends(s.servers[0], goOn)
			s.sends(s.servers[0], busy)
		}, false, "", "data", goOn},
		{"one came, some content sent", func(s *scene) {
			s.sends(s.servers[0], goOn)
			s.sends(&s.client, "da")
			s.sends(s.servers[0], busy)
		}, false, "da", "ta", goOn},
		{"the client did not wait", func(s *scene) {
			s.sends(&s.client, "data")
			s.sends(s.servers[0], busy)
		}, true, "data", "", goOn},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.route.Retry = policy()
			s.sends(&s.client, request)
			c.first(s)
			s.loop.Advance(200 * time.Millisecond)
			if len(s.servers) != 2 {
				t.Fatalf("%d tries, the client got %q", len(s.servers), s.client.got)
			}
			server := s.servers[1]
			if got := strings.Contains(server.got, "Expect: 100-continue\r\n"); got != c.expects ||
				!strings.HasSuffix(server.got, "\r\n\r\n"+c.content) {
				t.Errorf("the second server got %q", server.got)
			}
			s.sends(server, goOn)
			s.sends(&s.client, c.rest)
			if !strings.HasSuffix(server.got, "\r\n\r\ndata") {
				t.Errorf("at last the second server got %q", server.got)
			}
			s.sends(server, ok)
			if s.client.got != c.goOn+ok {
				t.Errorf("the client got %q", s.client.got)
			}
			s.nothingLeft()
		})
	}
}
