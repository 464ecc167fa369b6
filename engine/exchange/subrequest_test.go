package exchange_test

import (
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// hearing is an exchange.Answer that notes what it hears.
type hearing struct {
	caller
	failed *codec.Error
}

func (h *hearing) Failed(e *codec.Error) { h.failed = e }

// asksFor makes a request of a filter's own, with seven bytes of content when opened is given.
func (s *scene) asksFor(method string, opened func()) (*hearing, *exchange.Subrequest) {
	h := head(method, "h", "/sub", codec.NoContent)
	if opened != nil {
		h = withLength(7)
	}
	answer := new(hearing)
	sub := s.entry.Local.Subrequest(s.route.Service, &h, 0, opened, answer)
	s.loop.Run()
	return answer, sub
}

// Requests of filters' own: what servers are asked and how often, and what the filter hears.
func TestSubrequest(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
	for _, c := range []struct {
		name, method string
		play         func(s *scene)
		heard        string
		failed       codec.Kind
		status       int // of the failure
	}{
		{"answered", "GET", func(s *scene) {
			if got := s.replies("HTTP/1.1 103 Early Hints\r\n\r\n" + ok); !strings.HasPrefix(got, "GET /sub HTTP/1.1\r\nHost: h\r\n") {
				s.t.Errorf("the server got %q", got)
			}
		}, "200 [Content-Length: 2], data hi end", codec.KindNone, 0},
		{"trailers, options of the connection", "GET", func(s *scene) {
			s.replies("HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 1\r\n\r\n")
		}, "200 [Connection: x-hop] [Transfer-Encoding: chunked], data hi, trailers [x-sum: 1]", codec.KindNone, 0},
		{"an idle connection ends", "GET", func(s *scene) {
			s.servers[0].conn.Close(false)
			s.loop.Run()
			s.sends(s.servers[1], ok)
		}, "200 [Content-Length: 2], data hi end", codec.KindNone, 0},
		{"an idle connection ends, not idempotent", "POST", func(s *scene) {
			s.servers[0].conn.Close(false)
			s.loop.Run()
		}, "", codec.KindClosed, 502},
		{"lost inside the answer", "GET", func(s *scene) {
			s.replies(ok[:len(ok)-1])
			s.servers[0].conn.Close(false)
			s.loop.Run()
		}, "200 [Content-Length: 2], data h", codec.KindClosed, 502},
		{"no answer in time", "GET", func(s *scene) { s.loop.Advance(3 * time.Second) }, "", codec.KindTimeout, 504},
		{"garbage", "GET", func(s *scene) { s.replies("garbage\r\n\r\n") }, "", codec.KindSyntax, 502},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.warm()
			answer, _ := s.asksFor(c.method, nil)
			c.play(s)
			if got := strings.Join(answer.heard, ", "); got != c.heard {
				t.Errorf("heard %q, want %q", got, c.heard)
			}
			if e := answer.failed; c.failed == codec.KindNone && e != nil || c.failed != codec.KindNone && (e == nil || e.Kind != c.failed || e.Status != c.status) {
				t.Errorf("failed: %v, want %v with status %d", e, c.failed, c.status)
			}
			for _, target := range s.targets {
				if n := target.InFlight(); n != 0 {
					t.Errorf("%d requests are in flight", n)
				}
			}
		})
	}
}

// A server that cannot be reached is told once every server was asked, and not inside the call that asks.
func TestSubrequestWithoutServers(t *testing.T) {
	s := newScene(t)
	for i := range 2 {
		s.loop.Unlisten(serverAddr(i))
	}
	h := head("GET", "h", "/sub", codec.NoContent)
	answer := new(hearing)
	s.entry.Local.Subrequest(s.route.Service, &h, 0, nil, answer)
	if answer.failed != nil {
		t.Error("told inside the call")
	}
	s.loop.Run()
	if answer.failed == nil || answer.failed.Kind != codec.KindRefused {
		t.Errorf("failed: %v", answer.failed)
	}
}

// A cancelled request tells nothing any more and leaves nothing behind, whenever it is cancelled.
func TestSubrequestCancelled(t *testing.T) {
	for _, sent := range []string{"", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhi"} {
		s := newScene(t)
		s.warm()
		answer, sub := s.asksFor("GET", nil)
		if sent != "" {
			s.replies(sent)
		}
		before := len(answer.heard)
		sub.Cancel()
		sub.Cancel()
		s.servers[0].conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhiho"))
		s.loop.Run()
		if len(answer.heard) != before || answer.failed != nil || s.targets[0].InFlight() != 0 || s.targets[0].Open() != 0 {
			t.Errorf("heard %q after %d, failed: %v; in flight %d, open %d", answer.heard, before, answer.failed,
				s.targets[0].InFlight(), s.targets[0].Open())
		}
	}
}

// Content is sent once a server is there to take it, and never twice.
func TestSubrequestContent(t *testing.T) {
	s := newScene(t)
	s.warm()
	opened := 0
	answer, sub := s.asksFor("PUT", func() { opened++ })
	if opened != 1 {
		t.Fatalf("opened %d times", opened)
	}
	sub.Send([]byte("con"), false)
	sub.Send([]byte("tent"), true)
	sub.Send([]byte("more"), true)
	s.loop.Run()
	if got := s.servers[0].got; !strings.HasSuffix(got, "\r\nContent-Length: 7\r\n\r\ncontent") {
		t.Errorf("the server got %q", got)
	}
	s.servers[0].conn.Close(false)
	s.loop.Run()
	if answer.failed == nil || opened != 1 || s.servers[1].got != "" {
		t.Errorf("failed: %v, opened %d times, the other server got %q", answer.failed, opened, s.servers[1].got)
	}
}
