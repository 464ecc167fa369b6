package frontend_test

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/engine/frontend"
)

func stateOf(protocol string) tls.ConnectionState {
	return tls.ConnectionState{NegotiatedProtocol: protocol}
}

// h1Accept is the response that opens the WebSocket which request asks for.
func h1Accept(t *testing.T, request string) string {
	t.Helper()
	_, rest, ok := strings.Cut(strings.ToLower(request), "\r\nsec-websocket-key: ")
	if !ok {
		t.Fatalf("no key in %q", request)
	}
	key := request[len(request)-len(rest):][:strings.Index(rest, "\r\n")]
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: " +
		string(codec.AppendWebSocketAccept(nil, []byte(key))) + "\r\n\r\n"
}

// Each deadline of a connection of HTTP/2 and of its streams: a moment before nothing has happened, a moment later it has.
// Those that are looked at once a second may come as much later.
func TestH2Deadlines(t *testing.T) {
	const look = time.Second + 2*instant
	for _, c := range []struct {
		name  string
		play  func(s *stall, c *h2end)
		after time.Duration
		late  time.Duration
		fate  string
		want  []string
	}{
		{"no request", func(*stall, *h2end) {}, 10 * time.Second, 2 * instant, "end", []string{"GOAWAY 0 NO_ERROR"}},
		{"an incomplete first head", func(s *stall, c *h2end) {
			s.loop.Advance(3 * time.Second)
			c.conn.Write([]byte("\x00\x00\x09\x01\x04\x00\x00\x00\x01\x82"))
			s.loop.Advance(3 * time.Second)
		}, 4 * time.Second, look, "end", nil},
		{"an incomplete later head", func(s *stall, c *h2end) {
			c.request(1, true)
			s.servers[0].sends(ok)
			s.loop.Advance(15 * time.Second)
			c.frames = nil
			c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: []byte{0x82}})
			c.flush()
			for range 3 { // more of it moves nothing
				s.loop.Advance(3 * time.Second)
				c.framer.WriteContinuation(3, false, []byte{0x84})
				c.flush()
			}
		}, time.Second, look, "end", nil},
		{"idle", func(s *stall, c *h2end) {
			c.request(1, true)
			s.servers[0].sends(ok)
			c.frames = nil
		}, 20 * time.Second, 2 * instant, "end", []string{"GOAWAY 1 NO_ERROR"}},
		{"idle but for PING", func(s *stall, c *h2end) {
			c.request(1, true)
			s.servers[0].sends(ok)
			for range 3 {
				s.loop.Advance(4 * time.Second)
				c.conn.Write([]byte("\x00\x00\x08\x06\x00"))
				s.loop.Advance(time.Second)
				c.conn.Write([]byte("\x00\x00\x00\x00pingpong"))
				s.loop.Run()
			}
			c.frames = nil
		}, 5 * time.Second, 2 * instant, "end", []string{"GOAWAY 1 NO_ERROR"}},
		{"idle but for PING, one always under way", func(s *stall, c *h2end) {
			c.request(1, true)
			s.servers[0].sends(ok)
			for range 31 {
				c.conn.Write([]byte("\x00\x00\x08\x06\x00"))
				s.loop.Advance(930 * time.Millisecond)
				c.conn.Write([]byte("\x00\x00\x00\x00pingpong"))
				s.loop.Run()
			}
			c.conn.Write([]byte("\x00"))
			c.frames = nil
		}, 1170 * time.Millisecond, look, "end", []string{"GOAWAY 1 NO_ERROR"}},
		{"silence inside content", func(s *stall, c *h2end) {
			c.request(1, false, ":method: PUT")
			c.content(1, false, strings.Repeat("a", 500))
			s.loop.Advance(2 * time.Second)
			c.content(1, false, "a")
		}, 8 * time.Second, look, "", []string{"HEADERS 1 :status=408 …", "DATA 1 408 …", "RST 1 NO_ERROR"}},
		{"content at less than the lowest pace", func(s *stall, c *h2end) {
			c.request(1, false, ":method: PUT")
			for range 10 {
				c.content(1, false, "aaaaa")
				s.loop.Advance(500 * time.Millisecond)
			}
		}, 0, look, "", []string{"HEADERS 1 :status=408 …", "DATA 1 408 …", "RST 1 NO_ERROR"}},
		{"a window that stays closed", func(s *stall, c *h2end) {
			c.deaf = true
			c.request(1, true)
			s.servers[0].sends("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("a", 100000))
			c.frames = nil
		}, 6 * time.Second, 2 * look, "", []string{"RST 1 …"}},
		{"nothing is read", func(s *stall, c *h2end) {
			c.conn.Hold(true)
			c.request(1, true)
			s.servers[0].sends("HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + strings.Repeat("a", 60000))
		}, 6 * time.Second, 2 * instant, "reset", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newH2Stall(t)
			client := s.h2client()
			c.play(s, client)
			s.loop.Advance(c.after - 50*time.Millisecond)
			client.gets()
			client.ends("")
			s.loop.Advance(50*time.Millisecond + c.late)
			client.gets(c.want...)
			client.ends(c.fate)
			if n := s.entry.Conns.Open(); (n == 0) != (c.fate != "") {
				t.Errorf("%d client connections are open", n)
			}
		})
	}
}

