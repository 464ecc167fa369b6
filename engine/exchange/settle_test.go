package exchange_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/codec/h1"
	"traffic_management/engine/exchange"
	"traffic_management/engine/frontend"
	"traffic_management/engine/reactor"
	"traffic_management/internal/sim"
	"traffic_management/routing"
	"traffic_management/upstream"
)

// scene is the proxy between one client and two servers, whose parts the test plays.
type scene struct {
	t       *testing.T
	loop    *sim.Loop
	entry   *frontend.EntryPoint
	route   *exchange.Route
	client  end
	servers []*end // connections the servers accepted, in order
	targets []*upstream.Target
	done    []string // what the observer was told

	observed func(*exchange.Exchange) // also told, when set
}

// end is a connection's end that the test plays.
type end struct {
	conn   reactor.Conn
	opened reactor.Instant
	got    string
	fate   string // "end" or "reset"
}

func (e *end) OnData() {
	e.got += string(e.conn.In())
	e.conn.Consume(len(e.conn.In()))
	if e.conn.EOF() {
		e.fate = "end"
	}
}
func (e *end) OnDrained()     {}
func (e *end) OnClosed(error) { e.fate = "reset" }

func (s *scene) Done(x *exchange.Exchange) {
	kind := codec.KindNone
	if x.Err != nil {
		kind = x.Err.Kind
	}
	s.done = append(s.done, fmt.Sprintf("%d %v, %d retries", x.Status, kind, x.Retries))
	if s.observed != nil {
		s.observed(x)
	}
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t, loop: sim.NewLoop(1)}
	s.loop.Net = sim.Net{Window: 64 << 10, Piece: 64 << 10}
	service := upstream.NewService("s", &upstream.Options{ConnectTimeout: time.Second, RequestTimeout: 2 * time.Second,
		ResponseIdle: 2 * time.Second, QueueTimeout: time.Second, IdleTimeout: time.Minute, MaxIdle: 8, PassHost: true,
		HeadLimits: h1.Limits{HeadBytes: 4096, Fields: 30}}, nil)
	for i := range 2 {
		s.targets = append(s.targets, upstream.NewTarget(fmt.Sprint(i), serverAddr(i), "s", 1))
		s.loop.Listen(serverAddr(i), s.accept)
	}
	service.SetTargets(s.targets)
	rule, err := routing.Parse("PathPrefix(`/`)")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{}
	pools := upstream.NewPools(s.loop, upstream.NewGroup(1), 0, func(*upstream.Service) upstream.Meter { return meter{w} })
	s.route = &exchange.Route{Name: "r", Service: service}
	s.entry = &frontend.EntryPoint{
		Local: exchange.NewLocal(s.loop, pools, s, 1), Conns: frontend.NewConnections(), Meter: entryMeter{w},
		Env: &exchange.Env{MaxBody: 100, Upgrades: []string{"websocket", "chat"}, Table: routing.NewTable([]routing.Entry[*exchange.Route]{
			{Name: "r", Rule: rule, Value: s.route}})},
		Settings: &frontend.Settings{HeaderTimeout: time.Minute, BodyIdle: time.Minute, IdleTimeout: time.Hour,
			WriteTimeout: time.Minute, TunnelIdle: tunnelIdle, Limits: h1.Limits{HeadBytes: 4096, Fields: 30}},
	}
	s.connect(&s.client)
	return s
}

// accept is a server's.
func (s *scene) accept(c reactor.Conn) reactor.Sink {
	s.servers = append(s.servers, &end{conn: c, opened: s.loop.Now()})
	return s.servers[len(s.servers)-1]
}

// connect opens a client's connection to the proxy.
func (s *scene) connect(e *end) {
	ours, theirs := s.loop.Pipe(nil, e)
	e.conn = theirs
	ours.SetSink(s.entry.Accept(ours))
}

// tunnelIdle is more than the tests' other times.
const tunnelIdle = 2 * time.Hour

func serverAddr(i int) reactor.Addr {
	return reactor.Addr{TCP: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 80)}
}

