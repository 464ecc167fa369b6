package exchange_test

import (
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
	"traffic_management/upstream"
)

// The time of a service's requests, and what it takes for a timer of that to fire.
const (
	filterTime = 2 * time.Second
	justAfter  = 2 * reactor.Tick
)

// TestFiltersThatHold has filters that never go on. The client is answered when the service's time for a request is over, or
// can tell that the response is not whole, and nothing is left.
func TestFiltersThatHold(t *testing.T) {
	const whole, part = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh"
	for _, c := range []struct {
		name   string
		filter func(s *scene) exchange.Filter
		answer string // of the server
		log    string // of the filter in front
		heard  string
	}{
		{"a request", func(*scene) exchange.Filter { return &noting{log: new([]string), request: hangs} }, "", "a? a504 a.", "504"},
		{"a response", func(*scene) exchange.Filter { return &noting{log: new([]string), response: hangs} }, whole, "a? a504 a.", "504"},
		{"a response under way", func(*scene) exchange.Filter { return &noting{log: new([]string), response: hangs} }, part, "a? a504 a.", "504"},
		{"a reply of the proxy's", func(s *scene) exchange.Filter {
			s.loop.Unlisten(serverAddr(0))
			s.loop.Unlisten(serverAddr(1))
			return &noting{log: new([]string), response: hangs}
		}, "", "a? a504 a.", "504"},
		{"content", func(*scene) exchange.Filter {
			return &shaping{noting{log: new([]string)}, func(out exchange.Outlet) exchange.Body { return &hoard{out: out} }}
		}, whole, "a? a200 a.", "200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			log := new([]string)
			s.route.Chain = exchange.NewChain(&noting{name: "a", log: log}, c.filter(s))
			client := s.caller(nil)
			client.asks(head("GET", "h", "/a", codec.NoContent))
			if c.answer != "" {
				s.replies(c.answer)
			}
			s.loop.Advance(filterTime - time.Second)
			if client.finished {
				t.Fatalf("over before its time: %q", client.heard)
			}
			s.loop.Advance(time.Second + justAfter)
			if !client.finished || says(log) != c.log || !strings.HasPrefix(client.heard[0], c.heard) {
				t.Errorf("finished: %v; %s, want %s; the client heard %q", client.finished, says(log), c.log, client.heard)
			}
			if last := client.heard[len(client.heard)-1]; strings.HasPrefix(last, "reset internal: timeout") != (c.heard == "200") {
				t.Errorf("the client heard %q", client.heard)
			}
			if n := s.targets[0].InFlight() + s.targets[1].InFlight(); n != 0 {
				t.Errorf("%d requests are in flight", n)
			}
		})
	}
}

// TestFiltersThatWaitForOthers holds that a filter has all the time that a client or a server takes which goes on.
func TestFiltersThatWaitForOthers(t *testing.T) {
	s := newScene(t)
	var kept *hoard
	s.route.Chain = exchange.NewChain(&part{request: func(x *exchange.Exchange) exchange.Verdict { return x.Buffer(100) }},
		&shaping{noting{log: new([]string), response: hangs}, func(out exchange.Outlet) exchange.Body {
			kept = &hoard{out: out}
			return kept
		}})
	client := s.caller(nil)
	client.asks(head("PUT", "h", "/a", codec.ByEndStream))
	for range 5 {
		client.says("content ", false)
		s.loop.Advance(filterTime - time.Second)
	}
	client.says("content", true)
	s.replies("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
	for range 9 {
		s.sends(s.servers[0], "x")
		s.loop.Advance(filterTime - time.Second)
	}
	if client.finished || len(client.heard) != 0 {
		t.Fatalf("given up while the server sends: %q", client.heard)
	}
	s.sends(s.servers[0], "x")
	client.x.ResumeResponse()
	kept.release()
	s.loop.Run()
	if !client.finished || len(client.heard) != 2 || client.heard[1] != "data xxxxxxxxxx end" {
		t.Errorf("finished: %v; the client heard %q", client.finished, client.heard)
	}
}

// TestSlowBodiesGoOn holds that content that a body passes on slowly is not cut off, nor a client that takes it slowly.
func TestSlowBodiesGoOn(t *testing.T) {
	s := newScene(t)
	var kept *hoard
	s.bodies(func(out exchange.Outlet) exchange.Body {
		kept = &hoard{out: out}
		return kept
	})
	client := s.caller(nil)
	client.asks(head("GET", "h", "/a", codec.NoContent))
	s.replies("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef")
	for i := range 5 {
		s.loop.Advance(filterTime - time.Second)
		kept.out.Data(kept.kept[i:i+1], false)
		client.x.BytesOut++ // as a frontend counts
	}
	client.queued = 1
	s.loop.Advance(5 * filterTime)
	if client.finished {
		t.Fatalf("given up: %q", client.heard)
	}
	client.queued = 0
	kept.out.Data(kept.kept[5:], true)
	s.loop.Run()
	if !client.finished || client.heard[1] != "data abcdef end" {
		t.Errorf("finished: %v; the client heard %q", client.finished, client.heard)
	}
}

// TestFiltersHaveAMinute holds that a filter cannot wait for ever where the service could.
func TestFiltersHaveAMinute(t *testing.T) {
	s := newScene(t)
	o := *s.route.Service.Options()
	o.RequestTimeout = 0
	s.route.Service = upstream.NewService("unlimited", &o, nil)
	s.route.Service.SetTargets(s.targets)
	s.noted(&noting{request: hangs})
	client := s.caller(nil)
	client.asks(head("GET", "h", "/a", codec.NoContent))
	s.loop.Advance(time.Minute - time.Second)
	if client.finished {
		t.Fatalf("over before its time: %q", client.heard)
	}
	s.loop.Advance(time.Second + justAfter)
	if !client.finished || !strings.HasPrefix(client.heard[0], "504") {
		t.Errorf("finished: %v; the client heard %q", client.finished, client.heard)
	}
}
