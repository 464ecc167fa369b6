package exchange_test

import (
	"strings"
	"testing"
	"time"

	"traffic_management/engine/exchange"
)

const (
	upgrade  = "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
)

// Which requests offer the server another protocol, and what the client is told of those that may not.
func TestOffers(t *testing.T) {
	head := func(lines ...string) string {
		return "GET /chat HTTP/1.1\r\nHost: h\r\n" + strings.Join(append(lines, "", ""), "\r\n")
	}
	for _, c := range []struct {
		name, request string
		offered       string // value of the Upgrade field that the server gets
		refused       string // beginning of what the client gets instead
	}{
		{"one that is let through", upgrade, "websocket", ""},
		{"any case, among other options", head("Connection: keep-alive, UPGRADE", "Upgrade: WebSocket"), "WebSocket", ""},
		{"with a version", head("Connection: upgrade", "Upgrade: websocket/13"), "websocket/13", ""},
		{"the first known of a list", head("Connection: upgrade", "Upgrade: h2c, , chat/2, websocket"), "chat/2", ""},
		{"the first known of several lines", head("Connection: upgrade", "Upgrade: h2c", "X: y", "Upgrade: websocket",
			"Upgrade: chat/2"), "websocket", ""},
		{"no content, and it says so", head("Connection: upgrade", "Upgrade: websocket", "Content-Length: 0"), "websocket", ""},
		{"unknown", head("Connection: upgrade", "Upgrade: h2c"), "", ""},
		{"a list of unknown ones", head("Connection: upgrade", "Upgrade: h2c, TLS/1.0"), "", ""},
		{"beginning like a known one", head("Connection: upgrade", "Upgrade: websockets"), "", ""},
		{"no token", head("Connection: upgrade", `Upgrade: websocket/"13", websocket/, /websocket, web socket`), "", ""},
		{"empty", head("Connection: upgrade", "Upgrade:"), "", ""},
		{"no field", head("Connection: upgrade"), "", ""},
		{"not a connection option", head("Upgrade: websocket"), "", ""},
		{"HTTP/1.0", "GET /chat HTTP/1.0\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "", ""},
		{"unknown, with content", "POST /chat HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n" +
			"Content-Length: 2\r\n\r\nhi", "", ""},
		{"with content", "POST /chat HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" +
			"Content-Length: 2\r\n\r\nhi", "", "HTTP/1.1 400 Bad Request\r\n"},
		{"with chunks", "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" +
			"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", "HTTP/1.1 400 Bad Request\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.sends(&s.client, c.request)
			if c.refused != "" {
				if !strings.HasPrefix(s.client.got, c.refused) || s.client.fate != "end" || len(s.servers) != 0 {
					t.Fatalf("the client got %q, then %q; %d servers got something", s.client.got, s.client.fate, len(s.servers))
				}
				return
			}
			got := s.servers[0].got
			options := strings.Count(got, "Connection: upgrade\r\n")
			if c.offered != "" && (options != 1 || strings.Count(got, "Upgrade: ") != 1 ||
				!strings.Contains(got, "\r\nUpgrade: "+c.offered+"\r\n")) ||
				c.offered == "" && strings.Contains(strings.ToLower(got), "upgrade") {
				t.Errorf("the server got %q, want the offer %q", got, c.offered)
			}
		})
	}
}

