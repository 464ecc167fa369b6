package mw

import (
	"context"
	"net/http"
	"testing"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

// marking is a filter that asks a goroutine for a mark and puts it on request and response.
type marking struct{}

func (marking) Request(x *exchange.Exchange) exchange.Verdict {
	reactor.Go(x.Local().Loop, func(context.Context) (string, error) { return "seen", nil }, func(mark string, _ error) {
		x.RequestHead.Fields = append(x.RequestHead.Fields, codec.Field{Name: []byte("X-Mark"), Value: []byte(mark)})
		x.Resume(exchange.Next)
	})
	return exchange.Wait
}

func (marking) Response(_ *exchange.Exchange, h *codec.Head, _ bool) exchange.Verdict {
	h.Fields = append(h.Fields, codec.Field{Name: []byte("X-Mark"), Value: []byte("seen")})
	return exchange.Next
}

// plain is a filter that does nothing.
type plain struct{}

func (plain) Request(*exchange.Exchange) exchange.Verdict { return exchange.Next }

// TestBed shows that the bed carries requests with and without content, and work beside the loop.
func TestBed(t *testing.T) {
	eachVersion(t, func(t *testing.T, v codec.Version) {
		b := newBed(t, plain{}, marking{})
		var marks []string
		b.answer = func(r *http.Request) string {
			marks = append(marks, r.Method+" "+r.Host+" "+r.URL.String()+" "+r.Header.Get("X-Mark"))
			return bedAnswer
		}
		if c := b.ask(v, "GET", "/a?b=c"); c.status != 200 || c.body != "ok" || c.field("x-mark") != "seen" || !c.complete {
			t.Errorf("%d %q %q", c.status, c.body, c.field("x-mark"))
		}
		c := b.begin(v, "PUT", "/b", unknown)
		c.send("one", false)
		c.send("two", true)
		b.await("the exchange is over", func() bool { return c.over })
		if c.status != 200 || len(marks) != 2 || marks[0] != "GET example.org /a?b=c seen" || marks[1] != "PUT example.org /b seen" {
			t.Errorf("%d, the server got %q", c.status, marks)
		}
	})
}

// TestNoFilterNoCost shows that filters that do nothing allocate nothing, so that allocs counts those of others.
func TestNoFilterNoCost(t *testing.T) {
	eachVersion(t, func(t *testing.T, v codec.Version) {
		if n := allocs(t, v, "GET", "/a?b=c", []string{"Accept: text/html"}, plain{}, plain{}); n != 0 {
			t.Errorf("%v allocations", n)
		}
		if n := allocs(t, v, "GET", "/a", nil, wasteful{}); n < 1 {
			t.Errorf("%v allocations of a filter that makes some", n)
		}
	})
}

// wasteful is a filter that allocates.
type wasteful struct{}

var waste []byte

func (wasteful) Request(*exchange.Exchange) exchange.Verdict {
	waste = make([]byte, 100)
	return exchange.Next
}
