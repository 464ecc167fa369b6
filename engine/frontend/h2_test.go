package frontend_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"traffic_management/engine/exchange"
	"traffic_management/engine/frontend"
)

// Each request of a connection has its own server and its own time.
func TestH2Requests(t *testing.T) {
	s := newH2Stall(t)
	c := s.h2client()
	c.request(1, true, "accept: */*")
	c.request(3, true, ":path: /b")
	if !strings.HasPrefix(s.servers[0].got, "GET /a HTTP/1.1\r\n") ||
		!strings.Contains(s.servers[0].got, "\r\nAccept: */*\r\n") || !strings.HasPrefix(s.servers[1].got, "GET /b ") {
		t.Fatalf("the servers got %q and %q", s.servers[0].got, s.servers[1].got)
	}
	if n := s.entry.Conns.Counts(); n != (frontend.Counts{Active: 1}) {
		t.Errorf("%+v", n)
	}
	s.servers[1].sends("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Y: z\r\nConnection: keep-alive\r\n\r\nhi")
	c.gets("HEADERS 3 :status=200 x-y=z content-length=2", "DATA 3 hi END")
	s.servers[0].sends("HTTP/1.1 204 No Content\r\n\r\n")
	c.gets("HEADERS 1 :status=204 END")
	if n := s.entry.Conns.Counts(); n != (frontend.Counts{Idle: 1}) {
		t.Errorf("%+v", n)
	}
	c.request(5, true, ":method: HEAD")
	s.servers[0].sends("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n")
	c.gets("HEADERS 5 :status=200 content-length=20 END")
	c.ends("")
}

// Content, trailer sections and interim responses pass in both directions.
func TestH2Content(t *testing.T) {
	s := newH2Stall(t)
	c := s.h2client()
	c.request(1, false, ":method: POST", "expect: 100-continue", "te: trailers")
	s.servers[0].sends("HTTP/1.1 100 Continue\r\n\r\n")
	c.gets("HEADERS 1 :status=100")
	c.content(1, false, "some")
	c.head(1, true, [][2]string{{"checked", "yes"}})
	server := s.servers[0]
	if !strings.Contains(server.got, "Transfer-Encoding: chunked\r\n") || !strings.HasSuffix(server.got, "\r\n0\r\nchecked: yes\r\n\r\n") {
		t.Fatalf("the server got %q", server.got)
	}
	server.sends("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n")
	c.gets("HEADERS 1 :status=103 link=x", "HEADERS 1 :status=200 trailer=T")
	server.sends("5\r\nhello\r\n")
	c.gets("DATA 1 hello")
	server.sends("0\r\nT: u\r\n\r\n")
	c.gets("HEADERS 1 t=u END")
}

