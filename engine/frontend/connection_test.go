package frontend_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"traffic_management/engine/frontend"
	"traffic_management/engine/reactor"
	"traffic_management/internal/sim"
)

// stall is the proxy on a simulated loop, between clients and a server whose parts the test plays.
type stall struct {
	t       *testing.T
	loop    *sim.Loop
	entry   *frontend.EntryPoint
	servers []*end
}

// end is a connection's end that the test plays.
type end struct {
	stall *stall
	conn  reactor.Conn
	got   string
	fate  string // "end" or "reset"
	sips  bool   // reads once, then not until sip is called again
	reply string // to every request that comes
}

func (e *end) OnData() {
	e.got += string(e.conn.In())
	e.conn.Consume(len(e.conn.In()))
	if e.conn.EOF() {
		e.fate = "end"
		e.conn.Close(false)
		return
	}
	if e.sips {
		e.conn.Hold(true)
	}
	if e.reply != "" && strings.HasSuffix(e.got, "\r\n\r\n") {
		e.conn.Write([]byte(e.reply))
	}
}

// sip reads once more.
func (e *end) sip() {
	e.conn.Hold(false)
	e.stall.loop.Run()
}
func (e *end) OnDrained()     {}
func (e *end) OnClosed(error) { e.fate = "reset" }

var serverAddr = reactor.Addr{TCP: netip.MustParseAddrPort("192.0.2.1:80")}

func newStall(t *testing.T) *stall {
	s := &stall{t: t, loop: sim.NewLoop(3)}
	s.loop.Net = sim.Net{Window: 16 << 10, Piece: 64 << 10}
	s.loop.Listen(serverAddr, func(c reactor.Conn) reactor.Sink {
		s.servers = append(s.servers, &end{stall: s, conn: c})
		return s.servers[len(s.servers)-1]
	})
	s.entry = newEntry(t, s.loop, serverAddr)
	return s
}

func (s *stall) client() *end {
	e := &end{stall: s}
	ours, theirs := s.loop.Pipe(nil, e)
	e.conn = theirs
	ours.SetSink(s.entry.Accept(ours))
	return e
}

// sends writes and lets things take their course.
func (e *end) sends(text string) {
	e.conn.Write([]byte(text))
	e.stall.loop.Run()
}

// is checks that what came so far has every want in it, in this order, and how the connection ended.
func (e *end) is(fate string, want ...string) {
	e.stall.t.Helper()
	e.stall.loop.Run()
	rest := e.got
	for _, w := range want {
		i := strings.Index(rest, w)
		if i < 0 {
			e.stall.t.Fatalf("got %q, which lacks %q", e.got, w)
		}
		rest = rest[i+len(w):]
	}
	if len(want) == 0 && e.got != "" || e.fate != fate {
		e.stall.t.Fatalf("got %q, then %q; want %q, then %q", e.got, e.fate, want, fate)
	}
}

const (
	get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
	put = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"
	ok  = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
)

const instant = 10 * time.Millisecond // more than the tick of timers