// Content that comes at the lowest pace is let through, and time in which we hold it is not held against the client.
func TestH2SlowContentThatIsAllowed(t *testing.T) {
	s := newH2Stall(t)
	c := s.h2client()
	c.request(1, false, ":method: PUT")
	for range 80 { // 12 bytes a second
		c.content(1, false, "aaaaaa")
		s.loop.Advance(500 * time.Millisecond)
	}
	c.content(1, true, "")
	s.servers[0].sends(ok)
	c.gets("HEADERS 1 :status=200 content-length=2", "DATA 1 hi END")
	c.request(3, false, ":method: PUT")
	s.servers[0].conn.Hold(true)
	for range 8 { // the high mark of the queue to the server, and some of the window
		c.content(3, false, strings.Repeat("a", 13000))
	}
	s.loop.Advance(30 * time.Second) // nobody reads
	c.gets()
	s.servers[0].conn.Hold(false)
	s.loop.Run()
	c.content(3, true, "end")
	s.servers[0].sends(ok)
	c.gets("HEADERS 3 :status=200 content-length=2", "DATA 3 hi END")
}

// A drain tells clients to send no more, serves what they sent before they knew, and closes behind the last response.
func TestH2Drain(t *testing.T) {
	s := newH2Stall(t)
	c := s.h2client()
	c.request(1, true)
	c.conn.Hold(true) // what we are told is still under way
	done := s.drain(frontend.DrainPlan{IdleClose: time.Second, TunnelTimeout: time.Hour})
	s.loop.Run()
	c.request(3, true)
	c.conn.Hold(false)
	c.gets("GOAWAY 2147483647 NO_ERROR", "PING", "GOAWAY 3 NO_ERROR")
	c.request(5, true)
	if len(s.servers) != 2 {
		t.Errorf("%d requests reached a server", len(s.servers))
	}
	s.servers[0].sends(ok)
	c.ends("")
	s.servers[1].sends(ok)
	c.gets("HEADERS 1 :status=200 content-length=2", "DATA 1 hi END", "HEADERS 3 :status=200 content-length=2", "DATA 3 hi END")
	c.ends("end")
	if *done != 1 {
		t.Errorf("done %d times", *done)
	}
}

// Idle connections are told one after another; one that does not answer is closed a second later.
func TestH2DrainOfIdleConnections(t *testing.T) {
	s := newH2Stall(t)
	clients := []*h2end{s.h2client(), s.h2client(), s.h2client()}
	for _, c := range clients {
		c.request(1, true)
		s.servers[0].sends(ok)
		c.frames = nil
	}
	mute := s.h2client() // fresh
	mute.conn.Hold(true)
	done := s.drain(frontend.DrainPlan{IdleClose: 3 * time.Second, TunnelTimeout: time.Hour})
	began := s.loop.Now()
	for i, c := range clients {
		turn := began.Add(time.Duration(i+1) * time.Second)
		s.loop.Advance(turn.Add(-instant).Sub(s.loop.Now()))
		c.ends("")
		if i == 1 { // it is served, and told, before its turn
			c.request(3, true)
			c.gets("GOAWAY 2147483647 NO_ERROR", "PING", "GOAWAY 3 NO_ERROR")
			s.servers[0].sends(ok)
			c.gets("HEADERS 3 :status=200 content-length=2", "DATA 3 hi END")
			c.ends("end")
		}
		s.loop.Advance(2 * instant)
		if c.ends("end"); i != 1 {
			c.gets("GOAWAY 2147483647 NO_ERROR", "PING", "GOAWAY 1 NO_ERROR")
		}
	}
	s.loop.Advance(time.Second + 2*instant)
	mute.conn.Hold(false)
	mute.gets("GOAWAY 2147483647 NO_ERROR", "PING", "GOAWAY 0 NO_ERROR")
	mute.ends("end")
	if *done != 1 {
		t.Errorf("done %d times", *done)
	}
}

