package frontend_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"traffic_management/engine/frontend"
	"traffic_management/engine/reactor"
	"traffic_management/internal/sim"
)

// shakingLoop is a simulated loop whose handshakes end when the test says so.
type shakingLoop struct {
	*sim.Loop
	shaking []func(reactor.Conn, error) reactor.Sink
	raw     []reactor.Conn
}

func (l *shakingLoop) AcceptTLS(raw reactor.Conn, _ *tls.Config, done func(reactor.Conn, error) reactor.Sink) reactor.Sink {
	l.shaking, l.raw = append(l.shaking, done), append(l.raw, raw)
	return deaf{}
}

type deaf struct{}

func (deaf) OnData()        {}
func (deaf) OnDrained()     {}
func (deaf) OnClosed(error) {}

// established is a connection behind its handshake.
type established struct {
	reactor.Conn
	state tls.ConnectionState
}

func (c *established) TLS() *tls.ConnectionState { return &c.state }

// succeed ends handshake i well.
func (l *shakingLoop) succeed(i int, state tls.ConnectionState) {
	l.raw[i].SetSink(l.shaking[i](&established{l.raw[i], state}, nil))
	l.raw[i].Wake()
	l.Run()
}

// fail ends it badly, as a reactor does.
func (l *shakingLoop) fail(i int, err error) {
	l.raw[i].Close(true)
	l.shaking[i](nil, err)
	l.Run()
}

// tally is a Meter that notes what it is told.
type tally struct {
	nothing
	told []string
}

func (m *tally) Accepted()                     { m.told = append(m.told, "accepted") }
func (m *tally) Closed()                       { m.told = append(m.told, "closed") }
func (m *tally) Handshake(resumed bool)        { m.told = append(m.told, fmt.Sprint("resumed ", resumed)) }
func (m *tally) HandshakeFailed(reason string) { m.told = append(m.told, "failed: "+reason) }
func (m *tally) HTTP2Opened()                  { m.told = append(m.told, "HTTP/2") }
func (m *tally) HTTP2Closed()                  { m.told = append(m.told, "no more HTTP/2") }
func (m *tally) HTTP2Error(reason string)      { m.told = append(m.told, "error: "+reason) }

// is checks what the meter was told since the last time.
func (m *tally) is(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(m.told, want) {
		t.Fatalf("told %q, want %q", m.told, want)
	}
	m.told = nil
}

// newShaking is newStall with TLS that takes five seconds at most.
func newShaking(t *testing.T) (*stall, *shakingLoop, *tally) {
	s := newStall(t)
	l, m := &shakingLoop{Loop: s.loop}, &tally{}
	s.entry = newEntry(t, l, serverAddr)
	s.entry.TLS = &frontend.TLS{HandshakeTimeout: 5 * time.Second}
	s.entry.Meter = m
	return s, l, m
}

// Behind its handshake a connection is one like any other, and its first head has the whole header timeout.
func TestHandshakeThenRequests(t *testing.T) {
	s, l, m := newShaking(t)
	client := s.client()
	s.loop.Advance(4 * time.Second)
	l.succeed(0, tls.ConnectionState{DidResume: true, NegotiatedProtocol: "http/1.1"})
	m.is(t, "accepted", "resumed true")
	client.sends("GET /a HT")
	s.loop.Advance(9 * time.Second)
	client.sends("TP/1.1\r\nHost: h\r\n\r\n")
	s.servers[0].sends(ok)
	client.is("", "HTTP/1.1 200 OK", "hi")
	if n := s.entry.Conns.Counts(); n != (frontend.Counts{Idle: 1}) {
		t.Errorf("%+v", n)
	}
	client.conn.Abort()
	s.loop.Run()
	m.is(t, "closed")
}

// A handshake that fails, for whatever reason, is counted as that and leaves nothing.
func TestHandshakeFails(t *testing.T) {
	for want, err := range map[string]error{
		"failed: not_tls": &reactor.HandshakeError{Reason: reactor.HandshakeNotTLS, Err: errors.New("x")},
		"failed: name":    fmt.Errorf("wrapped: %w", &reactor.HandshakeError{Reason: reactor.HandshakeName}),
		"failed: other":   errors.New("some other"),
	} {
		s, l, m := newShaking(t)
		client := s.client()
		l.fail(0, err)
		client.is("end")
		m.is(t, "accepted", want, "closed")
		if s.entry.Conns.Open() != 0 {
			t.Errorf("%s: connections are left", want)
		}
	}
}

// A handshake has its own time, which begins when the connection is accepted.
func TestHandshakeTimeout(t *testing.T) {
	s, _, m := newShaking(t)
	client := s.client()
	s.loop.Advance(5*time.Second - instant)
	client.is("")
	s.loop.Advance(2 * instant)
	client.is("end")
	m.is(t, "accepted", "failed: timeout", "closed")
}

// As connections that have sent nothing, those in their handshake are given up for others after a second, not before.
func TestHandshakeIsShed(t *testing.T) {
	s, _, m := newShaking(t)
	client := s.client()
	s.loop.Advance(time.Second - instant)
	if n := s.entry.Conns.Counts(); n != (frontend.Counts{Fresh: 1}) || s.entry.Conns.ShedIdle() {
		t.Fatalf("shed too early, or counted as %+v", n)
	}
	s.loop.Advance(2 * instant)
	if !s.entry.Conns.ShedIdle() || s.entry.Conns.ShedIdle() {
		t.Fatal("not shed, or more than once")
	}
	client.is("end")
	m.is(t, "accepted", "failed: ended", "closed")
}

// A drain lets handshakes go on while it closes idle connections; their requests are answered, as the last.
func TestHandshakeDuringDrain(t *testing.T) {
	s, l, m := newShaking(t)
	early, late := s.client(), s.client()
	done := s.drain(frontend.DrainPlan{IdleClose: 3 * time.Second})
	s.loop.Advance(2 * time.Second)
	l.succeed(0, tls.ConnectionState{})
	early.sends(get)
	s.servers[0].sends(ok)
	early.is("end", lastOK, "hi")
	if *done != 0 {
		t.Fatal("drained with a connection in its handshake")
	}
	s.loop.Advance(time.Second + instant)
	late.is("end")
	m.is(t, "accepted", "accepted", "resumed false", "closed", "failed: ended", "closed")
	if *done != 1 {
		t.Errorf("done %d times", *done)
	}
}
