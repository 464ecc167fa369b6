package exchange_test

import (
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// reading is a filter that has the content read whole before the request goes on.
type reading struct {
	noting
	limit int64
}

func (r *reading) Request(x *exchange.Exchange) exchange.Verdict {
	r.noting.Request(x)
	return x.Buffer(r.limit)
}

// copying is a filter that copies the content.
type copying struct {
	noting
	got   string
	drops int
}

func (c *copying) Request(x *exchange.Exchange) exchange.Verdict {
	x.Tee(c)
	return c.noting.Request(x)
}

func (c *copying) Data(p []byte, end bool) {
	if c.got += string(p); end {
		c.got += " end"
	}
}

func (c *copying) Drop() { c.drops++ }

const noContent = "HTTP/1.1 204 No Content\r\n\r\n"

// Content that is read whole comes to the server with its length; too much of it comes to nobody.
func TestBufferReadsWhole(t *testing.T) {
	for _, c := range []struct {
		name string
		head codec.Head
		say  func(c *caller)
		want string // end of what the server got; "" when it is to be refused
	}{
		{"no content", head("GET", "h", "/a", codec.NoContent), func(*caller) {}, "\r\n\r\n"},
		{"with a length", withLength(7), func(c *caller) { c.says("con", false); c.says("tent", true) },
			"\r\nContent-Length: 7\r\n\r\ncontent"},
		{"without a length", head("PUT", "h", "/a", codec.ByEndStream, "trailer: x-sum"),
			func(c *caller) { c.says("con", false); c.says("tent", false); c.says("", true) },
			"\r\nContent-Length: 7\r\n\r\ncontent"},
		{"none, without a length", head("PUT", "h", "/a", codec.ByEndStream), func(c *caller) { c.says("", true) },
			"\r\nContent-Length: 0\r\n\r\n"},
		{"trailers, which are left out", head("PUT", "h", "/a", codec.ByEndStream), func(c *caller) {
			c.says("content", false)
			c.x.RequestTrailers([]codec.Field{{Name: []byte("x-sum"), Value: []byte("1")}})
			c.scene.loop.Run()
		}, "\r\nContent-Length: 7\r\n\r\ncontent"},
		{"as much as there may be", withLength(10), func(c *caller) { c.says("0123456789", true) }, "\r\n\r\n0123456789"},
		{"none, where there may be none", head("PUT", "h", "/a", codec.ByEndStream), func(c *caller) { c.says("", true) },
			"\r\nContent-Length: 0\r\n\r\n"},
		{"some, where there may be none", head("PUT", "h", "/a", codec.ByEndStream), func(c *caller) { c.says("0", false) }, ""},
		{"a length that is too much", withLength(11), func(*caller) {}, ""},
		{"too much", head("PUT", "h", "/a", codec.ByEndStream), func(c *caller) { c.says("012345", false); c.says("678910", false) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			log := new([]string)
			before, after := &copying{noting: noting{name: "a", log: log}}, &copying{noting: noting{name: "c", log: log}}
			limit := int64(10)
			if strings.HasSuffix(c.name, "may be none") {
				limit = 0
			}
			s.route.Chain = exchange.NewChain(before, &reading{noting{name: "b", log: log}, limit}, after)
			client := s.caller(nil)
			client.asks(c.head)
			if len(s.servers) != 0 && c.head.Framing != codec.NoContent {
				t.Error("a server is asked before the content is whole")
			}
			c.say(client)
			if c.want == "" {
				if got, want := says(log), "a? b? a413 a. b."; got != want || len(s.servers) != 0 || !client.finished {
					t.Errorf("got %s, want %s; %d servers were asked", got, want, len(s.servers))
				}
				return
			}
			if got := s.replies(noContent); !strings.HasSuffix(got, c.want) || strings.Contains(strings.ToLower(got), "trailer") {
				t.Errorf("the server got %q, want %q", got, c.want)
			}
			if got, want := says(log), "a? b? c? c204 b204 a204 a. b. c."; got != want || !client.finished {
				t.Errorf("got %s, want %s", got, want)
			}
			_, content, _ := strings.Cut(c.want, "\r\n\r\n")
			if content != "" {
				content += " end"
			}
			if c.head.Framing != codec.NoContent && strings.TrimSuffix(before.got, " end") != strings.TrimSuffix(content, " end") ||
				after.got != before.got || before.drops != 1 || after.drops != 1 {
				t.Errorf("copies are %q and %q, want %q", before.got, after.got, content)
			}
		})
	}
}

func withLength(n int64, fields ...string) codec.Head {
	h := head("PUT", "h", "/a", codec.ByLength, fields...)
	h.Length = n
	return h
}

// A client that waits to be told to go on is told so by the proxy when the content is to be read first, and the server
// is not asked about it any more.
func TestBufferContinues(t *testing.T) {
	s := newScene(t)
	log := new([]string)
	s.route.Chain = exchange.NewChain(&reading{noting{name: "a", log: log}, 10})
	c := s.caller(nil)
	c.asks(withLength(2, "expect: 100-continue"))
	if len(c.heard) != 1 || c.heard[0] != "100" {
		t.Fatalf("the client heard %q", c.heard)
	}
	c.says("hi", true)
	if got := s.replies(noContent); !strings.HasSuffix(got, "\r\n\r\nhi") || strings.Contains(got, "Expect") {
		t.Errorf("the server got %q", got)
	}
	if len(c.heard) != 2 || !c.finished {
		t.Errorf("the client heard %q", c.heard)
	}
}

// A filter that waits holds the client; a filter behind it that reads the content lets it go on.
func TestBufferBehindAWait(t *testing.T) {
	s := newScene(t)
	log := new([]string)
	s.route.Chain = exchange.NewChain(&noting{name: "a", log: log, request: pauses}, &reading{noting{name: "b", log: log}, 10},
		&noting{name: "c", log: log, request: pauses}, &reading{noting{name: "d", log: log}, 5})
	c := s.caller(nil)
	c.asks(withLength(7))
	if c.holds != 1 {
		t.Error("the client is not held while a filter waits")
	}
	s.loop.Advance(20 * time.Millisecond)
	if c.holds != 0 {
		t.Error("the client is held while its content is to be read")
	}
	c.says("content", true)
	s.loop.Advance(20 * time.Millisecond)
	if got, want := says(log), "a? b? c? d? c413 b413 a413 a. b. c. d."; got != want || !c.finished {
		t.Errorf("got %s, want %s: the last filter takes less than was read", got, want)
	}
}

// Content that was read whole is there for any further try, whatever the retry policy keeps.
func TestRetryAfterBuffer(t *testing.T) {
	s := newScene(t)
	s.warm()
	log := new([]string)
	tee := &copying{noting: noting{name: "b", log: log}}
	s.route.Chain = exchange.NewChain(&reading{noting{name: "a", log: log}, 10}, tee)
	c := s.caller(nil)
	c.asks(head("PUT", "h", "/a", codec.ByEndStream))
	c.says("content", true)
	s.servers[0].conn.Close(false)
	s.loop.Run()
	if got := s.servers[1].got; !strings.HasSuffix(got, "\r\n\r\ncontent") {
		t.Fatalf("the second server got %q", got)
	}
	s.sends(s.servers[1], noContent)
	if !c.finished || s.done[0] != "204 none, 1 retries" || tee.got != "content end" {
		t.Errorf("%q, the copy is %q", s.done, tee.got)
	}
}

// A copy of content that goes straight to the server.
func TestTee(t *testing.T) {
	s := newScene(t)
	tee := &copying{noting: noting{name: "a", log: new([]string)}}
	s.route.Chain = exchange.NewChain(tee)
	c := s.caller(nil)
	c.asks(withLength(7))
	c.says("con", false)
	c.says("tent", true)
	if got := s.replies(noContent); !strings.HasSuffix(got, "content") || tee.got != "content end" || tee.drops != 1 {
		t.Errorf("the server got %q, the copy is %q, %d drops", got, tee.got, tee.drops)
	}
	tee.got, tee.drops = "", 0
	c.asks(withLength(7))
	c.says("con", false)
	c.x.RequestBroken(&codec.Error{Side: codec.Client, Kind: codec.KindClosed})
	s.loop.Run()
	if tee.got != "con" || tee.drops != 1 {
		t.Errorf("of a request that was cut short the copy is %q, %d drops", tee.got, tee.drops)
	}
}
