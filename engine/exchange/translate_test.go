package exchange_test

import (
	"slices"
	"strings"
	"testing"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// websocket is the extended CONNECT of a client (RFC 8441), as an HTTP/2 session hands it over.
func websocket(protocol string) codec.Head {
	h := head("GET", "h", "/chat", codec.NoContent, "upgrade: "+protocol, "sec-websocket-version: 13")
	h.Options = codec.OptUpgrade
	return h
}

// A client of HTTP/2 opens a tunnel to a server of HTTP/1.1, which sees the handshake of its own version.
func TestTunnelFromHTTP2(t *testing.T) {
	s := newScene(t)
	client := s.caller(nil)
	client.asks(websocket("websocket"))
	server := s.servers[0]
	got := server.got
	_, rest, _ := strings.Cut(got, "Sec-WebSocket-Key: ")
	key, _, _ := strings.Cut(rest, "\r\n")
	if !strings.HasPrefix(got, "GET /chat HTTP/1.1\r\nHost: h\r\n") || !strings.Contains(got, "\r\nsec-websocket-version: 13\r\n") ||
		strings.Count(got, "pgrade: websocket\r\n") != 1 || strings.Count(got, "\r\nConnection: upgrade\r\n") != 1 || len(key) != 24 {
		t.Fatalf("the server got %q", got)
	}
	server.got = ""
	s.sends(server, strings.Replace(switched, "\r\n\r\n", "\r\nSec-WebSocket-Protocol: a\r\nSec-WebSocket-Accept: "+
		string(codec.AppendWebSocketAccept(nil, []byte(key)))+"\r\n\r\nhi", 1))
	client.says("one", false)
	client.says("two", true)
	s.sends(server, "three")
	server.conn.Close(false)
	s.loop.Run()
	want := []string{"101 [Upgrade: websocket] [Connection: upgrade] [Sec-WebSocket-Protocol: a]", "data hithree end"}
	if !slices.Equal(client.heard, want) || server.got != "onetwo" || server.fate != "end" || !client.finished {
		t.Errorf("the client heard %q, finished %v; the server got %q, then %q", client.heard, client.finished, server.got, server.fate)
	}
	if got := strings.Join(s.done, " "); got != "101 none, 0 retries" {
		t.Errorf("%q was observed", got)
	}
}

// A tunnel that an entry point does not let through is no request for anything else.
func TestTunnelFromHTTP2Refused(t *testing.T) {
	s := newScene(t)
	client := s.caller(nil)
	client.asks(websocket("connect-udp"))
	if len(s.servers) != 0 || !strings.HasPrefix(client.heard[0], "501 ") || !client.finished {
		t.Errorf("%d servers were asked, the client heard %q", len(s.servers), client.heard)
	}
}

// A tunnel that the first server declines is asked of the second with a key of its own.
func TestTunnelFromHTTP2Again(t *testing.T) {
	s := newScene(t)
	s.route.Retry = policy()
	client := s.caller(nil)
	client.asks(websocket("websocket"))
	first := s.replies("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
	s.loop.Advance(tunnelIdle / 10)
	second := s.servers[1].got
	if strings.Count(second, "Sec-WebSocket-Key") != 1 || keyOf(first) == keyOf(second) {
		t.Errorf("the first server got %q, the second %q", first, second)
	}
}

func keyOf(request string) string {
	_, rest, _ := strings.Cut(request, "Sec-WebSocket-Key: ")
	key, _, _ := strings.Cut(rest, "\r\n")
	return key
}

// What a server of HTTP/1.1 is sent of a request of HTTP/2, and what its client hears of the response.
func TestHTTP2ToHTTP1(t *testing.T) {
	const created = "HTTP/1.1 201 Created\r\n"
	for _, c := range []struct {
		name  string
		head  codec.Head
		sends func(c *caller)
		line  string   // the request line
		has   []string // field lines and content that the server gets
		not   string   // in lower case, what it does not get
		reply string   // of the server, which then closes at a "|"
		heard []string
	}{
		{"no content", head("DELETE", "h", "/a?b", codec.NoContent), nil, "DELETE /a?b HTTP/1.1", []string{"Host: h\r\n"}, "transfer-encoding",
			created + "Content-Length: 2\r\n\r\nok", []string{"201 [Content-Length: 2]", "data ok end"}},
		{"content of unknown length", head("PUT", "h", "/", codec.ByEndStream),
			func(c *caller) { c.says("ab", false); c.says("c", true) }, "PUT / HTTP/1.1",
			[]string{"Transfer-Encoding: chunked\r\n", "\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"}, "content-length",
			created + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n",
			[]string{"201 [Transfer-Encoding: chunked]", "data ok", "trailers [x-sum: 7]"}},
		{"trailers", head("PUT", "h", "/", codec.ByEndStream, "trailer: x-sum"), func(c *caller) {
			c.says("ab", false)
			c.x.RequestTrailers([]codec.Field{{Name: []byte("x-sum"), Value: []byte("1")}, {Name: []byte("x-forwarded-by"), Value: []byte("2")}})
			c.scene.loop.Run()
		}, "PUT / HTTP/1.1", []string{"trailer: x-sum\r\n", "2\r\nab\r\n0\r\nx-sum: 1\r\n\r\n"}, "x-forwarded-by",
			created + "\r\n|", []string{"201", "data  end"}},
		{"expectation", head("PUT", "h", "/", codec.ByEndStream, "expect: 100-continue"), nil, "PUT / HTTP/1.1",
			[]string{"expect: 100-continue\r\n"}, "\r\n0\r\n", "HTTP/1.1 100 Continue\r\n\r\n", []string{"100"}},
		{"expectation without content", head("PUT", "h", "/", codec.NoContent, "expect: 100-continue"), nil, "PUT / HTTP/1.1", nil,
			"expect", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", []string{"103 [Link: x]"}},
		{"HEAD", head("HEAD", "h", "/", codec.NoContent), nil, "HEAD / HTTP/1.1", nil, "transfer-encoding",
			"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", []string{"200 [Content-Length: 7] end"}},
		{"trailers that are asked for are of one hop", te(head("GET", "h", "/", codec.NoContent)), nil, "GET / HTTP/1.1", nil, "te:",
			"HTTP/1.1 204 No Content\r\n\r\n", []string{"204 end"}},
		{"a response cut short", head("GET", "h", "/", codec.NoContent), nil, "GET / HTTP/1.1", nil, "te:",
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok|", []string{"200 [Content-Length: 5]", "data ok",
				"reset upstream: closed: the server closed the connection inside a response"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			client := s.caller(nil)
			client.asks(c.head)
			if c.sends != nil {
				c.sends(client)
			}
			server := s.servers[0]
			got := server.got
			reply, closes := strings.CutSuffix(c.reply, "|")
			if s.sends(server, reply); closes {
				server.conn.Close(false)
				s.loop.Run()
			}
			ok := strings.HasPrefix(got, c.line+"\r\n") && !strings.Contains(strings.ToLower(got), c.not)
			for _, has := range c.has {
				ok = ok && strings.Contains(got, has)
			}
			if !ok {
				t.Errorf("the server got %q", got)
			}
			if !slices.Equal(client.heard, c.heard) {
				t.Errorf("the client heard %q, want %q", client.heard, c.heard)
			}
		})
	}
}

// te marks a request whose client takes trailers.
func te(h codec.Head) codec.Head {
	h.Options |= codec.OptTE
	return h
}

// A server of HTTP/2 is told that its client takes trailers when the client says so in its own version's way.
func TestTakesTrailers(t *testing.T) {
	for _, c := range []struct {
		request string
		want    bool
	}{
		{"Connection: te\r\nTE: trailers", true},
		{"Connection: close, TE\r\nTE: gzip;q=0.5, Trailers", true},
		{"Connection: te\r\nTE: gzip\r\nTE: , trailers", true},
		{"TE: trailers", false},
		{"Connection: te", false},
		{"Connection: te\r\nTE: gzip, x-trailers", false},
	} {
		s := newScene(t)
		s.observed = func(x *exchange.Exchange) {
			if got := x.RequestHead.Options&codec.OptTE != 0; got != c.want {
				t.Errorf("%q: %v, want %v", c.request, got, c.want)
			}
		}
		s.sends(&s.client, "GET / HTTP/1.1\r\nHost: h\r\n"+c.request+"\r\n\r\n")
		if got := s.replies("HTTP/1.1 204 No Content\r\n\r\n"); strings.Contains(got, "TE:") || len(s.done) != 1 {
			t.Errorf("%q: the server got %q, %q was observed", c.request, got, s.done)
		}
	}
}

// A request of HTTP/2 that its client resets is given up, and nobody is answered.
func TestHTTP2ClientResets(t *testing.T) {
	s := newScene(t)
	client := s.caller(nil)
	client.asks(head("PUT", "h", "/", codec.ByEndStream))
	client.says("ab", false)
	client.x.RequestBroken(&codec.Error{Side: codec.Client, Kind: codec.KindClosed})
	s.loop.Run()
	if !client.finished || s.servers[0].fate != "reset" || len(client.heard) != 1 || !strings.HasPrefix(client.heard[0], "reset client: closed") {
		t.Errorf("finished %v, the server's connection %q, the client heard %q", client.finished, s.servers[0].fate, client.heard)
	}
	if got := strings.Join(s.done, " "); got != "0 closed, 0 retries" {
		t.Errorf("%q was observed", got)
	}
}

var _ exchange.Client = (*caller)(nil)
