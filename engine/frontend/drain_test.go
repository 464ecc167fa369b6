package frontend_test

import (
	"strings"
	"testing"
	"time"

	"traffic_management/engine/exchange"
	"traffic_management/engine/frontend"
	"traffic_management/routing"
)

// idle is a client that has been served once and keeps its connection.
func (s *stall) idle() *end {
	c := s.client()
	c.sends(get)
	s.servers[len(s.servers)-1].sends(ok)
	c.is("", "hi")
	c.got = ""
	return c
}

func (s *stall) drain(plan frontend.DrainPlan) (done *int) {
	done = new(int)
	s.entry.Conns.Drain(s.loop, plan, func() { *done++ })
	return done
}

const (
	lastOK = "HTTP/1.1 200 OK\r\nConnection: close\r\n"
	post   = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"

	upgrade  = "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
	switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
)

// Without time for it idle connections are closed at once, the others behind their responses. A connection just accepted
// has a second to send what may be on its way.
func TestDrainAtOnce(t *testing.T) {
	s := newStall(t)
	idle := s.idle()
	waiting, answered := s.client(), s.client()
	waiting.sends(get) // over the connection that is idle now
	answered.sends(get)
	toWaiting, toAnswered := s.servers[0], s.servers[1]
	toAnswered.sends(ok[:len(ok)-1])
	silent, late := s.client(), s.client()
	done := s.drain(frontend.DrainPlan{TunnelTimeout: time.Hour})
	idle.is("end")
	waiting.is("")
	s.loop.Advance(900 * time.Millisecond)
	silent.is("")
	late.sends(get)
	s.loop.Advance(100*time.Millisecond + instant)
	silent.is("end")
	if *done != 0 || s.entry.Conns.Open() != 3 {
		t.Fatalf("done %d times, %d connections are open", *done, s.entry.Conns.Open())
	}
	s.servers[2].sends(ok)
	late.is("end", lastOK, "hi")
	toWaiting.sends(ok)
	waiting.is("end", lastOK, "hi")
	toAnswered.sends("i")
	answered.is("end", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") // its head said nothing yet
	if *done != 1 || s.entry.Conns.Open() != 0 {
		t.Fatalf("done %d times, %d connections are open", *done, s.entry.Conns.Open())
	}
}

// Idle connections are closed in the order in which they became idle, evenly over the time given for it.
func TestDrainSpreadsTheEndOfIdleConnections(t *testing.T) {
	s := newStall(t)
	clients := make([]*end, 10)
	for i := range clients {
		clients[i] = s.idle()
	}
	done := s.drain(frontend.DrainPlan{IdleClose: 5 * time.Second, TunnelTimeout: time.Hour})
	began := s.loop.Now()
	for i := range clients {
		turn := began.Add(time.Duration(i+1) * 500 * time.Millisecond)
		s.loop.Advance(turn.Add(-instant).Sub(s.loop.Now()))
		clients[i].is("")
		s.loop.Advance(2 * instant)
		clients[i].is("end")
		if n := s.entry.Conns.Open(); n != len(clients)-1-i {
			t.Fatalf("%d connections are open after %d were to be closed", n, i+1)
		}
	}
	if *done != 1 {
		t.Fatalf("done %d times", *done)
	}
}

// A request on a connection that is still idle while others end is answered, whatever its method, and the last.
func TestDrainAnswersRequestsOnIdleConnections(t *testing.T) {
	s := newStall(t)
	gone, stays, half := s.idle(), s.idle(), s.idle()
	done := s.drain(frontend.DrainPlan{IdleClose: 3 * time.Second, TunnelTimeout: time.Hour})
	half.sends(post[:20])
	s.loop.Advance(time.Second + 2*instant)
	gone.is("end")
	stays.sends(post)
	s.servers[0].sends(ok)
	stays.is("end", lastOK, "hi")
	s.loop.Advance(8 * time.Second) // of the ten that a head may take
	half.sends(post[20:])
	s.servers[0].sends(ok)
	half.is("end", lastOK, "hi")
	if len(s.servers) != 1 || strings.Count(s.servers[0].got, "POST /a") != 2 || *done != 1 {
		t.Fatalf("%d connections to the server, which got %q; done %d times", len(s.servers), s.servers[0].got, *done)
	}
}

// A head that does not become whole holds a drain up for no longer than the header timeout.
func TestDrainWithUnfinishedHead(t *testing.T) {
	s := newStall(t)
	client := s.client()
	client.sends("GET / HT")
	done := s.drain(frontend.DrainPlan{IdleClose: time.Second, TunnelTimeout: time.Hour})
	s.loop.Advance(10*time.Second - instant)
	client.is("")
	s.loop.Advance(2 * instant)
	client.is("end", "HTTP/1.1 408 Request Timeout", "Connection: close")
	if *done != 1 {
		t.Fatalf("done %d times", *done)
	}
}

// Tunnels go on until a time of their own; those that begin later end soon.
func TestDrainOfTunnels(t *testing.T) {
	s := newStall(t)
	s.entry.Settings.IdleTimeout = time.Hour
	idle, tunnel := s.idle(), s.client()
	tunnel.sends(upgrade)
	s.servers[0].sends(switched + "hello")
	done := s.drain(frontend.DrainPlan{IdleClose: 20 * time.Second, TunnelTimeout: 10 * time.Second})
	s.loop.Advance(10*time.Second - instant)
	tunnel.sends("still here")
	if got := s.servers[0].got; !strings.HasSuffix(got, "still here") {
		t.Errorf("the server got %q", got)
	}
	tunnel.is("", switched, "hello")
	s.loop.Advance(2 * instant)
	tunnel.is("end", switched, "hello")
	idle.sends(upgrade)
	s.servers[1].sends(switched + "late")
	idle.is("", switched, "late")
	s.loop.Advance(time.Second)
	idle.is("end", switched, "late")
	if *done != 1 {
		t.Fatalf("done %d times", *done)
	}
}

// An entry point that is left ends its connections in the same way, and no other's.
func TestLeave(t *testing.T) {
	s := newStall(t)
	other := *s.entry
	stays := s.idle()
	s.entry = &other
	first, second, waiting := s.idle(), s.idle(), s.client()
	waiting.sends(get)
	s.entry.Leave(2 * time.Second)
	s.loop.Advance(time.Second + instant)
	first.is("end")
	second.is("")
	s.servers[0].sends(ok)
	waiting.is("end", lastOK, "hi")
	s.loop.Advance(time.Second)
	second.is("end")
	stays.sends(get)
	s.servers[0].sends(ok)
	stays.is("", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
}

// Exchanges of a configuration that was replaced too long ago are ended, and no others.
func TestEndExchanges(t *testing.T) {
	s := newStall(t)
	idle, unanswered, answered, uploading, tunnel := s.idle(), s.client(), s.client(), s.client(), s.client()
	unanswered.sends(get)
	answered.sends(get)
	s.servers[1].sends("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome")
	uploading.sends(put + "some")
	tunnel.sends(upgrade)
	s.servers[3].sends(switched)
	before := s.entry.Env
	env := *before
	env.Table = routing.NewTable[*exchange.Route](nil)
	s.entry.Env = &env
	later := s.client()
	later.sends(put + "some")
	if n := s.entry.Conns.EndExchanges(func(e *exchange.Env) bool { return e == before }); n != 4 {
		t.Errorf("%d exchanges were ended", n)
	}
	unanswered.is("end", "HTTP/1.1 503 Service Unavailable", "Connection: close", "replaced")
	answered.is("end", "some")
	uploading.is("end", "HTTP/1.1 503 Service Unavailable", "Connection: close")
	tunnel.is("end", switched)
	idle.sends(get)
	idle.is("", "HTTP/1.1 404 Not Found") // nothing matches any more
	later.is("", "HTTP/1.1 404 Not Found")
}

// Short of memory, every response is its connection's last; then requests are refused before they reach a server, whatever
// they are; and when there is memory again all is as before.
func TestPressure(t *testing.T) {
	s := newStall(t)
	pressure := new(exchange.Pressure)
	env := *s.entry.Env
	env.Pressure = pressure
	s.entry.Env = &env
	first, second, third, fourth := s.idle(), s.idle(), s.idle(), s.idle()
	server := s.servers[0]
	fourth.sends(get)
	pressure.Set(exchange.PressureNoKeepAlive)
	first.sends(post)
	s.servers[1].sends(ok)
	first.is("end", lastOK, "hi")
	server.got = ""
	pressure.Set(exchange.PressureRefuse)
	second.sends(post)
	second.is("end", "HTTP/1.1 503 Service Unavailable\r\n", "Retry-After: ", "Connection: close\r\n", "short of memory")
	third.sends(put)
	third.is("end", "HTTP/1.1 503 Service Unavailable\r\n", "Connection: close\r\n")
	if server.got != "" || strings.Count(s.servers[1].got, "HTTP/1.1") != 1 || len(s.servers) != 2 {
		t.Errorf("the server got %q and %q over %d connections", server.got, s.servers[1].got, len(s.servers))
	}
	pressure.Set(exchange.PressureNormal)
	server.sends(ok)
	fourth.is("", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
	fourth.sends(get)
	server.sends(ok)
	fourth.is("", "hi", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
}