// Each deadline of a client connection: a moment before nothing has happened, a moment later it has.
func TestDeadlines(t *testing.T) {
	for _, c := range []struct {
		name  string
		play  func(s *stall, client *end)
		after time.Duration
		fate  string
		want  []string
	}{
		{"nothing sent", func(*stall, *end) {}, 10 * time.Second, "end", nil},
		{"an incomplete head after a while", func(s *stall, client *end) {
			s.loop.Advance(3 * time.Second)
			client.sends("G")
			s.loop.Advance(3 * time.Second)
		}, 4 * time.Second, "end", []string{"HTTP/1.1 408 Request Timeout"}},
		{"an incomplete head", func(s *stall, client *end) {
			client.sends("GET / HT")
			s.loop.Advance(9 * time.Second) // bytes that trickle in move nothing
			client.sends("TP/1.1\r\nX")
		}, time.Second, "end", []string{"HTTP/1.1 408 Request Timeout", "Connection: close"}},
		{"an incomplete second head", func(s *stall, client *end) {
			client.sends(get)
			s.servers[0].sends(ok)
			s.loop.Advance(15 * time.Second)
			client.sends("G")
			s.loop.Advance(9 * time.Second)
			client.sends("ET / HTTP/1.1\r\nX")
			client.got = ""
		}, time.Second, "end", []string{"HTTP/1.1 408 Request Timeout"}},
		{"idle", func(s *stall, client *end) {
			client.sends(get)
			s.servers[0].sends(ok)
			client.got = ""
		}, 20 * time.Second, "end", nil},
		{"silence inside content", func(s *stall, client *end) {
			client.sends(put + strings.Repeat("a", 500))
			s.loop.Advance(2 * time.Second)
			client.sends("a")
		}, 8 * time.Second, "end", []string{"HTTP/1.1 408 Request Timeout"}},
		{"content at less than the lowest pace", func(s *stall, client *end) {
			client.sends(put)
			for range 10 {
				client.sends("aaaaa")
				s.loop.Advance(500 * time.Millisecond)
			}
		}, time.Second, "end", []string{"HTTP/1.1 408 Request Timeout"}},
		{"the response is not taken", func(s *stall, client *end) {
			client.conn.Hold(true)
			client.sends(get)
			s.servers[0].sends("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("a", 100000))
		}, 6 * time.Second, "reset", nil},
		{"the response is taken for a while", func(s *stall, client *end) {
			client.sips = true
			client.conn.Hold(true)
			client.sends(get)
			s.servers[0].sends("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("a", 100000))
			s.loop.Advance(4 * time.Second)
			client.sip() // seen when the time is up, which begins anew then
			if client.got == "" {
				s.t.Fatal("the client read nothing")
			}
			client.got = ""
		}, 8 * time.Second, "reset", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStall(t)
			client := s.client()
			c.play(s, client)
			s.loop.Advance(c.after - 50*time.Millisecond)
			client.is("")
			s.loop.Advance(50*time.Millisecond + 2*instant)
			client.is(c.fate, c.want...)
			if n := s.entry.Conns.Open(); n != 0 {
				t.Errorf("%d client connections are open", n)
			}
		})
	}
}

// Content at the lowest pace is let through, and the time in which the proxy itself did not read is not held against
// the client.
func TestSlowContentThatIsAllowed(t *testing.T) {
	s := newStall(t)
	client := s.client()
	client.sends(put)
	for range 80 { // 12 bytes a second
		client.sends("aaaaaa")
		s.loop.Advance(500 * time.Millisecond)
	}
	client.sends(strings.Repeat("a", 1000-480))
	s.servers[0].sends(ok)
	client.is("", "HTTP/1.1 200 OK")

	s.loop.Hang(serverAddr)
	client.sends(get) // takes the idle connection; the next request waits for its dial
	other := s.client()
	other.sends(put)
	s.loop.Advance(30 * time.Second)
	other.is("")
}

// A client that takes its response slowly, but does take it, is not cut off.
func TestSlowReader(t *testing.T) {
	s := newStall(t)
	s.entry.Settings.IdleTimeout = time.Hour
	client := s.client()
	client.sips = true
	client.conn.Hold(true)
	client.sends(get)
	page := strings.Repeat("a", 200000)
	s.servers[0].sends("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + page)
	sips := 0
	for ; client.fate == "" && !strings.HasSuffix(client.got, page); sips++ {
		s.loop.Advance(4 * time.Second)
		client.sip()
	}
	client.is("", "HTTP/1.1 200 OK")
	if sips < 10 {
		t.Errorf("all was read in %d sips", sips)
	}
}

// The last response that a connection is good for says so, and a client that has sent more already still gets it.
func TestMaxRequests(t *testing.T) {
	s := newStall(t)
	s.entry.Settings.MaxRequests = 2
	client := s.client()
	client.conn.Hold(true)
	client.sends(get + get)
	s.servers[0].sends(ok)
	s.servers[0].sends(ok)
	client.sends(get) // crosses the last response
	client.conn.Hold(false)
	client.is("end", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 200 OK\r\nConnection: close\r\n", "hi")
}

// Pipelined requests are answered in order, one at a time, and not while the client leaves its responses unread.
func TestPipelining(t *testing.T) {
	s := newStall(t)
	client := s.client()
	client.conn.Hold(true)
	client.sends(strings.Repeat(get, 100))
	s.servers[0].reply = "HTTP/1.1 204 No Content\r\nX-Page: " + strings.Repeat("a", 2000) + "\r\n\r\n"
	s.servers[0].sends(s.servers[0].reply)
	if n := strings.Count(s.servers[0].got, "GET /a"); n > 45 { // 80 kB fit into the network and the queue
		t.Fatalf("%d requests reached the server while no response was read", n)
	}
	client.conn.Hold(false)
	client.is("", strings.Repeat(s.servers[0].reply, 100))
	if len(s.servers) != 1 || strings.Count(s.servers[0].got, "GET /a") != 100 {
		t.Errorf("%d connections to the server", len(s.servers))
	}
}

// The connection that was idle for longest is given up first; one that is at a request never is.
func TestShedIdle(t *testing.T) {
	s := newStall(t)
	busy, first, second := s.client(), s.client(), s.client()
	for i, c := range []*end{busy, second, first} { // second is idle for longer than first
		c.sends(get)
		if i > 0 {
			s.servers[1].sends(ok)
		}
	}
	if !s.entry.Conns.ShedIdle() {
		t.Fatal("nothing was shed")
	}
	second.is("end", "hi")
	first.is("", "hi")
	if !s.entry.Conns.ShedIdle() || s.entry.Conns.ShedIdle() {
		t.Fatal("one more connection was idle, no other")
	}
	first.is("end", "hi")
	busy.is("")
}

// A connection just accepted, whose request may be on its way, is not given up; one that has been silent for a while is,
// and before those that became idle later.
func TestShedSilent(t *testing.T) {
	s := newStall(t)
	silent, speaks, kept := s.client(), s.client(), s.client()
	if s.entry.Conns.ShedIdle() {
		t.Fatal("a connection was shed at once")
	}
	s.loop.Advance(900 * time.Millisecond)
	speaks.sends("GET /a HTTP/1.1\r\n")
	kept.sends(get)
	if s.entry.Conns.ShedIdle() {
		t.Fatal("a connection was shed too early")
	}
	s.loop.Advance(100*time.Millisecond + instant)
	s.servers[0].sends(ok)
	if !s.entry.Conns.ShedIdle() {
		t.Fatal("nothing was shed")
	}
	silent.is("end")
	kept.is("", "hi")
	if !s.entry.Conns.ShedIdle() || s.entry.Conns.ShedIdle() {
		t.Fatal("one more connection was idle, no other")
	}
	speaks.sends("Host: h\r\n\r\n")
	s.servers[0].sends(ok)
	speaks.is("", "hi")
}