// sends writes to one end and lets things take their course.
func (s *scene) sends(e *end, text string) {
	e.conn.Write([]byte(text))
	s.loop.Run()
}

// warm answers one request on each server, so that each has an idle connection.
func (s *scene) warm() {
	for i := range 2 {
		s.sends(&s.client, "GET /warm HTTP/1.1\r\nHost: h\r\n\r\n")
		s.sends(s.servers[i], "HTTP/1.1 204 No Content\r\n\r\n")
		s.servers[i].got = ""
	}
	s.client.got, s.done = "", nil
}

// Each rule of settle: what the client sends, what the servers do, what comes of it.
func TestSettle(t *testing.T) {
	const (
		get     = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
		post    = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
		put     = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n"
		chunked = "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		ok      = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
	)
	for _, c := range []struct {
		name   string
		play   func(s *scene)
		answer string // beginning of what the client gets; "" is nothing
		fate   string // of the client's connection
		served int    // connections the servers accepted
		done   string
	}{
		{"both whole", func(s *scene) {
			s.sends(&s.client, get)
			s.sends(s.servers[0], ok)
		}, "HTTP/1.1 200 OK", "", 1, "200 none, 0 retries"},
		{"misdirected: the client is to connect anew", func(s *scene) {
			s.sends(&s.client, get)
			s.sends(s.servers[0], "HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n")
		}, "HTTP/1.1 421 Misdirected Request\r\nConnection: close\r\n", "end", 1, "421 none, 0 retries"},
		{"lost, replayable: another server", func(s *scene) {
			s.warm()
			s.sends(&s.client, get)
			s.servers[0].conn.Close(false)
			s.loop.Run()
			s.sends(s.servers[1], ok)
		}, "HTTP/1.1 200 OK", "", 2, "200 none, 1 retries"},
		{"lost, not idempotent", func(s *scene) {
			s.warm()
			s.sends(&s.client, post)
			s.servers[0].conn.Close(false)
			s.loop.Run()
		}, "HTTP/1.1 502 Bad Gateway", "", 2, "502 closed, 0 retries"},
		{"lost before its content came: replayed whole", func(s *scene) {
			s.warm()
			s.sends(&s.client, put)
			s.servers[0].conn.Close(false)
			s.sends(&s.client, "data") // meets no stream
			if !strings.HasSuffix(s.servers[1].got, "\r\n\r\ndata") {
				s.t.Errorf("the second server received %q", s.servers[1].got)
			}
			s.sends(s.servers[1], ok)
		}, "HTTP/1.1 200 OK", "", 2, "200 none, 1 retries"},
		{"lost after some content", func(s *scene) {
			s.warm()
			s.sends(&s.client, put+"da")
			s.servers[0].conn.Close(false)
			s.loop.Run()
		}, "HTTP/1.1 502 Bad Gateway", "", 2, "502 closed, 0 retries"},
		{"lost on a new connection", func(s *scene) {
			s.sends(&s.client, get)
			s.servers[0].conn.Close(false)
			s.loop.Run()
		}, "HTTP/1.1 502 Bad Gateway", "", 1, "502 closed, 0 retries"},
		{"lost after an interim response", func(s *scene) {
			s.warm()
			s.sends(&s.client, get)
			s.sends(s.servers[0], "HTTP/1.1 103 Early Hints\r\n\r\n")
			s.servers[0].conn.Close(false)
			s.loop.Run()
		}, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 502 Bad Gateway", "", 2, "502 closed, 0 retries"},
		{"nothing sent: always replayable", func(s *scene) {
			s.loop.Unlisten(serverAddr(0))
			s.sends(&s.client, put+"data")
			s.sends(s.servers[0], ok)
		}, "HTTP/1.1 200 OK", "", 1, "200 none, 1 retries"},
		{"tries used up", func(s *scene) {
			s.loop.Unlisten(serverAddr(0))
			s.loop.Unlisten(serverAddr(1))
			s.sends(&s.client, get)
		}, "HTTP/1.1 502 Bad Gateway", "", 0, "502 refused, 1 retries"},
		{"no server", func(s *scene) {
			s.targets[0].SetHealth(false, 0, "test")
			s.targets[1].SetHealth(false, 0, "test")
			s.sends(&s.client, get)
		}, "HTTP/1.1 503 Service Unavailable", "", 0, "503 no_target, 0 retries"},
		{"no response in time", func(s *scene) {
			s.sends(&s.client, get)
			s.loop.Advance(3 * time.Second)
		}, "HTTP/1.1 504 Gateway Timeout", "", 1, "504 timeout, 0 retries"},
		{"lost inside the response", func(s *scene) {
			s.sends(&s.client, get)
			s.sends(s.servers[0], ok[:len(ok)-1])
			s.servers[0].conn.Close(false)
			s.loop.Run()
		}, "HTTP/1.1 200 OK", "end", 1, "200 closed, 0 retries"},
		{"lost inside the response, which its close ends", func(s *scene) {
			s.sends(&s.client, "GET /a HTTP/1.0\r\n\r\n")
			s.sends(s.servers[0], "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
			s.servers[0].conn.Close(false)
			s.loop.Run()
		}, "HTTP/1.1 200 OK", "reset", 1, "200 closed, 0 retries"},
		{"the client left before the response", func(s *scene) {
			s.sends(&s.client, get)
			s.client.conn.Abort()
			s.loop.Run()
		}, "", "", 1, "0 closed, 0 retries"},
		{"the client left inside the response", func(s *scene) {
			s.sends(&s.client, get)
			s.sends(s.servers[0], ok[:len(ok)-1])
			s.client.conn.Abort()
			s.loop.Run()
		}, "HTTP/1.1 200 OK", "", 1, "200 closed, 0 retries"},
		{"content that is none", func(s *scene) {
			s.sends(&s.client, chunked+"2\r\nda\r\n")
			s.sends(&s.client, "nonsense")
		}, "HTTP/1.1 400 Bad Request", "end", 1, "400 syntax, 0 retries"},
		{"content that is none, inside the response", func(s *scene) {
			s.sends(&s.client, chunked+"2\r\nda\r\n")
			s.sends(s.servers[0], ok[:len(ok)-1])
			s.sends(&s.client, "nonsense")
		}, "HTTP/1.1 200 OK", "reset", 1, "200 syntax, 0 retries"},
		{"content becomes too large", func(s *scene) {
			s.sends(&s.client, chunked+"60\r\n"+strings.Repeat("a", 96)+"\r\n")
			s.sends(&s.client, "60\r\n"+strings.Repeat("a", 96)+"\r\n")
		}, "HTTP/1.1 413 Content Too Large", "end", 1, "413 too_large, 0 retries"},
		{"response whole, request streaming, little left", func(s *scene) {
			s.sends(&s.client, put+"da")
			s.sends(s.servers[0], ok)
			s.sends(&s.client, "ta")
			s.sends(&s.client, get) // the connection goes on
			s.sends(s.servers[1], ok)
		}, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK", "", 2, "200 none, 0 retries 200 none, 0 retries"},
		{"response whole, request streaming, no end in sight", func(s *scene) {
			s.sends(&s.client, chunked+"2\r\nda\r\n")
			s.sends(s.servers[0], ok)
		}, "HTTP/1.1 200 OK\r\nConnection: close\r\n", "end", 1, "200 none, 0 retries"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			c.play(s)
			if !strings.HasPrefix(s.client.got, c.answer) || c.answer == "" && s.client.got != "" || s.client.fate != c.fate {
				t.Errorf("the client got %q, then %q; want %q, then %q", s.client.got, s.client.fate, c.answer, c.fate)
			}
			if len(s.servers) != c.served || strings.Join(s.done, " ") != c.done {
				t.Errorf("%d connections were accepted, %q was observed; want %d, %q", len(s.servers), s.done, c.served, c.done)
			}
			for _, x := range s.targets {
				if n := x.InFlight(); n != 0 || x.Open() != x.Idle() {
					t.Errorf("in flight %d, open %d, idle %d", n, x.Open(), x.Idle())
				}
			}
		})
	}
}
