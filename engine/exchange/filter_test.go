package exchange_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

// act is what a filter of the tests does with a request or a response.
type act uint8

const (
	passes   act = iota
	pauses       // for a tick, then passes
	answers      // requests only
	answered     // waits for a tick, then answers; requests only
	hangs        // waits for ever
)

func (a act) String() string {
	return [...]string{"passes", "pauses", "answers", "answered", "hangs"}[a]
}

// noting is a filter that writes into a log what it is called with: "a?" for a request, "a200" for a response with its
// status, "a." for the end. It marks responses with its name, and keeps the log's length as its state.
type noting struct {
	name              string
	log               *[]string
	request, response act
}

func (n *noting) note(format string, args ...any) {
	*n.log = append(*n.log, n.name+fmt.Sprintf(format, args...))
}

func (n *noting) Request(x *exchange.Exchange) exchange.Verdict {
	n.note("?")
	x.SetState(n.name)
	switch n.request {
	case pauses:
		n.later(x, func() { x.Resume(exchange.Next) })
		return exchange.Wait
	case answered:
		n.later(x, func() {
			x.Refuse(&codec.Error{Side: codec.Client, Status: 403, Cause: fmt.Errorf("said %s", n.name)})
			x.Resume(exchange.Answered)
		})
		return exchange.Wait
	case answers:
		x.Respond(403, []codec.Field{{Name: []byte("By"), Value: []byte(n.name)}}, []byte("no"))
		if x.State() != n.name {
			n.note(" lost its state")
		}
		return exchange.Answered
	case hangs:
		return exchange.Wait
	}
	return exchange.Next
}

func (n *noting) Response(x *exchange.Exchange, h *codec.Head, _ bool) exchange.Verdict {
	if x.State() != n.name {
		n.note(" lost its state")
	}
	n.note("%d", h.Status)
	h.Fields = append(h.Fields, codec.Field{Name: []byte("Seen"), Value: []byte(n.name)})
	switch n.response {
	case pauses:
		n.later(x, x.ResumeResponse)
		return exchange.Wait
	case hangs:
		return exchange.Wait
	}
	return exchange.Next
}

func (n *noting) Done(x *exchange.Exchange) {
	if x.State() != n.name {
		n.note(" lost its state")
	}
	n.note(".")
}

func (n *noting) later(x *exchange.Exchange, f func()) {
	x.Local().Loop.Arm(&reactor.Timer{Fire: f}, reactor.Tick)
}

// noted makes the route's chain of filters that note into the log that it returns.
func (s *scene) noted(filters ...*noting) *[]string {
	log := new([]string)
	all := make([]exchange.Filter, len(filters))
	for i, f := range filters {
		f.log, all[i] = log, f
		if f.name == "" {
			f.name = string(rune('a' + i))
		}
	}
	s.route.Chain = exchange.NewChain(all...)
	return log
}

// says is a log as one text.
func says(log *[]string) string { return strings.Join(*log, " ") }

// TestFiltersCompose has every composition of three filters: requests pass in order, responses in reverse, and a filter
// that answers is asked about nothing that follows.
func TestFiltersCompose(t *testing.T) {
	requests, responses := []act{passes, pauses, answers, answered}, []act{passes, pauses}
	n := 0
	for _, r0 := range requests {
		for _, r1 := range requests {
			for _, r2 := range requests {
				for bits := range 8 {
					filters := []*noting{{request: r0, response: responses[bits&1]}, {request: r1, response: responses[bits>>1&1]},
						{request: r2, response: responses[bits>>2]}}
					composes(t, filters)
					n++
				}
			}
		}
	}
	t.Log(n, "compositions")
}

