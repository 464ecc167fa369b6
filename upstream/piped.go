package upstream

import (
	"traffic_management/codec"
	"traffic_management/internal/invariant"
)

// piped is an attempt's place in a pipeline: its carrier. Once the attempt has left the pipeline, the Stream that its
// receiver has of it does nothing.
type piped struct{ attempt *Attempt }

// Head is the Stream's. A request of ShapeBare ends with it.
func (s piped) Head(h *codec.Head, end bool) {
	invariant.Check(end && h.Method == codec.MethodGet, "upstream: a request in a pipeline is not of the shape it was said to have")
	if p := s.attempt.pipe; p != nil {
		p.send(s.attempt, h)
	}
}

// Data is the Stream's: there is no content.
func (s piped) Data([]byte, bool) {}

// Trailers is the Stream's: there are none.
func (s piped) Trailers([]codec.Field) {}

// Reset is the Stream's.
func (s piped) Reset(*codec.Error) { s.abandon() }

// Hold is the Stream's: it pauses all responses from this one on.
func (s piped) Hold(on bool) {
	a := s.attempt
	if a.pipe == nil {
		return
	}
	if on {
		a.holds++
	} else {
		a.holds--
	}
	if c := a.pipe.conn; c.attempt == a {
		c.Hold(on)
	}
}

// Queued is the Stream's.
func (s piped) Queued() int {
	if s.attempt.pipe == nil {
		return 0
	}
	return s.attempt.pipe.conn.Queued()
}

// unused is the carrier's.
func (s piped) unused() {
	p := s.attempt.pipe
	p.placed.remove(s.attempt)
	p.settle()
}

// abandon is the carrier's. What was sent will be answered, so somebody else hears it.
func (s piped) abandon() {
	p, a := s.attempt.pipe, s.attempt
	switch {
	case p == nil: // it was reset
		return
	case p.placed.remove(a):
		p.settle()
	case p.conn.attempt == a && (p.behind.n+p.placed.n == 0 || p.conn.recv == partContent && !p.conn.short()):
		p.conn.abandon() // nobody waits behind it, or there is too much to wait for
	default:
		p.orphan(a)
	}
	a.pipe = nil
}

// expired is the carrier's.
func (s piped) expired() {
	p, a := s.attempt.pipe, s.attempt
	switch {
	case p == nil:
	case p.conn.attempt == a:
		p.conn.expired()
	case !a.orphaned(): // an orphan has time until its response is the next
		s.abandon()
		a.fail(errHeadTimeout)
	}
}

// maxOrphaned is how much content of a response that nobody wants is read for the sake of those behind it.
const maxOrphaned = 64 << 10

// short reports whether no more content of the present response is known to come than is read for nobody.
func (c *h1conn) short() bool {
	left, known := c.body.Left()
	return !known || left <= maxOrphaned
}

// orphan is the Receiver of a response whose own has left: it drops what comes, within bounds.
type orphan struct {
	attempt *Attempt
	dropped int
}

// orphan puts an attempt of nobody's in the place of a, whose request was sent. The server is at work on it, so it goes
// on to count as in flight.
func (p *pipeline) orphan(a *Attempt) {
	o := a.pools.newAttempt()
	o.service, o.pool, o.pipe, o.receiver = a.service, a.pool, p, &orphan{attempt: o}
	o.opened, o.sent, o.answered, o.size, o.turn = a.opened, a.sent, a.answered, a.size, a.turn
	o.conn, o.state, o.timeout = piped{o}, AttemptOpen, 0
	o.pool.counts.InFlight.Add(1)
	c := p.conn
	if c.attempt != a {
		p.behind.replace(a, o)
		o.awaitHead()
		return
	}
	c.attempt = o
	for ; c.holds > 0; c.holds-- {
		c.conn.Hold(false)
	}
	if c.recv == partContent {
		o.arm(o.service.Options().ResponseIdle)
	} else {
		o.awaitHead()
	}
}

// orphaned reports whether nobody hears the attempt.
func (a *Attempt) orphaned() bool {
	_, ok := a.receiver.(*orphan)
	return ok
}

// Ready is the Receiver's, and never comes: the request was sent.
func (o *orphan) Ready(codec.Stream) {}

// Head is the Receiver's.
func (o *orphan) Head(h *codec.Head, end bool) {
	if end {
		o.attempt.Release()
	} else if h.Framing == codec.ByLength && h.Length > maxOrphaned {
		o.giveUp()
	}
}

// Data is the Receiver's.
func (o *orphan) Data(b []byte, end bool) {
	if o.dropped += len(b); end {
		o.attempt.Release()
	} else if o.dropped > maxOrphaned {
		o.giveUp()
	}
}

// Trailers is the Receiver's.
func (o *orphan) Trailers([]codec.Field) { o.attempt.Release() }

// Drained is the Receiver's.
func (o *orphan) Drained() {}

// Failed is the Receiver's.
func (o *orphan) Failed(*codec.Error) { o.attempt.Release() }

// giveUp closes the connection: it takes less to send those behind elsewhere.
func (o *orphan) giveUp() {
	a := o.attempt
	a.pipe.conn.abandon()
	a.end(nil)
	a.Release()
}
