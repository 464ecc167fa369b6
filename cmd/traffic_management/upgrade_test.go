package main

import (
	"io"
	"strings"
	"testing"
)

const (
	askWebSocket = "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	switches     = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
)

// Bytes behind a request for another protocol are the client's word only: a server that does not switch never sees them,
// and nobody reads them as a request.
func TestBytesBeforeAnUpgrade(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		status       int
	}{
		{"declined", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 403},
		{"refused for its version", "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n", 426},
		{"ignored", greeting, 200},
		{"switched to something else", strings.Replace(switches, "websocket", "h2c", 1), 502},
		{"switched to nothing", "HTTP/1.1 101 Switching Protocols\r\n\r\n", 502},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, func(s *serverConn) {
				for {
					if _, err := readHead(s); err != nil {
						return
					}
					if _, err := io.WriteString(s, c.answer); err != nil {
						return
					}
				}
			})
			p := start(t, site{server: s, bystander: newServer(t, greet)}, "--loops", "1")
			client := p.connect(t)
			client.send(askWebSocket + smuggled)
			a := client.receive("GET")
			client.send(smuggled)
			if a.StatusCode != c.status || !a.Close || !client.isClosed() {
				t.Errorf("status %d, announced the end: %v, or the connection stayed open", a.StatusCode, a.Close)
			}
			other := p.connect(t)
			other.send("GET /mine HTTP/1.1\r\nHost: bystander.test\r\n\r\n")
			if a := other.receive("GET"); a.StatusCode != 200 {
				t.Errorf("status %d to another client", a.StatusCode)
			}
			eventually(t, "the connection to the server ends", func() bool {
				_, ended := s.connections()[0].received()
				return ended
			})
			if got := s.received(); strings.Contains(got, "smuggled") {
				t.Errorf("the server received %q", got)
			}
		})
	}
}

// A request that asks for another protocol has no content, and one that asks for an unknown protocol asks for none.
func TestUpgradesThatAreNotOffered(t *testing.T) {
	const asks = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
	carryOut(t, refused(400, closes, map[string]string{
		"length": post(asks+"Content-Length: 40", smuggled),
		"chunks": post(asks+"Transfer-Encoding: chunked", "28\r\n"+smuggled+"\r\n0\r\n\r\n"),
	}))
	s := newServer(t, greet)
	p := start(t, site{server: s, bystander: newServer(t, greet)})
	for name, fields := range map[string]string{
		"h2c":             "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
		"others":          "Connection: Upgrade\r\nUpgrade: TLS/1.0, websockets, x",
		"no option":       "Upgrade: websocket",
		"no token":        "Connection: Upgrade\r\nUpgrade: \"websocket\"",
		"option, nothing": "Connection: Upgrade",
	} {
		t.Run(name, func(t *testing.T) {
			p.suffer(t, s, attack{sent: field("X: y\r\n" + fields), status: 200,
				outcome: keeps, server: field("X: y")})
		})
	}
}

// A tunnel is open in the metrics while it is, has its line in the access log when it ends, and is no slow request.
func TestTunnelIsCounted(t *testing.T) {
	s := newServer(t, func(c *serverConn) {
		if _, err := readHead(c); err == nil {
			io.WriteString(c, switches)
			io.Copy(c, c.r)
		}
	})
	p := start(t, site{server: s, sections: "access_log: {file: stdout}\n"}, "--loops", "1")
	c := p.connect(t)
	c.send(askWebSocket)
	if a := c.receive("GET"); a.StatusCode != 101 {
		t.Fatalf("status %d", a.StatusCode)
	}
	echoed := func(text string) {
		t.Helper()
		c.send(text)
		b := make([]byte, len(text))
		if _, err := io.ReadFull(c.r, b); err != nil || string(b) != text {
			t.Fatalf("%q came back, %v", b, err)
		}
	}
	echoed("hello")
	if n := p.metric("traffic_entrypoint_open_tunnels"); n != 1 {
		t.Errorf("%v tunnels are open", n)
	}
	echoed("bye")
	c.Close()
	l := p.logLines(t, 1)[0]
	if l.Status != 101 || l.BytesIn != int64(len(askWebSocket)+8) || l.BytesOut != int64(len(switches)+8) ||
		l.AddedUS != 0 || l.DurationUS < l.UpstreamUS || l.DurationUS <= 0 || l.Error != "" {
		t.Errorf("line %+v", l)
	}
	eventually(t, "the tunnel is not open any more", func() bool { return p.metric("traffic_entrypoint_open_tunnels") == 0 })
	for _, m := range []struct {
		name string
		want float64
	}{
		{"traffic_entrypoint_tunnels_total", 1}, {"traffic_requests_total", 1}, {"traffic_request_duration_seconds_count", 0},
		{"traffic_added_seconds_count", 0}, {"traffic_request_bytes_total", float64(l.BytesIn)},
	} {
		if n := p.metric(m.name); n != m.want {
			t.Errorf("%s is %v, want %v", m.name, n, m.want)
		}
	}
}
