package exchange_test

import (
	"fmt"
	"strings"
	"testing"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// part is a filter made of functions, and the hearer of a subrequest that it makes.
type part struct {
	request  func(x *exchange.Exchange) exchange.Verdict
	response func(x *exchange.Exchange, h *codec.Head) exchange.Verdict
	answered func(h *codec.Head, end bool)
	failed   func(e *codec.Error)
	sub      *exchange.Subrequest
	heard    []string // of the subrequest, after its head
}

func (p *part) Request(x *exchange.Exchange) exchange.Verdict {
	if p.request == nil {
		return exchange.Next
	}
	return p.request(x)
}

func (p *part) Response(x *exchange.Exchange, h *codec.Head, _ bool) exchange.Verdict {
	if p.response == nil {
		return exchange.Next
	}
	return p.response(x, h)
}

func (p *part) Head(h *codec.Head, end bool)    { p.answered(h, end) }
func (p *part) Data(b []byte, end bool)         { p.heard = noteData(p.heard, b, end) }
func (p *part) Trailers(t []codec.Field)        { p.heard = append(p.heard, "trailers") }
func (p *part) Failed(e *codec.Error)           { p.failed(e) }
func (p *part) ask(s *scene, target string)     { p.sub = s.subrequest(target, p) }
func (s *scene) chain(parts ...exchange.Filter) { s.route.Chain = exchange.NewChain(parts...) }

// subrequest asks for a target from a filter.
func (s *scene) subrequest(target string, a exchange.Answer) *exchange.Subrequest {
	h := head("GET", "inner", target, codec.NoContent)
	return s.entry.Local.Subrequest(s.route.Service, &h, 0, nil, a)
}

// relays is a filter that answers every request with the response to one of its own.
func (s *scene) relays() *part {
	p := &part{failed: func(e *codec.Error) { s.t.Errorf("the subrequest failed: %v", e) }}
	p.request = func(x *exchange.Exchange) exchange.Verdict {
		p.answered = func(h *codec.Head, end bool) {
			x.Relay(p.sub, h, end)
			x.Resume(exchange.Answered)
		}
		p.ask(s, "/inner")
		return exchange.Wait
	}
	return p
}

// replaces is a filter that has the content of every response replaced by that of the answer to a request of its own.
func (s *scene) replaces() *part {
	p := new(part)
	p.response = func(x *exchange.Exchange, _ *codec.Head) exchange.Verdict {
		x.Discard()
		p.answered = func(h *codec.Head, end bool) { x.ReplaceWith(p.sub, h, end) }
		p.failed = func(*codec.Error) { x.Replace([]byte("sorry")) }
		p.ask(s, "/inner")
		return exchange.Wait
	}
	return p
}

// waits is a filter that withholds every response until the test resumes it.
func waits(resume *func()) *part {
	return &part{response: func(x *exchange.Exchange, _ *codec.Head) exchange.Verdict {
		*resume = x.ResumeResponse
		return exchange.Wait
	}}
}

const inner = "HTTP/1.1 401 Unauthorized\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-Kept: 2\r\n"

// server is the one that was asked for a target last.
func (s *scene) server(target string) *end {
	s.t.Helper()
	for i := len(s.servers) - 1; i >= 0; i-- {
		if strings.Contains(s.servers[i].got, " "+target+" HTTP/1.1\r\n") {
			return s.servers[i]
		}
	}
	s.t.Fatalf("no server was asked for %s", target)
	return nil
}

// What a client hears of a response that a filter passes on from a subrequest, whole or not.
func TestRelay(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(s *scene, server *end)
		want string
		done string
	}{
		{"no content", func(s *scene, server *end) { s.sends(server, inner+"Content-Length: 0\r\n\r\n") },
			"401 [X-Kept: 2] end", "401 none"},
		{"content in pieces", func(s *scene, server *end) {
			s.sends(server, inner+"Content-Length: 4\r\n\r\nhe")
			s.sends(server, "re")
		}, "401 [X-Kept: 2] | data here end", "401 none"},
		{"trailers", func(s *scene, server *end) {
			s.sends(server, inner+"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 3\r\n\r\n")
		}, "401 [X-Kept: 2] | data hi | trailers [X-Sum: 3]", "401 none"},
		{"cut short", func(s *scene, server *end) {
			s.sends(server, inner+"Content-Length: 4\r\n\r\nhe")
			server.conn.Close(false)
			s.loop.Run()
		}, "401 [X-Kept: 2] | data he | reset upstream: closed", "401 closed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.chain(new(part), s.relays())
			client := s.caller(nil)
			client.asks(head("GET", "h", "/", codec.NoContent))
			c.play(s, s.server("/inner"))
			got := strings.ReplaceAll(strings.Join(client.heard, " | "), " [Content-Length: 0]", "")
			got = strings.ReplaceAll(strings.ReplaceAll(got, " [Connection: X-Hop]", ""), " [Content-Length: 4]", "")
			got = strings.ReplaceAll(got, " [Transfer-Encoding: chunked]", "")
			if !strings.HasPrefix(got, c.want) || !client.finished || !strings.HasPrefix(s.done[0], c.done) {
				t.Errorf("the client heard %s; finished: %v, %q\nwant %s", got, client.finished, s.done, c.want)
			}
		})
	}
}

