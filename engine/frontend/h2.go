package frontend

import (
	"traffic_management/codec"
	"traffic_management/codec/h2"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

// h2Stage is how far the end of an HTTP/2 connection has come.
type h2Stage uint8

const (
	h2Serving   h2Stage = iota // requests are welcome
	h2Leaving                  // the client was told to send no more; what it sent before it heard that is served
	h2Finishing                // no more requests are taken; closes when the last stream has ended
	h2Closed                   // the connection is the reactor's to end
)

func (s h2Stage) String() string {
	return [...]string{"serving", "leaving", "finishing", "closed"}[s]
}

// H2 is one HTTP/2 client connection: the Sink of its socket, the Wire and the Events of its session, which makes
// streams of it. Every stream has an exchange of its own.
type H2 struct {
	connection

	// Immutable:
	session *h2.Session
	deliver func() // bound once

	// Owned by the loop:
	streams   *stream         // that have an exchange, the latest first
	running   int             // how many those are
	fresh     []*stream       // requests of the present call of Session.Receive
	idleSince reactor.Instant // when something was last seen to run
	expecting reactor.Instant // since when a field section is incomplete; 0 when none is
	seen      int             // Session.Requests when expecting was set
	finishAt  reactor.Instant // in h2Leaving
	stage     h2Stage
}

// beginH2 makes a connection speak HTTP/2; accepted is when it could begin to.
func (e *EntryPoint) beginH2(conn reactor.Conn, m Meter, peer exchange.Peer, accepted reactor.Instant) *H2 {
	c := &H2{}
	c.peer = peer
	c.begin(e, conn, m, c)
	c.accepted = accepted
	c.deliver = c.deliverHeld
	m.HTTP2Opened()
	c.session = h2.NewServer(e.Settings.HTTP2, c, c, c.now())
	c.awaitFirst(e.Settings.HeaderTimeout)
	return c
}

// deafMark is how much may wait for a client that is heard. Content alone never comes to it (codec.HighMark and one write),
// however slowly the client takes that.
const deafMark = 4 * codec.HighMark

// OnData is the Sink's. A client that does not read what it asked for is not heard: the heads of responses to what it
// sends would fill memory.
func (c *H2) OnData() {
	in := c.conn.In()
	if len(in) > 0 {
		if c.conn.Queued() > deafMark {
			c.expecting = 0 // we keep it from going on
			return
		}
		n, err := c.session.Receive(in, c.now())
		c.beginFresh()
		if c.stage == h2Closed {
			return
		}
		c.conn.Consume(n)
		if err != nil {
			c.fault(err)
			return
		}
	}
	switch {
	case c.session.More():
		c.conn.Wake()
	case c.conn.EOF():
		c.end(errGone)
		return
	}
	c.noteExpecting()
	c.rest()
}

// OnDrained is the Sink's: the client takes bytes again.
func (c *H2) OnDrained() {
	c.session.Flush()
	if c.stage == h2Closed {
		return
	}
	c.rest()
	if c.stage != h2Closed && len(c.conn.In()) > 0 {
		c.conn.Wake()
	}
}

// OnClosed is the Sink's: the client reset the connection, or the loop ends.
func (c *H2) OnClosed(err error) {
	if err == reactor.ErrStopped {
		c.entry.Conns.cutOff += c.running
	}
	c.gone()
	c.session.Fail(errGone)
}

// fault ends the connection for what the client sent; it and the exchanges were told.
func (c *H2) fault(err error) {
	if e, ok := err.(*h2.Error); ok {
		c.meter.HTTP2Error(e.Reason)
	}
	c.close(true)
}

// end ends connection and exchanges; what is queued still leaves.
func (c *H2) end(e *codec.Error) {
	c.close(false)
	c.session.Fail(e)
}

// breakOff is the speaker's.
func (c *H2) breakOff(e *codec.Error) {
	conn := c.conn
	c.gone()
	conn.Abort()
	c.session.Fail(e)
}

// close ends the connection behind what is queued; linger waits for a client that may still be sending.
func (c *H2) close(linger bool) {
	conn := c.conn
	c.gone()
	conn.Close(linger)
}

// gone forgets the connection.
func (c *H2) gone() {
	c.stage = h2Closed
	c.meter.HTTP2Closed()
	c.connection.gone()
}

// Write is the session's.
func (c *H2) Write(p []byte) {
	if c.stage == h2Closed {
		return
	}
	c.written += int64(len(p))
	c.conn.Write(p)
	c.watchWriting()
}

// Writev is the session's.
func (c *H2) Writev(bufs [][]byte) {
	if c.stage == h2Closed {
		return
	}
	for _, b := range bufs {
		c.written += int64(len(b))
	}
	c.conn.Writev(bufs)
	c.watchWriting()
}

// Queued is the session's.
func (c *H2) Queued() int {
	if c.stage == h2Closed {
		return 0
	}
	return c.conn.Queued()
}

// beginFresh begins the exchanges of requests that came and were not given up with what came behind them: a client that
// does that over and over (CVE-2023-44487) costs no server anything.
func (c *H2) beginFresh() {
	for _, t := range c.fresh {
		switch t.phase {
		case streamLost:
		case streamContent:
			t.x.Request(false)
			t.Hold(false)
		default:
			t.x.Request(true)
		}
	}
	clear(c.fresh)
	c.fresh = c.fresh[:0]
}

// Request is the session's: it makes an exchange for a request whose head is complete.
func (c *H2) Request(s *h2.Stream, h *codec.Head, raw []byte, end bool) codec.Receiver {
	e := c.entry
	t := c.open(s)
	x := t.x
	fields := append(x.RequestHead.Fields[:0], h.Fields...)
	x.RequestHead = *h
	x.RequestHead.Fields = fields
	x.Own(raw)
	switch {
	case s.Tunnel():
		t.phase = streamOffer
		s.Hold(true)
	case !end:
		t.phase = streamContent
		s.Hold(true)
		t.clock.start(e.Local.Loop.Now())
	}
	n := e.Settings.MaxRequests
	if e.ending() || n > 0 && c.session.Requests() >= n || e.Env.Pressure.Level() != exchange.PressureNormal ||
		c.peer.Outdated(e.Env) {
		c.leave()
	}
	c.fresh = append(c.fresh, t)
	return (*request)(t)
}

// Refused is the session's: it answers a head that cannot be read.
func (c *H2) Refused(s *h2.Stream, e *codec.Error) codec.Receiver {
	t := c.open(s)
	t.phase = streamBroken
	t.x.Reject(e)
	return (*request)(t)
}

// Settings is the session's. Nothing of ours depends on the client's.
func (c *H2) Settings() {}

// GoAway is the session's. A client that sends no more requests closes the connection itself.
func (c *H2) GoAway(uint32, h2.ErrCode) {}

// Pong is the session's: the client has heard that it is to send no more requests.
func (c *H2) Pong(data uint64) {
	if data == leavePing && c.stage == h2Leaving {
		c.finish()
	}
}

// Later is the session's.
func (c *H2) Later() { c.entry.Local.Loop.Defer(c.deliver) }

func (c *H2) deliverHeld() {
	if c.stage == h2Closed {
		return
	}
	c.session.Deliver()
	if c.stage != h2Closed {
		c.rest()
	}
}