// What servers make of an offer, or of none, and what becomes of both connections. The client sends "early" behind its
// request, and "late" when it has the answer.
func TestAnswersToOffers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
	for _, c := range []struct {
		name, request, response string
		got                     string // beginning of what the client gets
		passed                  string // what the server gets behind the request
		done                    string // empty while the exchange goes on
	}{
		{"taken", upgrade, switched, switched, "earlylate", ""},
		{"taken, and bytes at once", upgrade, switched + "hello", switched + "hello", "earlylate", ""},
		{"taken, in another case", upgrade, "HTTP/1.1 101 OK\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nX: y\r\n\r\n",
			"HTTP/1.1 101 OK\r\nUpgrade: WebSocket\r\nX: y\r\nConnection: upgrade\r\n\r\n", "earlylate", ""},
		{"taken after interim responses", upgrade, "HTTP/1.1 103 Early Hints\r\n\r\n" + switched,
			"HTTP/1.1 103 Early Hints\r\n\r\n" + switched, "earlylate", ""},
		{"declined", upgrade, ok, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", "", "200 none, 0 retries"},
		{"refused", upgrade, "HTTP/1.1 426 Upgrade Required\r\nUpgrade: chat\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 426 Upgrade Required\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "", "426 none, 0 retries"},
		{"another protocol", upgrade, strings.Replace(switched, "websocket", "chat", 1), "HTTP/1.1 502 Bad Gateway\r\n", "",
			"502 syntax, 0 retries"},
		{"more protocols", upgrade, strings.Replace(switched, "websocket", "websocket, chat", 1), "HTTP/1.1 502 Bad Gateway\r\n", "",
			"502 syntax, 0 retries"},
		{"no protocol", upgrade, strings.Replace(switched, "Upgrade: websocket\r\n", "", 1), "HTTP/1.1 502 Bad Gateway\r\n", "",
			"502 syntax, 0 retries"},
		{"no connection option", upgrade, strings.Replace(switched, "Connection: upgrade\r\n", "", 1),
			"HTTP/1.1 502 Bad Gateway\r\n", "", "502 syntax, 0 retries"},
		{"closed", upgrade, "", "HTTP/1.1 502 Bad Gateway\r\n", "", "502 closed, 0 retries"},
		{"not offered", strings.Replace(upgrade, "websocket", "h2c", 1), strings.Replace(switched, "websocket", "h2c", 1),
			"HTTP/1.1 502 Bad Gateway\r\n", "", "502 syntax, 0 retries 400 syntax, 0 retries"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.sends(&s.client, c.request+"early")
			server := s.servers[0]
			server.got = ""
			if s.sends(server, c.response); c.response == "" {
				server.conn.Close(false)
				s.loop.Run()
			}
			s.sends(&s.client, "late")
			if !strings.HasPrefix(s.client.got, c.got) || server.got != c.passed {
				t.Errorf("the client got %q, want %q; the server got %q, want %q", s.client.got, c.got, server.got, c.passed)
			}
			s.client.conn.Write([]byte("\r\n\r\n")) // ends what may be taken for a request
			s.loop.Advance(time.Second)
			if got := strings.Join(s.done, " "); got != c.done {
				t.Errorf("%q was observed, want %q", got, c.done)
			}
			open := int64(0)
			if c.done == "" {
				open = 1
			} else if s.client.fate != "end" {
				t.Errorf("the client's connection: %q", s.client.fate)
			}
			if x := s.targets[0]; x.Idle() != 0 || x.Open() != open || x.InFlight() != open {
				t.Errorf("connections to the server: %d idle, %d open, %d in flight", x.Idle(), x.Open(), x.InFlight())
			}
		})
	}
}

// How tunnels end, and how each side hears of it.
func TestTunnelEnds(t *testing.T) {
	for _, c := range []struct {
		name           string
		play           func(s *scene, server *end)
		client, server string // what each got, then how its connection ended
		done           string
	}{
		{"client first", func(s *scene, server *end) {
			s.sends(&s.client, "bye")
			s.client.conn.CloseWrite()
			s.loop.Run()
			s.sends(server, "more, and more") // half of the tunnel goes on
			server.conn.Close(false)
			s.loop.Run()
		}, "more, and more end", "bye end", "101 none"},
		{"server first", func(s *scene, server *end) {
			s.sends(server, "bye")
			server.conn.CloseWrite()
			s.loop.Run()
			s.sends(&s.client, "more, and more")
			s.client.conn.Close(false)
			s.loop.Run()
		}, "bye end", "more, and more end", "101 none"},
		{"both at once", func(s *scene, server *end) {
			s.client.conn.Write([]byte("c"))
			s.client.conn.CloseWrite()
			server.conn.Write([]byte("s"))
			server.conn.CloseWrite()
			s.loop.Run()
		}, "s end", "c end", "101 none"},
		{"client resets", func(s *scene, server *end) {
			s.client.conn.Abort()
			s.loop.Run()
		}, " ", " reset", "101 closed"},
		{"server resets", func(s *scene, server *end) {
			server.conn.Abort()
			s.loop.Run()
		}, " reset", " ", "101 closed"},
		{"client resets the half that is left", func(s *scene, server *end) {
			server.conn.CloseWrite()
			s.loop.Run()
			s.client.conn.Abort()
			s.loop.Run()
		}, " end", " reset", "101 closed"},
		{"server resets the half that is left", func(s *scene, server *end) {
			s.client.conn.CloseWrite()
			s.loop.Run()
			server.conn.Abort()
			s.loop.Run()
		}, " reset", " end", "101 closed"},
		{"silence", func(s *scene, server *end) {
			s.loop.Advance(tunnelIdle - time.Second)
			s.sends(&s.client, "c")
			s.loop.Advance(tunnelIdle - time.Second)
			s.sends(server, "s")
			s.loop.Advance(tunnelIdle - time.Second)
			if s.client.fate != "" || server.fate != "" {
				s.t.Errorf("ended while it was used: %q, %q", s.client.fate, server.fate)
			}
			s.loop.Advance(2 * time.Second)
		}, "s end", "c end", "101 timeout"},
		{"silence of the half that is left", func(s *scene, server *end) {
			s.client.conn.CloseWrite()
			s.loop.Advance(tunnelIdle + time.Second)
		}, " end", " end", "101 timeout"},
		{"the client takes nothing", func(s *scene, server *end) {
			s.client.conn.Hold(true)
			s.sends(server, strings.Repeat("s", 100_000))
			s.loop.Advance(2 * time.Minute)
		}, " reset", " reset", "101 timeout"},
		{"given no more time", func(s *scene, server *end) {
			server.conn.Write([]byte("s"))
			s.client.conn.Write([]byte("c"))
			s.loop.Run()
			if n := s.entry.Conns.Tunnels(); n != 1 {
				s.t.Errorf("%d tunnels", n)
			}
			s.loop.Post(s.entry.Conns.EndTunnels)
			s.loop.Run()
		}, "s end", "c end", "101 cancelled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.sends(&s.client, upgrade)
			server := s.servers[0]
			s.sends(server, switched)
			s.client.got, server.got = "", ""
			c.play(s, server)
			if got := s.client.got + " " + s.client.fate; got != c.client {
				t.Errorf("the client got %q, want %q", got, c.client)
			}
			if got := server.got + " " + server.fate; got != c.server {
				t.Errorf("the server got %q, want %q", got, c.server)
			}
			if got := strings.Join(s.done, " "); got != c.done+", 0 retries" {
				t.Errorf("%q was observed, want %q", got, c.done)
			}
			s.client.conn.Close(false)
			server.conn.Close(false)
			s.loop.Advance(time.Minute)
			if x := s.targets[0]; x.Open() != 0 || x.InFlight() != 0 || s.entry.Conns.Open() != 0 || s.entry.Conns.Tunnels() != 0 {
				t.Errorf("left: %d connections to the server, %d in flight, %d of clients, %d tunnels", x.Open(), x.InFlight(),
					s.entry.Conns.Open(), s.entry.Conns.Tunnels())
			}
		})
	}
}

