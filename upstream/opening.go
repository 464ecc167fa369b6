package upstream

import (
	"crypto/tls"

	"traffic_management/engine/reactor"
)

// opening is a connection that is being opened, and the attempts that wait for it. It belongs to its loop, and is the
// Sink until the connection is open.
type opening struct {
	// Immutable:
	pool   *pool
	conn   reactor.Conn
	since  reactor.Instant
	pipe   bool        // only those that may share a pipeline
	config *tls.Config // of its handshake; nil in clear text

	// Owned by the loop:
	waiting line
	limit   int // how many attempts may wait for it; 0 when it opened, failed or was given up
}

// maxStreams is how many requests share a connection of HTTP/2, if its server lets them: so many that one connection
// carries what a loop has for the server unless that is much, so few that the loss of one does not end too many.
const maxStreams = 100

// dial opens a connection for a; its place under MaxConnections is reserved.
func (q *pool) dial(a *Attempt) {
	t, loop := q.target, q.pools.loop
	o := &opening{pool: q, since: loop.Now(), limit: 1}
	switch h1 := t.speaks() == spokenH1; {
	case h1 && q.pipelines(a.shape):
		o.limit, o.pipe = q.service.Options().PipelineDepth, true
		q.openings = append(q.openings, o)
	case !h1 && !q.own(a.shape):
		o.limit = t.maxStreams()
		q.openings = append(q.openings, o)
	}
	if t.Protocol == ProtocolTLS {
		c := q.tls.of(q.service.Options().TLS, t)
		if o.config = c.any; q.own(a.shape) {
			o.config = c.own
		}
		o.conn = loop.DialTLS(t.Addr, o.config, o)
	} else {
		o.conn = loop.Dial(t.Addr, o)
	}
	q.meter.Opened()
	o.join(a)
}

// own reports whether a request of this shape needs a connection of HTTP/1.1 to a server that chooses HTTP/2, which
// cannot carry a tunnel to it.
func (q *pool) own(s Shape) bool {
	return s == ShapeUpgrade && q.target.Protocol == ProtocolTLS && q.target.speaks() == spokenH2Plain
}

// untunnelled reports whether a request of this shape offers a protocol to a server that has just said, on a connection
// which is still there, that it lets none through, and that speaks nothing but HTTP/2.
func (q *pool) untunnelled(s Shape) bool {
	return s == ShapeUpgrade && q.target.Protocol == ProtocolH2C && q.target.speaks() == spokenH2Plain && len(q.shared) > 0
}

// awaitable returns a connection being opened that one more attempt of this shape may wait for, nil when there is none.
func (q *pool) awaitable(s Shape) *opening {
	if len(q.openings) == 0 || q.own(s) {
		return nil
	}
	limit := q.service.Options().ConnectTimeout
	for _, o := range q.openings {
		if o.waiting.n < o.limit && (!o.pipe || q.pipelines(s)) && (limit <= 0 || q.pools.loop.Now().Sub(o.since) < limit) {
			return o
		}
	}
	return nil
}

// join has an attempt wait for the connection, for what is left of the time to open it.
func (o *opening) join(a *Attempt) {
	loop := o.pool.pools.loop
	a.awaits, a.state, a.since = o, AttemptOpening, loop.Now()
	o.waiting.push(a)
	limit := o.pool.service.Options().ConnectTimeout
	if limit > 0 {
		limit = max(limit-a.since.Sub(o.since), reactor.Tick)
	}
	a.armWithin(limit)
}

// leave is an attempt's that does not wait any longer; behind the last one the connection is given up.
func (o *opening) leave(a *Attempt) {
	o.waiting.remove(a)
	if o.waiting.n == 0 && o.limit > 0 {
		o.end()
		o.conn.Abort()
		o.pool.closed()
	}
}

// end takes it out of the pool.
func (o *opening) end() {
	o.limit = 0
	q := o.pool
	for i, other := range q.openings {
		if other == o {
			q.openings = append(q.openings[:i], q.openings[i+1:]...)
			return
		}
	}
}

// opened takes out the attempt that has waited longest, nil when there is none any more.
func (o *opening) opened() *Attempt {
	a := o.waiting.pop()
	if a != nil {
		loop := o.pool.pools.loop
		loop.Stop(&a.timer)
		a.awaits = nil
		a.connecting += loop.Now().Sub(a.since)
	}
	return a
}

// OnDrained is the Sink's: the connection is open.
func (o *opening) OnDrained() {
	q := o.pool
	o.end()
	h2 := q.target.Protocol == ProtocolH2C
	if state := o.conn.TLS(); state != nil {
		h2 = state.NegotiatedProtocol == alpnH2
		if len(o.config.NextProtos) > 1 { // it had the choice
			q.target.learn(version(h2))
		}
	}
	if h2 {
		o.share(newH2Conn(q, o.conn))
		return
	}
	c := &h1conn{pool: q, conn: o.conn}
	o.conn.SetSink(c)
	o.conn.Portion(c.portion)
	q.pace.trip = q.pools.loop.Now().Sub(o.since)
	q.begin(c, o.opened())
	for a := o.opened(); a != nil; a = o.opened() {
		if c.pipe != nil && c.pipe.room(a.shape) > 0 {
			c.pipe.take(a)
		} else { // it was not known that each needs its own
			q.acquire(a)
		}
	}
}

// share gives those who wait their places on a connection that they can share.
func (o *opening) share(c sharedConn) {
	q := o.pool
	q.shared = append(q.shared, c)
	for a := o.opened(); a != nil; a = o.opened() {
		if c.room(a.shape) > 0 {
			c.take(a)
		} else {
			q.acquire(a)
		}
	}
	if q.retired || q.pools.closing {
		c.retire()
		return
	}
	q.fill(c)
	q.passOn() // a loop that has none may open one now, whatever the limit
}

// OnData is the Sink's, and comes to nobody before the connection is open.
func (o *opening) OnData() {}

// OnClosed is the Sink's: the connection could not be opened.
func (o *opening) OnClosed(err error) {
	defer o.pool.closed()
	o.end()
	e := undialled(err)
	for a := o.waiting.pop(); a != nil; a = o.waiting.pop() {
		a.fail(e)
	}
}