// composes plays one composition against what Traefik would do with it.
func composes(t *testing.T, filters []*noting) {
	t.Helper()
	s := newScene(t)
	log := s.noted(filters...)
	var want []string
	passed, status := len(filters), 200
	for i, f := range filters {
		want = append(want, f.name+"?")
		if f.request == answers || f.request == answered {
			passed, status = i, 403
			break
		}
	}
	asked := len(want)
	seen := ""
	for i := passed - 1; i >= 0; i-- {
		want = append(want, fmt.Sprint(filters[i].name, status))
		seen += " [Seen: " + filters[i].name + "]"
	}
	for _, f := range filters[:asked] {
		want = append(want, f.name+".")
	}
	c := s.caller(nil)
	c.asks(head("GET", "h", "/a", codec.NoContent))
	s.loop.Advance(100 * time.Millisecond)
	if status == 200 {
		s.replies("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
		s.loop.Advance(100 * time.Millisecond)
	}
	if got := says(log); got != strings.Join(want, " ") {
		t.Errorf("%v\n got %s\nwant %s", describe(filters), got, strings.Join(want, " "))
	}
	if !c.finished || len(c.heard) != 2 || !strings.HasPrefix(c.heard[0], fmt.Sprint(status)) || !strings.HasSuffix(c.heard[0], seen) ||
		strings.Count(c.heard[0], "Seen") != passed {
		t.Errorf("%v: the client heard %q", describe(filters), c.heard)
	}
	if !strings.HasPrefix(s.done[0], fmt.Sprint(status)) {
		t.Errorf("%v: the observer was told %q", describe(filters), s.done)
	}
}

func describe(filters []*noting) (all []string) {
	for _, f := range filters {
		all = append(all, fmt.Sprintf("request %v, response %v", f.request, f.response))
	}
	return all
}

// Answers that the proxy makes go through the filters that let the request pass, too.
func TestLocalAnswersPassFilters(t *testing.T) {
	s := newScene(t)
	for i := range 2 {
		s.loop.Unlisten(serverAddr(i))
	}
	log := s.noted(&noting{}, &noting{response: pauses}, &noting{})
	c := s.caller(nil)
	c.asks(head("GET", "h", "/a", codec.NoContent))
	s.loop.Advance(time.Second)
	if got, want := says(log), "a? b? c? c502 b502 a502 a. b. c."; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(c.heard) != 2 || !strings.HasSuffix(c.heard[0], "[Seen: c] [Seen: b] [Seen: a]") || !strings.HasPrefix(c.heard[1], "data 502 Bad Gateway") {
		t.Errorf("the client heard %q", c.heard)
	}
	// Nothing is routed: no filter is asked.
	*log = nil
	h := head("CONNECT", "h", "/a", codec.NoContent)
	c.asks(h)
	if says(log) != "" || !strings.HasPrefix(c.heard[0], "501") {
		t.Errorf("%s, %q", says(log), c.heard)
	}
}

// A client that leaves while a filter waits: everything is over at once, and what the filter says later is not heard.
func TestClientLeavesWhileAFilterWaits(t *testing.T) {
	gone := &codec.Error{Side: codec.Client, Kind: codec.KindClosed}
	for _, c := range []struct {
		name   string
		filter noting
		want   string
	}{
		{"the request waits", noting{request: hangs}, "a? b? a. b."},
		{"a filter is about to answer", noting{request: answered}, "a? b? a. b."},
		{"the response waits", noting{response: hangs}, "a? b? b200 a. b."},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			log := s.noted(&noting{}, &c.filter)
			client := s.caller(nil)
			client.asks(head("GET", "h", "/a", codec.NoContent))
			if c.filter.request == passes {
				s.replies("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh")
			}
			client.x.RequestBroken(gone)
			s.loop.Run()
			if got := says(log); got != c.want || !client.finished || s.done[0] != "0 closed, 0 retries" && s.done[0] != "200 closed, 0 retries" {
				t.Errorf("%s, finished %v, %q; want %s", got, client.finished, s.done, c.want)
			}
			if n := s.targets[0].InFlight(); n != 0 {
				t.Errorf("%d requests are in flight", n)
			}
			if got := strings.Join(client.heard, " "); !strings.HasPrefix(got, "reset") {
				t.Errorf("the client heard %q", got)
			}
		})
	}
}

// A server that is lost while its response waits for a filter is answered for, towards the filters that have not seen it.
func TestServerLostWhileAResponseWaits(t *testing.T) {
	s := newScene(t)
	log := s.noted(&noting{}, &noting{response: hangs}, &noting{})
	c := s.caller(nil)
	c.asks(head("GET", "h", "/a", codec.NoContent))
	s.replies("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhi")
	if len(c.heard) != 0 {
		t.Errorf("the client heard %q while a filter waits", c.heard)
	}
	s.servers[0].conn.Abort()
	s.loop.Run()
	if got, want := says(log), "a? b? c? c200 b200 a502 a. b. c."; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(c.heard) != 2 || !strings.HasPrefix(c.heard[0], "502") || !strings.HasSuffix(c.heard[0], "no-store] [Seen: a]") {
		t.Errorf("the client heard %q", c.heard)
	}
}

// What goes wrong with the request's content is answered also while a filter keeps the response from the client.
func TestContentRefusedWhileAResponseWaits(t *testing.T) {
	s := newScene(t)
	log := s.noted(&noting{}, &noting{response: hangs})
	c := s.caller(nil)
	c.asks(head("PUT", "h", "/a", codec.ByEndStream))
	c.says("some", false)
	s.replies("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
	c.says(strings.Repeat("a", 200), false) // the entry point takes 100
	if got, want := says(log), "a? b? b200 a413 a. b."; got != want || !c.finished {
		t.Errorf("got %s, want %s; finished: %v", got, want, c.finished)
	}
	if len(c.heard) != 2 || !strings.HasPrefix(c.heard[0], "413") {
		t.Errorf("the client heard %q", c.heard)
	}
}

// Interim responses and tunnels go by filters unseen, and request content waits for the filters.
func TestWhatFiltersDoNotSee(t *testing.T) {
	s := newScene(t)
	log := s.noted(&noting{request: pauses})
	c := s.caller(nil)
	c.asks(head("PUT", "h", "/a", codec.ByEndStream))
	if c.holds != 1 {
		t.Error("the client is not held while a filter waits")
	}
	s.loop.Advance(100 * time.Millisecond)
	c.says("content", true)
	if c.holds != 0 {
		t.Error("the client is held")
	}
	got := s.replies("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
	if !strings.HasSuffix(got, "\r\n\r\n7\r\ncontent\r\n0\r\n\r\n") {
		t.Errorf("the server got %q", got)
	}
	if got, want := says(log)+"; "+strings.Join(c.heard, ", "), "a? a204 a.; 103, 204 [Seen: a] end"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	*log = nil
	s.sends(&s.client, upgrade)
	s.loop.Advance(100 * time.Millisecond)
	i := slices.IndexFunc(s.servers, func(e *end) bool { return strings.Contains(e.got, "Upgrade: websocket") })
	s.sends(s.servers[i], switched+"from the server")
	s.sends(&s.client, "from the client")
	if !strings.HasSuffix(s.client.got, "\r\n\r\nfrom the server") || strings.Contains(s.client.got, "Seen") ||
		!strings.HasSuffix(s.servers[i].got, "from the client") {
		t.Errorf("the client got %q, the server %q", s.client.got, s.servers[i].got)
	}
	s.client.conn.Abort()
	s.loop.Run()
	if got, want := says(log), "a? a."; got != want {
		t.Errorf("of the tunnel a filter saw %s, want %s", got, want)
	}
}
