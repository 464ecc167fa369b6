package exchange_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// What a client of HTTP/1.1 is sent of what a server of HTTP/2 answers, and what that one was asked.
func TestHTTP1ToHTTP2(t *testing.T) {
	const get = "GET /a?b HTTP/1.1\r\nHost: h\r\n"
	for _, c := range []struct {
		name, request string
		got           []string // what the server got
		answer        func(a *asked)
		client        string // what the client got
		fate          string // of its connection
	}{
		{"length", get + "Connection: x-a, close\r\nX-A: b\r\n\r\n", []string{"GET h /a?b end"},
			func(a *asked) { a.answers(200, 2, false, "server: x"); a.says("ok", true) },
			"HTTP/1.1 200 \r\nServer: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "end"},
		{"no length", get + "\r\n", []string{"GET h /a?b end"},
			func(a *asked) { a.answers(200, -1, false); a.says("y", false); a.says("", true) },
			"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n1\r\ny\r\n0\r\n\r\n", ""},
		{"no length, HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", []string{"GET h / end"},
			func(a *asked) { a.answers(200, -1, false); a.says("ok", true) }, "HTTP/1.1 200 \r\nConnection: close\r\n\r\nok", "end"},
		{"length, HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", []string{"GET h / end"},
			func(a *asked) { a.answers(200, 2, false); a.says("ok", true) },
			"HTTP/1.1 200 \r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", ""},
		{"trailers", get + "\r\n", []string{"GET h /a?b end"},
			func(a *asked) { a.answers(200, -1, false); a.says("y", false); a.ends("x-sum: 1") },
			"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n1\r\ny\r\n0\r\nx-sum: 1\r\n\r\n", ""},
		{"trailers, HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\n\r\n", []string{"GET h / end"},
			func(a *asked) { a.answers(200, -1, false); a.says("ok", false); a.ends("x-sum: 1") },
			"HTTP/1.1 200 \r\nConnection: close\r\n\r\nok", "end"},
		{"trailers behind a length", get + "\r\n", []string{"GET h /a?b end"},
			func(a *asked) { a.answers(200, 2, false); a.says("ok", false); a.ends("x-sum: 1") },
			"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", ""},
		{"no content", get + "\r\n", []string{"GET h /a?b end"}, func(a *asked) { a.answers(404, -1, true) },
			"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", ""},
		{"204", get + "\r\n", []string{"GET h /a?b end"}, func(a *asked) { a.answers(204, -1, true) }, "HTTP/1.1 204 \r\n\r\n", ""},
		{"304 with a length", get + "\r\n", []string{"GET h /a?b end"}, func(a *asked) { a.answers(304, 7, true) },
			"HTTP/1.1 304 \r\nContent-Length: 7\r\n\r\n", ""},
		{"HEAD with a length", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", []string{"HEAD h / end"},
			func(a *asked) { a.answers(200, 7, true) }, "HTTP/1.1 200 \r\nContent-Length: 7\r\n\r\n", ""},
		{"interim responses", get + "\r\n", []string{"GET h /a?b end"},
			func(a *asked) { a.answers(103, -1, false, "link: x"); a.answers(204, -1, true) },
			"HTTP/1.1 103 \r\nlink: x\r\n\r\nHTTP/1.1 204 \r\n\r\n", ""},
		{"content with a length", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab",
			[]string{"PUT h / [content-length: 2]", "data ab end"}, func(a *asked) { a.answers(204, -1, true) },
			"HTTP/1.1 204 \r\n\r\n", ""},
		{"chunks and trailers", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n2\r\nab\r\n0\r\nA: b\r\n" +
			"X-Forwarded-For: c\r\n\r\n", []string{"PUT h / [trailer: A]", "data ab", "trailers [a: b] end"},
			func(a *asked) { a.answers(204, -1, true) }, "HTTP/1.1 204 \r\n\r\n", ""},
		{"trailers are taken", get + "Connection: te\r\nTE: trailers, gzip\r\n\r\n", []string{"GET h /a?b te end"},
			func(a *asked) { a.answers(204, -1, true) }, "HTTP/1.1 204 \r\n\r\n", ""},
		{"cut short", get + "\r\n", []string{"GET h /a?b end"}, func(a *asked) {
			a.answers(200, 5, false)
			a.says("ok", false)
			a.stream.Reset(&codec.Error{Side: codec.Internal})
			a.scene.loop.Run()
		}, "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nok", "end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			all := s.speak2()
			s.sends(&s.client, c.request)
			if len(all.asked) != 1 {
				t.Fatalf("%d requests came; the client got %q", len(all.asked), s.client.got)
			}
			a := all.asked[0]
			c.answer(a)
			if !slices.Equal(a.got, c.got) {
				t.Errorf("the server got %q, want %q", a.got, c.got)
			}
			if s.client.got != c.client || s.client.fate != c.fate {
				t.Errorf("the client got %q, then %q, want %q, then %q", s.client.got, s.client.fate, c.client, c.fate)
			}
		})
	}
}

