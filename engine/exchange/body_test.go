package exchange_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

// shaping is a filter that puts a Body in the way of responses that have content.
type shaping struct {
	noting
	make func(out exchange.Outlet) exchange.Body
}

func (f *shaping) Response(x *exchange.Exchange, h *codec.Head, end bool) exchange.Verdict {
	v := f.noting.Response(x, h, end)
	if !x.HasContent(h, end) {
		f.note(" no content")
		return v
	}
	h.Framing, h.Length = codec.ByChunks, -1
	h.Remove(codec.FieldContentLength)
	var out exchange.Outlet
	b := &late{body: func() exchange.Body { return f.make(out) }}
	out = x.Insert(b)
	b.Body = b.body()
	return v
}

// late is a Body that is made when its Outlet is known.
type late struct {
	exchange.Body
	body func() exchange.Body
}

// around is a Body that puts a mark before and behind the content, and adds a field to trailers.
type around struct {
	out   exchange.Outlet
	mark  string
	begun string // the mark, once it was put before
	drops *int
}

func (a *around) Data(p []byte, end bool) {
	text := string(p)
	if a.begun != a.mark {
		a.begun = a.mark
		text = a.mark + text
	}
	if end {
		text += a.mark
	}
	a.out.Data([]byte(text), end)
}
func (a *around) Trailers(t []codec.Field) {
	a.out.Data([]byte(a.mark), false)
	a.out.Trailers(append(t, codec.Field{Name: []byte("around"), Value: []byte(a.mark)}))
}
func (a *around) Queued() int { return 0 }
func (a *around) Drop()       { *a.drops++ }

// hoard is a Body that keeps everything until it is released.
type hoard struct {
	out   exchange.Outlet
	kept  []byte
	ended bool
	most  int
	drops int
}

func (h *hoard) Data(p []byte, end bool) {
	h.kept, h.ended = append(h.kept, p...), end
	h.most = max(h.most, len(h.kept))
}
func (h *hoard) Trailers([]codec.Field) { h.ended = true }
func (h *hoard) Queued() int            { return len(h.kept) }
func (h *hoard) Drop()                  { h.drops++ }

// release passes on what was kept.
func (h *hoard) release() {
	kept := h.kept
	h.kept = nil
	h.out.Data(kept, h.ended)
	h.out.Drained()
}

// bodies makes the route's chain of filters with these bodies, the first nearest to the client.
func (s *scene) bodies(makers ...func(out exchange.Outlet) exchange.Body) *[]string {
	log := new([]string)
	var all []exchange.Filter
	for i, m := range makers {
		all = append(all, &shaping{noting{name: string(rune('a' + i)), log: log}, m})
	}
	s.route.Chain = exchange.NewChain(all...)
	return log
}

// Bodies take content one after another, the one of the last filter first, and trailers with it.
func TestBodies(t *testing.T) {
	drops := 0
	wrap := func(with string) func(out exchange.Outlet) exchange.Body {
		return func(out exchange.Outlet) exchange.Body { return &around{out: out, mark: with, drops: &drops} }
	}
	for _, c := range []struct{ name, method, answer, heard string }{
		{"by length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "200 [Seen: b] [Seen: a], data 12hi21 end"},
		{"by chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
			"200 [Transfer-Encoding: chunked] [Seen: b] [Seen: a], data 12hi21 end"},
		{"trailers", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 1\r\n\r\n",
			"200 [Transfer-Encoding: chunked] [Seen: b] [Seen: a], data 12hi21, trailers [x-sum: 1] [around: 2] [around: 1]"},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "200 [Content-Length: 2] [Seen: b] [Seen: a] end"},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", "204 [Seen: b] [Seen: a] end"},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", "304 [Content-Length: 2] [Seen: b] [Seen: a] end"},
		{"no content", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 [Content-Length: 0] [Seen: b] [Seen: a] end"},
		{"cut short", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", "200 [Seen: b] [Seen: a], data 12hi, reset"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.loop.Net.Piece, drops = 64<<10, 0
			log := s.bodies(wrap("1"), wrap("2"))
			client := s.caller(nil)
			client.asks(head(c.method, "h", "/a", codec.NoContent))
			s.replies(c.answer)
			if c.name == "cut short" {
				s.servers[0].conn.Abort()
				s.loop.Run()
			}
			got := strings.Join(client.heard, ", ")
			if !strings.HasPrefix(got, c.heard) || !client.finished {
				t.Errorf("heard %q, want %q; finished: %v", got, c.heard, client.finished)
			}
			if none := strings.Count(says(log), "no content"); drops+none != 2 {
				t.Errorf("%d bodies were dropped; %s", drops, says(log))
			}
		})
	}
}

