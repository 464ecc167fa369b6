package exchange_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// burst is where a filter of the tests panics.
type burst uint8

const (
	burstNowhere burst = iota
	burstRequest
	burstRefused // behind an answer
	burstTee
	burstBuffered // in a tee of content that is read whole
	burstResponse
	burstInserted // in Response, behind Insert
	burstResumed  // in Response, when a filter behind it has made the response wait
	burstData
	burstLater    // in Data, when content has gone to the client
	burstWithheld // in Data, while the head waits
	burstTrailers
	burstQueued
	burstDrop
	burstDone
	burstAnswer // in the answer to a request of its own
	bursts
)

func (b burst) String() string {
	return [...]string{"nowhere", "Request", "Request, refused", "Tee.Data", "Tee.Data, buffered", "Response", "Response, inserted",
		"Response, resumed", "Body.Data", "Body.Data, later", "Body.Data, withheld", "Body.Trailers", "Body.Queued", "Body.Drop", "Done",
		"Answer.Head"}[b]
}

// bursting is a filter that panics in one place.
type bursting struct {
	at    burst
	scene *scene
	out   exchange.Outlet
	given int
	ended int
}

// in panics if it is the place.
func (b *bursting) in(places ...burst) {
	for _, p := range places {
		if p == b.at {
			panic(p)
		}
	}
}

func (b *bursting) Request(x *exchange.Exchange) exchange.Verdict {
	b.in(burstRequest)
	switch b.at {
	case burstRefused:
		x.Respond(403, nil, []byte("no"))
		panic(b.at)
	case burstTee:
		x.Tee(burstingBody{b})
	case burstBuffered:
		x.Tee(burstingBody{b})
		return x.Buffer(100)
	case burstAnswer:
		b.scene.subrequest("/inner", burstingAnswer{b, x})
		return exchange.Wait
	}
	return exchange.Next
}

func (b *bursting) Response(x *exchange.Exchange, h *codec.Head, end bool) exchange.Verdict {
	b.in(burstResponse, burstResumed)
	if x.HasContent(h, end) && b.at != burstTee {
		b.out = x.Insert(burstingBody{b})
	}
	b.in(burstInserted)
	if b.at == burstWithheld {
		return exchange.Wait
	}
	return exchange.Next
}

func (b *bursting) Done(*exchange.Exchange) {
	b.ended++
	b.in(burstDone)
}

// burstingBody is its Body, and its Tee.
type burstingBody struct{ *bursting }

func (b burstingBody) Data(p []byte, end bool) {
	b.in(burstTee, burstBuffered, burstData, burstWithheld)
	if b.given += len(p); b.given > 3 {
		b.in(burstLater)
	}
	b.out.Data(p, end)
}
func (b burstingBody) Trailers(t []codec.Field) {
	b.in(burstTrailers)
	b.out.Trailers(t)
}
func (b burstingBody) Queued() int {
	b.in(burstQueued)
	return 0
}
func (b burstingBody) Drop() { b.in(burstDrop) }

// burstingAnswer refuses the request when it is told that there is no answer.
type burstingAnswer struct {
	*bursting
	x *exchange.Exchange
}

func (a burstingAnswer) Head(*codec.Head, bool)   { a.in(burstAnswer) }
func (a burstingAnswer) Data([]byte, bool)        {}
func (a burstingAnswer) Trailers(t []codec.Field) {}
func (a burstingAnswer) Failed(e *codec.Error) {
	a.x.Refuse(&codec.Error{Side: codec.Internal, Kind: e.Kind, Status: 503, Cause: errors.New("no answer")})
	a.x.Resume(exchange.Answered)
}

// TestPanicsOfFilters has a filter panic in each of its calls, between two others. The client is answered while it can be,
// every filter is told of the end, nothing is left, and the next request is served.
func TestPanicsOfFilters(t *testing.T) {
	const (
		seen   = "a? c? c200 a500 a. c." // the filter in front has the answer shown
		passed = "a? c? c200 a200 a. c."
		early  = "a? a500 a."
	)
	for _, c := range []struct {
		at    burst
		log   string // of the filters in front and behind
		heard string
	}{
		{burstNowhere, passed, "200"},
		{burstRequest, early, "500"},
		{burstRefused, "a? a403 a.", "403"},
		{burstTee, "a? c? c500 a500 a. c.", "500"},
		{burstBuffered, early, "500"},
		{burstResponse, seen, "500"},
		{burstInserted, seen, "500"},
		{burstResumed, seen, "500"},
		{burstData, passed, "200, reset"},
		{burstLater, passed, "200, data con, reset"},
		{burstWithheld, seen, "500"},
		{burstTrailers, passed, "200, data content, reset"},
		{burstQueued, passed, "200, data "},
		{burstDrop, passed, "200"},
		{burstDone, passed, "200"},
		{burstAnswer, "a? a503 a.", "503"},
	} {
		t.Run(c.at.String(), func(t *testing.T) {
			s := newScene(t)
			var told []any
			s.entry.Local.Contain(func(v any, stack []byte) {
				if !strings.Contains(string(stack), "contain_test.go") {
					t.Errorf("the stack does not show where: %s", stack)
				}
				told = append(told, v)
			})
			log := new([]string)
			b := &bursting{at: c.at, scene: s}
			last := &noting{name: "c", log: log}
			if c.at == burstResumed {
				last.response = pauses
			}
			s.route.Chain = exchange.NewChain(&noting{name: "a", log: log}, b, last)
			client := s.caller(nil)
			client.asks(head("PUT", "h", "/a", codec.ByEndStream))
			switch c.at {
			case burstRequest, burstRefused:
			case burstAnswer:
				s.replies("HTTP/1.1 204 No Content\r\n\r\n")
			default:
				client.says("content", true)
			}
			if c.at != burstTee && c.at != burstBuffered && strings.HasPrefix(says(log), "a? c?") {
				s.replies("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ncon\r\n")
				s.loop.Advance(time.Second)
				if client.x != nil {
					s.sends(s.servers[0], "4\r\ntent\r\n0\r\nX-Sum: 1\r\n\r\n")
				}
			}
			s.loop.Run()
			got := strings.Join(client.heard, ", ")
			if says(log) != c.log || !strings.HasPrefix(got, c.heard[:3]) || !client.finished || b.ended != 1 {
				t.Errorf("filters: %s, want %s; the client heard %q, want %q; finished: %v, ends %d", says(log), c.log, got, c.heard,
					client.finished, b.ended)
			}
			_, rest, _ := strings.Cut(c.heard, ", ")
			if n := len(client.heard); rest != "" && !strings.HasPrefix(strings.Join(client.heard[1:], ", "), rest) || rest == "" && strings.HasPrefix(client.heard[n-1], "reset") {
				t.Errorf("the client heard %q, want %q", got, c.heard)
			}
			if c.at == burstNowhere && len(told) != 0 || c.at != burstNowhere && (len(told) == 0 || told[0] != c.at) {
				t.Errorf("told of %v", told)
			}
			if n := s.targets[0].InFlight() + s.targets[1].InFlight(); n != 0 {
				t.Errorf("%d requests are in flight", n)
			}
			s.route.Chain = nil
			client.asks(head("GET", "h", "/b", codec.NoContent))
			for _, server := range s.servers {
				if strings.Contains(server.got, "GET /b ") {
					s.sends(server, "HTTP/1.1 204 No Content\r\n\r\n")
				}
			}
			if len(client.heard) != 1 || client.heard[0] != "204 end" {
				t.Errorf("the next request: %q", client.heard)
			}
		})
	}
}