// After so many requests, and while memory is short, a client is to come back on another connection.
func TestH2LastRequest(t *testing.T) {
	for name, limit := range map[string]func(s *stall){
		"requests": func(s *stall) {
			settings := *s.entry.Settings
			settings.MaxRequests = 2
			s.entry.Settings = &settings
		},
		"memory": func(s *stall) {
			env := *s.entry.Env
			env.Pressure = new(exchange.Pressure)
			env.Pressure.Set(exchange.PressureNoKeepAlive)
			s.entry.Env = &env
		},
		"the entry point is left": func(s *stall) { s.entry.Leave(time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newH2Stall(t)
			c := s.h2client()
			c.request(1, true)
			limit(s)
			c.request(3, true)
			c.gets("GOAWAY 2147483647 NO_ERROR", "PING", "GOAWAY 3 NO_ERROR")
			s.servers[0].sends(ok)
			c.ends("")
			s.servers[1].sends(ok)
			c.ends("end")
		})
	}
}

// An idle connection is given up for others behind a GOAWAY; one with a stream is not.
func TestH2Shed(t *testing.T) {
	s := newH2Stall(t)
	c := s.h2client()
	c.request(1, true)
	if s.entry.Conns.ShedIdle() {
		t.Fatal("shed with a stream")
	}
	s.servers[0].sends(ok)
	c.frames = nil
	if !s.entry.Conns.ShedIdle() {
		t.Fatal("not shed")
	}
	c.gets("GOAWAY 1 NO_ERROR")
	c.ends("end")
}

// A client that asks and asks and reads nothing is not heard, so that the heads of responses do not fill memory.
func TestH2UnreadResponses(t *testing.T) {
	const reply = "HTTP/1.1 204 No Content\r\nBig: %s\r\n\r\n"
	s := newH2Stall(t)
	c := s.h2client()
	c.conn.Hold(true)
	id, sent := uint32(1), 0
	for c.conn.Queued() == 0 && sent < 2000 {
		c.request(id, true, fmt.Sprintf("big: %02000d", id))
		if sent == 0 {
			s.servers[0].reply = fmt.Sprintf(reply, strings.Repeat("x", 3000))
			s.servers[0].sends(s.servers[0].reply)
		}
		id += 2
		sent++
	}
	if c.conn.Queued() == 0 {
		t.Fatal("the proxy goes on reading")
	}
	if s.loop.Advance(7 * time.Second); c.fate != "reset" {
		t.Errorf("the connection's end is %q", c.fate)
	}
}

// A client that cannot send on one stream, because what is held of another one fills the connection's window, is not to
// blame for the silence.
func TestH2ChokedConnection(t *testing.T) {
	s := newH2Stall(t)
	settings := *s.entry.Settings
	config := *settings.HTTP2
	config.ConnWindow = 65535
	settings.HTTP2 = &config
	s.entry.Settings = &settings
	c := s.h2client()
	c.request(1, false, ":method: PUT")
	c.request(3, false, ":method: PUT")
	c.content(3, false, "some")
	s.servers[0].conn.Hold(true)
	for c.room[0] > 0 { // until nothing may be sent any more
		c.content(1, false, strings.Repeat("a", min(8000, c.room[0])))
	}
	s.loop.Advance(30 * time.Second)
	c.gets()
	s.servers[0].conn.Hold(false)
	s.loop.Run()
	c.content(3, true, " more")
	s.servers[1].sends(ok)
	c.gets("HEADERS 3 :status=200 content-length=2", "DATA 3 hi END")
}