// A body that keeps much holds the server, and lets it go when it has passed it on, also when the server has long said
// all it had to say.
func TestBodiesHoldTheServer(t *testing.T) {
	for _, size := range []int{100, 40_000, 1 << 20} {
		s := newScene(t)
		s.loop.Net.Window = 1 << 20
		var h *hoard
		s.bodies(func(out exchange.Outlet) exchange.Body { h = &hoard{out: out}; return h },
			func(out exchange.Outlet) exchange.Body { return &around{out: out, drops: new(int)} })
		c := s.caller(nil)
		c.asks(head("GET", "h", "/a", codec.NoContent))
		content := bytes.Repeat([]byte("content "), size/8+1)
		s.replies(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(content), content))
		for range 1000 {
			if h.ended {
				break
			}
			if len(h.kept) <= codec.HighMark {
				t.Fatalf("%d bytes are kept and no more come", len(h.kept))
			}
			h.release()
			s.loop.Run()
		}
		if c.finished {
			t.Error("the exchange is over before the last of its content was passed on")
		}
		h.release()
		s.loop.Run()
		if h.most > codec.HighMark+2*64<<10 || h.drops != 1 {
			t.Errorf("%d bytes were kept, %d drops", h.most, h.drops)
		}
		if len(c.heard) != 2 || c.heard[1] != "data "+string(content)+" end" || !c.finished {
			t.Errorf("the client heard other content, or not all; finished: %v", c.finished)
		}
	}
}

// A client that takes nothing holds the server through bodies that keep nothing.
func TestClientHoldsTheServerThroughBodies(t *testing.T) {
	s := newScene(t)
	s.loop.Net.Window = 1 << 20
	s.bodies(func(out exchange.Outlet) exchange.Body { return &around{out: out, drops: new(int)} })
	c := s.caller(nil)
	c.queued = codec.HighMark + 1
	c.asks(head("GET", "h", "/a", codec.NoContent))
	content := strings.Repeat("content ", 100_000)
	s.replies(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(content), content))
	if n := len(c.heard[len(c.heard)-1]); n > 200_000 {
		t.Errorf("a client that takes nothing was sent %d bytes", n)
	}
	c.queued = 0
	c.x.ClientDrained()
	s.loop.Run()
	if !c.finished || c.heard[1] != "data "+content+" end" {
		t.Errorf("finished: %v; the client got other content, or not all", c.finished)
	}
}

// A body that waits is told that the exchange is over when the client leaves.
func TestBodyDroppedWhenTheClientLeaves(t *testing.T) {
	for _, whole := range []string{"", "i"} {
		s := newScene(t)
		var h *hoard
		log := s.bodies(func(out exchange.Outlet) exchange.Body { h = &hoard{out: out}; return h })
		c := s.caller(nil)
		c.asks(head("GET", "h", "/a", codec.NoContent))
		s.replies("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh" + whole)
		if c.finished {
			t.Fatal("over while a body keeps content")
		}
		c.x.RequestBroken(&codec.Error{Side: codec.Client, Kind: codec.KindClosed})
		s.loop.Run()
		if !c.finished || h.drops != 1 || s.targets[0].InFlight() != 0 || says(log) != "a? a200 a." {
			t.Errorf("finished: %v, %d drops, %d in flight, %s", c.finished, h.drops, s.targets[0].InFlight(), says(log))
		}
	}
}

// Content that comes while one filter after another makes the head wait goes through each body once, in order.
func TestBodiesBetweenWaits(t *testing.T) {
	s := newScene(t)
	log := new([]string)
	first, last := &noting{name: "a", log: log, response: pauses}, &noting{name: "c", log: log, response: pauses}
	between := &shaping{noting{name: "b", log: log}, func(out exchange.Outlet) exchange.Body {
		return &around{out: out, mark: "|", drops: new(int)}
	}}
	s.route.Chain = exchange.NewChain(first, between, last)
	c := s.caller(nil)
	c.asks(head("GET", "h", "/a", codec.NoContent))
	s.replies("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none")
	for _, text := range []string{"two", "six"} {
		if len(c.heard) != 0 {
			t.Fatalf("while a filter waits the client heard %q", c.heard)
		}
		s.loop.Advance(reactor.Tick + time.Millisecond)
		s.sends(s.servers[0], text)
	}
	s.loop.Advance(time.Second)
	if got, want := says(log), "a? b? c? c200 b200 a200 a. b. c."; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(c.heard) != 2 || c.heard[1] != "data |onetwosix| end" {
		t.Errorf("the client heard %q", c.heard)
	}
}