// A client that is slow to take what is relayed holds the server it comes from, and nobody when all is over.
func TestRelayWaitsForTheClient(t *testing.T) {
	for _, name := range []string{"answer", "content"} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			if s.chain(s.relays()); name == "content" {
				s.chain(s.replaces())
			}
			client := s.caller(nil)
			client.asks(head("GET", "h", "/", codec.NoContent))
			if name == "content" {
				s.sends(s.server("/"), "HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\nold")
			}
			server := s.server("/inner")
			s.sends(server, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
			client.queued = codec.HighMark + 1
			s.sends(server, "a")
			const piece = 64 << 10
			for range 8 {
				s.sends(server, strings.Repeat("b", piece))
			}
			if n := heardData(client); n > piece+1 {
				t.Errorf("the client that took nothing was given %d bytes", n)
			}
			if name == "content" { // the end of what is not wanted lets nobody go
				s.sends(s.server("/"), "content")
				if n := heardData(client); n > piece+1 {
					t.Errorf("then it was given %d bytes", n)
				}
			}
			client.queued = 0
			client.x.ClientDrained()
			s.sends(server, strings.Repeat("b", 1000000-8*piece-1))
			if n := heardData(client); n != 1000000 || !client.finished {
				t.Errorf("the client got %d bytes; finished: %v", n, client.finished)
			}
		})
	}
}

func heardData(c *caller) (n int) {
	for _, h := range c.heard {
		if data, ok := strings.CutPrefix(h, "data "); ok {
			n += len(strings.TrimSuffix(data, " end"))
		}
	}
	return n
}

// Content in place of a response's own, whatever becomes of that.
func TestReplace(t *testing.T) {
	const failed = "HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\n"
	const page = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage"
	for _, c := range []struct {
		name string
		play func(s *scene)
		want string
	}{
		{"its own is whole", func(s *scene) {
			s.sends(s.server("/"), failed+"0123456789")
			s.sends(s.server("/inner"), page)
		}, "data page end"},
		{"its own comes late", func(s *scene) {
			s.sends(s.server("/"), failed)
			s.sends(s.server("/inner"), page)
			if strings.HasPrefix(s.done[0], "500") {
				return
			}
			s.t.Error("not observed")
		}, "data page end"},
		{"its own is cut short", func(s *scene) {
			s.sends(s.server("/"), failed+"012")
			s.server("/").conn.Abort()
			s.loop.Run()
			s.sends(s.server("/inner"), page)
		}, "data page end"},
		{"its own is cut short in the middle of the other", func(s *scene) {
			s.sends(s.server("/"), failed+"012")
			s.sends(s.server("/inner"), page[:len(page)-1])
			s.server("/").conn.Abort()
			s.loop.Run()
			s.sends(s.server("/inner"), "e")
		}, "data page end"},
		{"there is none", func(s *scene) {
			s.sends(s.server("/"), "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
			s.sends(s.server("/inner"), page)
		}, "data page end"},
		{"no server answers", func(s *scene) {
			s.server("/").conn.Abort()
			s.loop.Run()
			s.sends(s.server("/inner"), page)
		}, "data page end"},
		{"the other fails", func(s *scene) {
			s.sends(s.server("/"), failed+"0123456789")
			s.server("/inner").conn.Close(false)
			s.loop.Run()
		}, "data sorry end"},
		{"the other is cut short", func(s *scene) {
			s.sends(s.server("/"), failed+"0123456789")
			s.sends(s.server("/inner"), page[:len(page)-1])
			s.server("/inner").conn.Close(false)
			s.loop.Run()
		}, "data pag | reset upstream: closed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.chain(s.replaces())
			client := s.caller(nil)
			client.asks(head("POST", "h", "/", codec.NoContent))
			c.play(s)
			got := strings.Join(client.heard[min(1, len(client.heard)):], " | ")
			if !strings.HasPrefix(got, c.want) || !client.finished {
				t.Errorf("the client heard %s\nwant %s; finished: %v", client.heard, c.want, client.finished)
			}
			if n := s.targets[0].InFlight() + s.targets[1].InFlight(); n != 0 {
				t.Errorf("%d requests are in flight", n)
			}
		})
	}
}