// A response that does not wait for the request ends the rest of it, and no other stream.
func TestH2EarlyResponse(t *testing.T) {
	s := newH2Stall(t)
	c := s.h2client()
	c.request(1, false, ":method: PUT", "content-length: 1000")
	c.request(3, false, ":method: PUT", "content-length: 4")
	c.content(1, false, "some")
	s.servers[0].sends("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
	c.gets("HEADERS 1 :status=413 content-length=0 END", "RST 1 NO_ERROR")
	c.content(3, true, "some")
	s.servers[1].sends(ok)
	c.gets("HEADERS 3 :status=200 content-length=2", "DATA 3 hi END")
	s.servers[0].is("end", "some")
}

// A client that resets a stream ends its request at the server; one that goes ends them all.
func TestH2ClientGivesUp(t *testing.T) {
	s := newH2Stall(t)
	c := s.h2client()
	for id := uint32(1); id < 8; id += 2 {
		c.request(id, true)
	}
	c.framer.WriteRSTStream(3, http2.ErrCodeCancel)
	c.flush()
	s.servers[1].is("reset", "GET /a")
	s.servers[0].is("", "GET /a")
	c.conn.Abort()
	for i, fate := range []string{"reset", "reset", "reset", "reset"} {
		s.servers[i].is(fate, "GET /a")
	}
	if n := s.entry.Conns.Open(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
}

// Requests that are given up in what came with them, by the client or for its fault, are no server's affair; those among
// them go their way, content that came with them, too.
func TestH2GivenUpAtOnce(t *testing.T) {
	s := newH2Stall(t)
	c := s.h2client()
	get := [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/a"}}
	post := [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/b"}}
	id := uint32(1)
	for range 40 {
		c.writeHead(id, true, get)
		c.framer.WriteRSTStream(id, http2.ErrCodeCancel)
		c.writeHead(id+2, false, post)
		c.framer.WriteData(id+2, false, []byte("some"))
		c.framer.WriteWindowUpdate(id+2, 1<<31-1) // too much
		id += 4
	}
	c.writeHead(id, false, post)
	c.framer.WriteData(id, true, []byte("some"))
	c.flush()
	// The network cuts what is sent into pieces: few requests come in one and are given up in the next. Twice as many
	// connections were opened when each request began by itself.
	last := s.servers[len(s.servers)-1]
	if !strings.HasPrefix(last.got, "POST /b ") || !strings.Contains(last.got, "Transfer-Encoding: chunked\r\n\r\n") ||
		!strings.HasSuffix(last.got, "\r\n0\r\n\r\n") || len(s.servers) > 5 {
		t.Fatalf("%d connections to servers, the last got %q", len(s.servers), last.got)
	}
	c.frames = nil
	last.sends(ok)
	c.gets(fmt.Sprintf("HEADERS %d :status=200 content-length=2", id), fmt.Sprintf("DATA %d hi END", id))
	c.ends("")
}

// A server that ends in the middle of a response shows at the stream, and nowhere else.
func TestH2ResponseCutShort(t *testing.T) {
	s := newH2Stall(t)
	c := s.h2client()
	c.request(1, true)
	c.request(3, true)
	s.servers[0].sends("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome")
	s.servers[0].conn.Close(false)
	c.gets("HEADERS 1 :status=200 content-length=9", "DATA 1 some", "RST 1 INTERNAL_ERROR")
	s.servers[1].sends(ok)
	c.gets("HEADERS 3 :status=200 content-length=2", "DATA 3 hi END")
}

// Heads that are not let through are answered, or reset, on their own stream.
func TestH2Refused(t *testing.T) {
	s := newH2Stall(t)
	c := s.h2client()
	c.request(1, true, "big: "+strings.Repeat("x", 4096))
	c.gets("HEADERS 1 :status=431 …", "DATA 1 431 …")
	c.request(3, true, "Upper: x")
	c.gets("RST 3 PROTOCOL_ERROR")
	c.request(5, true, ":method: CONNECT")
	c.frames = nil
	c.request(7, true, "connection: close")
	c.gets("RST 7 PROTOCOL_ERROR")
	c.request(9, true)
	s.servers[0].sends(ok)
	c.gets("HEADERS 9 :status=200 content-length=2", "DATA 9 hi END")
	c.ends("")
}

// A fault of the connection ends it, is told to the client and counted by its reason.
func TestH2ConnectionFault(t *testing.T) {
	s, m := newH2Stall(t), &tally{}
	s.entry.Meter = m
	c := s.h2client()
	c.request(1, true)
	c.framer.WriteWindowUpdate(0, 1<<31-1)
	c.flush()
	c.gets("GOAWAY 1 FLOW_CONTROL_ERROR")
	c.ends("end")
	s.servers[0].is("reset", "GET /a")
	m.is(t, "accepted", "HTTP/2", "error: window", "no more HTTP/2", "closed")
}

// In clear text the preface decides, however it comes; whatever is not quite it is HTTP/1.1.
func TestDetect(t *testing.T) {
	s := newH2Stall(t)
	c := s.silentH2()
	c.framer.WriteSettings() // behind the preface
	for _, b := range []byte(http2.ClientPreface) {
		c.conn.Write([]byte{b})
		s.loop.Run()
	}
	c.gets("SETTINGS", "SETTINGS ack")
	for i := range len(http2.ClientPreface) {
		client := s.client()
		other := []byte(http2.ClientPreface)
		other[i] ^= 1
		client.sends(string(other))
		client.is("end", "HTTP/1.1 ")
	}
	client := s.client()
	client.sends(http2.ClientPreface[:20])
	s.loop.Advance(10*time.Second + instant)
	client.is("end", "HTTP/1.1 408 Request Timeout")
	client = s.client()
	client.sends("P")
	client.sends("OST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
	s.servers[0].sends(ok)
	client.sends(http2.ClientPreface) // too late
	client.is("end", "HTTP/1.1 200 OK", "HTTP/1.1 ")
	settings := *s.entry.Settings
	settings.HTTP2 = nil
	s.entry.Settings = &settings
	client = s.client()
	client.sends(http2.ClientPreface)
	client.is("end", "HTTP/1.1 ")
}

// A request to go on in HTTP/2 is answered in HTTP/1.1, as if it had not been one (RFC 9113 section 3.1).
func TestUpgradeToH2IsIgnored(t *testing.T) {
	s := newH2Stall(t)
	client := s.client()
	client.sends("GET /a HTTP/1.1\r\nHost: h\r\nConnection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n")
	if got := s.servers[0].got; strings.Contains(strings.ToLower(got), "upgrade") || strings.Contains(got, "HTTP2-") {
		t.Errorf("the server got %q", got)
	}
	s.servers[0].sends(ok)
	client.is("", "HTTP/1.1 200 OK", "hi")
}

// What a client agreed on in its handshake is what is spoken.
func TestH2ByALPN(t *testing.T) {
	s, l, m := newShaking(t)
	s.entry.Settings = newH2Stall(t).entry.Settings
	c := s.silentH2()
	c.out.WriteString(http2.ClientPreface)
	c.framer.WriteSettings()
	l.succeed(0, stateOf("h2"))
	c.flush()
	c.request(1, true)
	s.servers[0].sends(ok)
	c.gets("SETTINGS", "SETTINGS ack", "HEADERS 1 :status=200 content-length=2", "DATA 1 hi END")
	m.is(t, "accepted", "resumed false", "HTTP/2")
	client := s.client()
	l.succeed(1, stateOf("http/1.1"))
	client.sends(http2.ClientPreface)
	client.is("end", "HTTP/1.1 ")
}

// Content beyond what a server takes is not read from the client, and other streams are not held up by it.
func TestH2HoldsContent(t *testing.T) {
	s := newH2Stall(t)
	c := s.h2client()
	c.request(1, false, ":method: PUT", "content-length: 1000000")
	c.request(3, false, ":method: PUT", "content-length: 4")
	s.servers[0].conn.Hold(true)
	sent := 0
	for sent < 104_000 { // the high mark of the queue to the server, and some of the window
		c.content(1, false, strings.Repeat("a", 13000))
		sent += 13000
	}
	c.content(3, true, "some")
	s.servers[1].sends(ok)
	c.gets("HEADERS 3 :status=200 content-length=2", "DATA 3 hi END")
	s.servers[0].conn.Hold(false)
	s.loop.Run()
	if got := strings.Count(s.servers[0].got, "a"); got < sent {
		t.Errorf("the server got %d of %d bytes", got, sent)
	}
}

// A response that a client does not take fills no memory: its server is held, and that of no other stream.
func TestH2HoldsServer(t *testing.T) {
	s := newH2Stall(t)
	c := s.h2client()
	c.deaf = true
	c.request(1, true)
	c.request(3, true)
	s.servers[0].sends("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
	total := 0
	for range 100 {
		s.servers[0].conn.Write(make([]byte, 10000))
		s.loop.Run()
		if s.servers[0].conn.Queued() > 0 {
			break
		}
		total += 10000
	}
	if total > 500_000 {
		t.Fatalf("the proxy took %d bytes of a response that nobody reads", total)
	}
	c.frames = nil
	s.servers[1].sends("HTTP/1.1 204 No Content\r\n\r\n")
	c.gets("HEADERS 3 :status=204 END")
	if c.data[1] != 65535 {
		t.Errorf("%d bytes came, want what the window lets through", c.data[1])
	}
}

// A tunnel on a stream: what comes before the server has agreed waits, both sides may end first.
func TestH2Tunnel(t *testing.T) {
	s, g := newH2Stall(t), &gauge{}
	s.entry.Meter = g
	c := s.h2client()
	open := []string{":method: CONNECT", ":protocol: websocket", "sec-websocket-version: 13"}
	c.request(1, false, open...)
	c.content(1, false, "early")
	server := s.servers[0]
	if !strings.HasPrefix(server.got, "GET /a HTTP/1.1\r\n") || strings.Contains(server.got, "early") {
		t.Fatalf("the server got %q", server.got)
	}
	server.sends(h1Accept(t, server.got) + "hello")
	c.gets("HEADERS 1 :status=200", "DATA 1 hello")
	c.content(1, false, " bird")
	if !strings.HasSuffix(server.got, "\r\n\r\nearly bird") || g.tunnels != 1 || s.entry.Conns.Tunnels() != 1 {
		t.Fatalf("the server got %q; %d tunnels", server.got, g.tunnels)
	}
	c.content(1, true, "")
	server.is("end", "early bird")
	c.gets("DATA 1  END")
	if g.tunnels != 0 || s.entry.Conns.Tunnels() != 0 {
		t.Errorf("%d tunnels are left", g.tunnels)
	}
	c.request(3, false, open...)
	s.servers[1].sends(h1Accept(t, s.servers[1].got))
	c.request(5, false, open...)
	s.servers[2].sends("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
	c.gets("HEADERS 3 :status=200", "HEADERS 5 :status=403 content-length=0 END", "RST 5 NO_ERROR")
	s.loop.Advance(time.Hour - time.Minute)
	c.content(3, false, "still here")
	s.loop.Advance(time.Hour - time.Minute)
	c.gets()
	s.loop.Advance(time.Minute + time.Second + instant)
	c.gets("DATA 3  END", "RST 3 NO_ERROR")
	s.servers[1].is("end", "still here")
}

// Exchanges of a configuration that was replaced too long ago are ended, stream by stream.
func TestH2EndExchanges(t *testing.T) {
	s := newH2Stall(t)
	c := s.h2client()
	c.request(1, true)
	c.request(3, true)
	s.servers[1].sends("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome")
	c.gets("HEADERS 3 :status=200 content-length=9", "DATA 3 some")
	before := s.entry.Env
	env := *before
	s.entry.Env = &env
	c.request(5, true)
	if n := s.entry.Conns.EndExchanges(func(e *exchange.Env) bool { return e == before }); n != 2 {
		t.Errorf("%d exchanges were ended", n)
	}
	c.gets("RST 3 …", "HEADERS 1 :status=503 …", "DATA 1 503 …")
	s.servers[2].sends(ok)
	c.gets("HEADERS 5 :status=200 content-length=2", "DATA 5 hi END")
}