// A client of HTTP/1.1 that waits for 100 (Continue) sends its content when a server of HTTP/2 says so.
func TestHTTP1ToHTTP2Expectation(t *testing.T) {
	s := newScene(t)
	all := s.speak2()
	s.sends(&s.client, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
	a := all.asked[0]
	a.answers(100, -1, false)
	if s.client.got != "HTTP/1.1 100 \r\n\r\n" {
		t.Errorf("the client got %q", s.client.got)
	}
	s.sends(&s.client, "ab")
	a.answers(204, -1, true)
	want := []string{"PUT h / [expect: 100-continue] [content-length: 2]", "data ab end"}
	if !slices.Equal(a.got, want) || !strings.HasSuffix(s.client.got, "HTTP/1.1 204 \r\n\r\n") {
		t.Errorf("the server got %q, the client %q", a.got, s.client.got)
	}
}

// A request that a server of HTTP/2 refuses was not looked at: whatever its method, the next one is asked. The server is
// there and not to blame.
func TestHTTP2Refuses(t *testing.T) {
	for refuses, want := range []string{"HTTP/1.1 204 \r\n", "HTTP/1.1 204 \r\n", "HTTP/1.1 502 "} {
		s := newScene(t)
		s.observed = func(x *exchange.Exchange) {
			if x.Err != nil && x.Err.Kind != codec.KindClosed {
				t.Errorf("refused %d times: observed as %v", refuses, x.Err)
			}
		}
		all := s.speak2()
		all.refuses = refuses
		s.sends(&s.client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
		if len(all.asked) > 0 {
			all.asked[0].answers(204, -1, true)
		}
		if !strings.HasPrefix(s.client.got, want) {
			t.Errorf("refused %d times: the client got %q", refuses, s.client.got)
		}
		for i, x := range s.targets {
			if n := x.Status(s.loop.Now()).Failed; n != 0 {
				t.Errorf("refused %d times: %d failures of server %d", refuses, n, i)
			}
		}
	}
}

// Tunnels to a server of HTTP/2, from clients of both versions.
func TestTunnelToHTTP2(t *testing.T) {
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	s := newScene(t)
	all := s.speak2()
	s.sends(&s.client, strings.Replace(upgrade, "\r\n\r\n", "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "+key+"\r\n\r\nearly", 1))
	a := all.asked[0]
	if want := "CONNECT"; strings.Contains(a.got[0], want) || !strings.Contains(a.got[0], "GET h /chat tunnel") || strings.Contains(a.got[0], key) {
		t.Errorf("the server got %q", a.got)
	}
	a.answers(101, -1, false)
	a.says("hello", false)
	s.sends(&s.client, "late")
	s.client.conn.CloseWrite()
	s.loop.Run()
	a.says("bye", true)
	want := "HTTP/1.1 101 \r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nConnection: upgrade\r\n\r\nhellobye"
	if !strings.EqualFold(s.client.got, want) || s.client.fate != "end" {
		t.Errorf("the client got %q, then %q, want %q", s.client.got, s.client.fate, want)
	}
	if got := strings.Join(a.got[1:], "|"); strings.NewReplacer("data ", "", "|", "").Replace(got) != "earlylate end" {
		t.Errorf("the server got %q", a.got)
	}
	if got := strings.Join(s.done, " "); got != "101 none, 0 retries" {
		t.Errorf("%q was observed", got)
	}

	s = newScene(t)
	all = s.speak2()
	client := s.caller(nil)
	client.asks(websocket("websocket"))
	a = all.asked[0]
	a.answers(101, -1, false, "sec-websocket-protocol: a")
	client.says("one", true)
	a.says("two", true)
	if !slices.Equal(client.heard, []string{"101 [sec-websocket-protocol: a] [Upgrade: websocket]", "data two end"}) || !client.finished {
		t.Errorf("the client heard %q, finished %v", client.heard, client.finished)
	}
}

// A tunnel that is ended, by silence or for want of time, while a server of HTTP/2 has yet to read: it gets what is queued
// for it, then the end, and so does the client.
func TestEndTunnelToHTTP2(t *testing.T) {
	const sent = 100_000 // more than the server's window
	for name, c := range map[string]struct {
		end  func(s *scene)
		done string
	}{
		"silence":      {func(s *scene) { s.loop.Advance(tunnelIdle + time.Second) }, "101 timeout, 0 retries"},
		"no more time": {func(s *scene) { s.loop.Post(s.entry.Conns.EndTunnels); s.loop.Run() }, "101 cancelled, 0 retries"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			all := s.speak2()
			s.sends(&s.client, upgrade)
			a := all.asked[0]
			a.answers(101, -1, false)
			a.says("hello", false)
			a.stream.Hold(true)
			s.sends(&s.client, strings.Repeat("x", sent))
			if c.end(s); !strings.HasSuffix(s.client.got, "hello") || s.client.fate != "end" {
				t.Errorf("the client got %q, then %q", s.client.got, s.client.fate)
			}
			if got := strings.Join(s.done, " "); got != c.done {
				t.Errorf("%q was observed, want %q", got, c.done)
			}
			a.stream.Hold(false)
			s.loop.Run()
			if got := a.got[len(a.got)-1]; got != "data "+strings.Repeat("x", sent)+" end" {
				t.Errorf("the server got %d bytes, then %q", len(got)-len("data "), got[max(0, len(got)-10):])
			}
			a.says("bye", true) // nobody is there any more
			a.stream.Release()
			s.client.conn.Close(false)
			s.loop.Advance(time.Second)
			if x := s.targets[0]; x.Open() != 1 || x.Idle() != 1 || x.InFlight() != 0 {
				t.Errorf("connections to the server: %d open, %d idle, %d in flight", x.Open(), x.Idle(), x.InFlight())
			}
		})
	}
}

// A call of gRPC needs what is rare elsewhere: content both ways at once, trailers, and responses that are trailers only.
func TestGRPC(t *testing.T) {
	call := func(s *scene) (*caller, *asked) {
		all := s.speak2()
		client := s.caller(nil)
		client.asks(te(head("POST", "h", "/shop.Till/Watch", codec.ByEndStream, "content-type: application/grpc")))
		return client, all.asked[0]
	}
	t.Run("both ways at once", func(t *testing.T) {
		s := newScene(t)
		client, a := call(s)
		got := []string{"POST h /shop.Till/Watch te [content-type: application/grpc]", ""}
		heard := []string{"200 [Content-Type: application/grpc]", ""}
		client.says("1", false)
		a.answers(200, -1, false, "content-type: application/grpc")
		for i, c := range []struct{ up, down string }{{"1", "A"}, {"12", "AB"}, {"123", "ABC"}} {
			if i > 0 {
				client.says(c.up[i:], false)
			}
			a.says(c.down[i:], false)
			got[1], heard[1] = "data "+c.up, "data "+c.down
			if !slices.Equal(client.heard, heard) || !slices.Equal(a.got, got) {
				t.Errorf("%d: the client heard %q, the server %q", i, client.heard, a.got)
			}
		}
		client.says("", true)
		a.ends("grpc-status: 0")
		if client.heard[2] != "trailers [grpc-status: 0]" || a.got[1] != "data 123 end" || !client.finished {
			t.Errorf("the client heard %q, finished %v, the server %q", client.heard, client.finished, a.got)
		}
	})
	t.Run("trailers only", func(t *testing.T) {
		s := newScene(t)
		client, a := call(s)
		a.answers(200, -1, true, "content-type: application/grpc", "grpc-status: 12")
		heard := []string{"200 [Content-Type: application/grpc] [grpc-status: 12] end"}
		if !slices.Equal(client.heard, heard) || !client.finished {
			t.Errorf("the client heard %q, finished %v", client.heard, client.finished)
		}
	})
	t.Run("the server ends first", func(t *testing.T) {
		s := newScene(t)
		client, a := call(s)
		client.says("1", false)
		a.answers(200, -1, false)
		a.ends("grpc-status: 3")
		if n := len(client.heard); client.heard[n-1] != "trailers [grpc-status: 3]" || !client.finished {
			t.Errorf("the client heard %q, finished %v", client.heard, client.finished)
		}
		if got := strings.Join(s.done, " "); got != "200 none, 0 retries" {
			t.Errorf("%q was observed", got)
		}
	})
	t.Run("the client gives up", func(t *testing.T) {
		s := newScene(t)
		client, a := call(s)
		a.answers(200, -1, false)
		client.x.RequestBroken(&codec.Error{Side: codec.Client, Kind: codec.KindClosed})
		s.loop.Run()
		if a.got[len(a.got)-1] != "failed" || !client.finished {
			t.Errorf("the server heard %q, the client finished %v", a.got, client.finished)
		}
	})
}