// Content that comes while a filter makes the head wait comes behind the head, whatever is in its way.
func TestWithheldContent(t *testing.T) {
	for _, c := range []struct {
		name string
		more func(s *scene) *part
	}{
		{"from the server", func(*scene) *part { return new(part) }},
		{"through a body", func(*scene) *part {
			return &part{response: func(x *exchange.Exchange, _ *codec.Head) exchange.Verdict {
				b := &passing{}
				b.out = x.Insert(b)
				return exchange.Next
			}}
		}},
		{"of another response", func(s *scene) *part { return s.replaces() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			var resume func()
			s.chain(waits(&resume), c.more(s))
			client := s.caller(nil)
			client.asks(head("GET", "h", "/", codec.NoContent))
			s.sends(s.servers[0], "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfi")
			if c.name == "of another response" {
				s.sends(s.server("/inner"), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfi")
				s.sends(s.server("/inner"), "rst")
			} else {
				s.sends(s.servers[0], "rst")
			}
			if len(client.heard) != 0 {
				t.Fatalf("before the head may pass the client heard %q", client.heard)
			}
			resume()
			s.loop.Run()
			if len(client.heard) != 2 || !strings.HasPrefix(client.heard[0], "200") || client.heard[1] != "data first end" {
				t.Errorf("the client heard %q", client.heard)
			}
		})
	}
}

// passing is a Body that passes everything on.
type passing struct{ out exchange.Outlet }

func (p *passing) Data(b []byte, end bool)  { p.out.Data(b, end) }
func (p *passing) Trailers(t []codec.Field) { p.out.Trailers(t) }
func (p *passing) Queued() int              { return 0 }
func (p *passing) Drop()                    {}

// A filter that refuses a response answers in its place, also when the response is whole.
func TestRefuseResponse(t *testing.T) {
	for _, content := range []string{"", "0123456789"} {
		s := newScene(t)
		var refuse func()
		s.chain(&part{response: func(x *exchange.Exchange, _ *codec.Head) exchange.Verdict {
			if x.Status != 200 {
				return exchange.Next
			}
			refuse = func() { x.RefuseResponse(&codec.Error{Side: codec.Upstream, Kind: codec.KindTooLarge, Status: 502}) }
			return exchange.Wait
		}})
		client := s.caller(nil)
		client.asks(head("GET", "h", "/", codec.NoContent))
		s.sends(s.servers[0], "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"+content)
		refuse()
		s.loop.Run()
		if len(client.heard) != 2 || !strings.HasPrefix(client.heard[0], "502") || !client.finished {
			t.Errorf("content %q: the client heard %q", content, client.heard)
		}
		if want := "502 too_large, 0 retries"; fmt.Sprint(s.done) != "["+want+"]" {
			t.Errorf("observed %q", s.done)
		}
	}
}

// kept is a Tee that notes what it is given.
type kept struct{ heard []string }

func (k *kept) Data(p []byte, end bool) { k.heard = noteData(k.heard, p, end) }
func (k *kept) Drop()                   { k.heard = append(k.heard, "drop") }

// Content that is read whole reaches tees on either side, also when a filter made the request wait before; a client that
// waits to be told to send it is told.
func TestBuffer(t *testing.T) {
	s := newScene(t)
	var x *exchange.Exchange
	var before, behind kept
	tee := func(k *kept) *part {
		return &part{request: func(x *exchange.Exchange) exchange.Verdict { x.Tee(k); return exchange.Next }}
	}
	first := &part{request: func(asked *exchange.Exchange) exchange.Verdict { x = asked; return exchange.Wait }}
	whole := &part{request: func(x *exchange.Exchange) exchange.Verdict { return x.Buffer(10) }}
	s.chain(first, tee(&before), whole, tee(&behind))
	client := s.caller(nil)
	client.asks(head("PUT", "h", "/", codec.ByEndStream, "expect: 100-continue"))
	if client.holds != 1 {
		t.Fatalf("while a filter waits the client is held %d times", client.holds)
	}
	x.Resume(exchange.Next)
	s.loop.Run()
	if client.holds != 0 || fmt.Sprint(client.heard) != "[100]" {
		t.Fatalf("the client is held %d times and heard %q", client.holds, client.heard)
	}
	client.says("hel", false)
	if len(s.servers) != 0 {
		t.Fatal("a server was asked before the content was whole")
	}
	client.says("lo", true)
	got := s.servers[0].got
	if !strings.Contains(got, "\r\nContent-Length: 5\r\n") || !strings.HasSuffix(got, "\r\n\r\nhello") ||
		strings.Contains(strings.ToLower(got), "expect") {
		t.Errorf("the server got %q", got)
	}
	s.sends(s.servers[0], "HTTP/1.1 204 No Content\r\n\r\n")
	const want = "[data hello end drop]"
	if fmt.Sprint(before.heard) != want || fmt.Sprint(behind.heard) != want || !client.finished {
		t.Errorf("the tees heard %q and %q, the client %q", before.heard, behind.heard, client.heard)
	}
}