// A tunnel counts every byte that passed, and the time until 101 as the server's.
func TestTunnelIsObserved(t *testing.T) {
	s := newScene(t)
	s.sends(&s.client, upgrade)
	s.loop.Advance(time.Second)
	s.sends(s.servers[0], switched+"12345")
	s.sends(&s.client, "123")
	s.loop.Advance(time.Minute)
	s.sends(s.servers[0], "67890")
	s.observed = func(x *exchange.Exchange) {
		if !x.Tunnel() || x.Status != 101 || x.Err != nil || int(x.BytesIn) != len(upgrade)+3 ||
			int(x.BytesOut) != len(switched)+10 || time.Duration(x.UpstreamTime()) != time.Second || x.Ended.Sub(x.Started) < time.Minute {
			t.Errorf("tunnel %v, status %d, error %v, %d bytes in, %d out, %v upstream, %v", x.Tunnel(), x.Status, x.Err,
				x.BytesIn, x.BytesOut, x.UpstreamTime(), x.Ended.Sub(x.Started))
		}
	}
	s.client.conn.Close(false)
	s.servers[0].conn.Close(false)
	s.loop.Run()
	if len(s.done) != 1 {
		t.Errorf("%q was observed", s.done)
	}
}

// A side that does not read holds the other one: the proxy keeps little of what that one sends, and loses none of it.
func TestTunnelHoldsWhoSends(t *testing.T) {
	const much, kept = 512 << 10, 384 << 10 // with what is under way on both connections
	for name, sides := range map[string]func(s *scene) (from, to *end){
		"client reads late": func(s *scene) (from, to *end) { return s.servers[0], &s.client },
		"server reads late": func(s *scene) (from, to *end) { return &s.client, s.servers[0] },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.sends(&s.client, upgrade)
			s.sends(s.servers[0], switched)
			from, to := sides(s)
			to.got = ""
			to.conn.Hold(true)
			s.sends(from, strings.Repeat("0123456789abcdef", much/16))
			if n := from.conn.Queued(); n < much-kept {
				t.Errorf("the proxy took %d bytes that nobody reads", much-n)
			}
			from.conn.CloseWrite()
			s.loop.Run()
			to.conn.Hold(false)
			s.loop.Run()
			if to.got != strings.Repeat("0123456789abcdef", much/16) || to.fate != "end" {
				t.Errorf("%d bytes arrived, then %q", len(to.got), to.fate)
			}
		})
	}
}

// A request for a tunnel is repeated as any other until 101. Then it weighs on no budget of retries and no time runs out.
func TestTunnelAfterRetry(t *testing.T) {
	s := newScene(t)
	s.route.Retry = policy()
	s.sends(&s.client, upgrade)
	s.sends(s.servers[0], "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
	s.loop.Advance(200 * time.Millisecond)
	s.sends(s.servers[1], switched)
	if waiting, running := s.route.Service.Retries(); waiting != 0 || running != 0 {
		t.Errorf("%d retries wait and %d run beside a tunnel", waiting, running)
	}
	s.loop.Advance(time.Hour)
	s.sends(s.servers[1], "late")
	if s.client.got != switched+"late" || s.client.fate != "" {
		t.Errorf("the client got %q, then %q", s.client.got, s.client.fate)
	}
	s.client.conn.Close(false)
	s.servers[1].conn.Close(false)
	s.loop.Run()
	if got := strings.Join(s.done, " "); got != "101 none, 1 retries" {
		t.Errorf("%q was observed", got)
	}
	s.nothingLeft()
}
