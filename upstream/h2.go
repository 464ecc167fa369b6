package upstream

import (
	"time"

	"traffic_management/codec"
	"traffic_management/codec/h2"
	"traffic_management/engine/reactor"
)

// h2state is where a connection of HTTP/2 stands.
type h2state uint8

const (
	h2Idle    h2state = iota // in its pool; carries nothing
	h2Busy                   // in its pool; carries attempts, or the rest of what some have left
	h2Leaving                // takes no more attempts, and closes behind what it carries
	h2Closed                 // no more
)

func (s h2state) String() string { return [...]string{"idle", "busy", "leaving", "closed"}[s] }

// Bounds of connections of HTTP/2.
const (
	// h2Window is how much content of one response may wait for its client. A connection's window is that of all its
	// streams, so that slow clients never hold up the others.
	h2Window = 128 << 10
	// h2Queue is how much request content may wait for the server, for each stream.
	h2Queue = codec.HighMark + reactor.ReadSize
	// maxUntaken is how much may wait for a server before it is sent no more requests: more than content alone comes to.
	maxUntaken = 4 * codec.HighMark
	// maxAsked is on how many connections an attempt waits for settings before it fails.
	maxAsked = 2
)

// h2conn is a connection to a server that speaks HTTP/2: the Sink of its socket, and the Wire and Events of its session.
// It belongs to its loop.
type h2conn struct {
	// Immutable:
	pool    *pool
	conn    reactor.Conn
	session *h2.Session
	deliver func() // session.Deliver and what follows from it, bound once

	// Owned by the loop:
	state     h2state
	carried   int             // attempts that it carries or that wait for its server's settings
	undecided line            // the latter: what they need may not be there
	settled   bool            // the server's settings have come
	since     reactor.Instant // when it became idle, or busy
	heard     reactor.Instant // when something came last
	received  int             // times that something came
	pinged    reactor.Instant // when a ping was sent that was followed by nothing yet; 0: there is none
	pings     int             // since a message came
	served    uint32          // requests that ended
	wrote     int             // bytes that were given to the connection
	left      int             // of these, what had left when that was looked at last
	moved     reactor.Instant // when more had left, or nothing waited
	timer     reactor.Timer
}

func newH2Conn(q *pool, conn reactor.Conn) *h2conn {
	c := &h2conn{pool: q, conn: conn}
	o := q.service.Options()
	c.session = h2.NewClient(&h2.Config{
		MaxStreams:   maxStreams,
		StreamWindow: h2Window,
		ConnWindow:   maxStreams * h2Window,
		MaxHeadBytes: o.HeadLimits.HeadBytes,
		MaxFields:    o.HeadLimits.Fields,
		MaxQueued:    maxStreams * h2Queue,
		Secure:       q.target.Protocol == ProtocolTLS,
		WriteStall:   reactor.WriteOutTime,
		Linger:       reactor.LingerTime,
	}, c, c, c.now())
	c.deliver = func() {
		c.session.Deliver()
		c.settle()
	}
	c.timer.Fire = c.look
	c.idle()
	conn.SetSink(c)
	return c
}

func (c *h2conn) now() time.Duration { return time.Duration(c.pool.pools.loop.Now()) }

// carries reports whether anything is under way on the connection.
func (c *h2conn) carries() bool { return c.carried > 0 || c.session.Streams() > 0 }

// room is the sharedConn's. There is none behind so many heads that the server does not take.
func (c *h2conn) room(s Shape) int {
	switch {
	case c.state >= h2Leaving || c.conn.Queued() > maxUntaken:
		return 0
	case !c.settled: // what the server said before may still hold
		return min(c.session.Room(), c.pool.target.maxStreams()-c.carried)
	case s == ShapeUpgrade && !c.session.ExtendedConnect():
		return 0
	}
	return c.session.Room()
}

// take is the sharedConn's. Whether the server lets tunnels through is known when its settings have come.
func (c *h2conn) take(a *Attempt) {
	if c.carried++; c.state == h2Idle {
		c.state, c.since = h2Busy, c.pool.pools.loop.Now()
		if c.conn.Queued() == 0 {
			c.moved = c.since
		}
		c.pool.counts.Resting.Add(-1)
		c.lookWithin(quietTime)
	}
	if a.shape == ShapeUpgrade && !c.settled {
		a.asked++
		a.awaits, a.state, a.since = c, AttemptOpening, c.pool.pools.loop.Now()
		c.undecided.push(a)
		a.armWithin(c.pool.service.Options().ConnectTimeout)
		return
	}
	s := a.h2
	if s == nil {
		s = &h2stream{}
		a.h2 = s
	}
	*s = h2stream{conn: c, attempt: a}
	s.stream = c.session.Open((*h2response)(s))
	a.bind(s)
}

// askedEnough reports whether the attempt has waited for settings so often that it fails rather than try one more
// connection: each let it down (GOAWAY behind SETTINGS, no streams), and nothing else would end that.
func (a *Attempt) askedEnough() bool {
	return a.asked >= maxAsked && !a.pool.own(a.shape) && a.pool.withRoom(a.shape) == nil
}

// leave is an attempt's that does not wait for the settings any longer.
func (c *h2conn) leave(a *Attempt) {
	if c.undecided.remove(a) {
		c.gaveBack()
	}
}

// idleSince is the sharedConn's.
func (c *h2conn) idleSince() (reactor.Instant, bool) { return c.since, c.state == h2Idle }

// retire is the sharedConn's.
func (c *h2conn) retire() {
	if c.state >= h2Leaving {
		return
	}
	c.unshare()
	if !c.carries() {
		c.close()
	}
}

// unshare begins to leave: the pool gives it no more attempts.
func (c *h2conn) unshare() {
	switch c.state {
	case h2Idle:
		c.pool.counts.Resting.Add(-1)
	case h2Busy:
	default:
		return
	}
	c.state = h2Leaving
	c.pool.leaving++
	c.pool.unshare(c)
}

// end gives a stream back to the session, which may go on with it for a while.
func (c *h2conn) end(t *h2.Stream) {
	before := c.session.Streams()
	if t.ID() != 0 {
		c.served++
	}
	t.Release()
	if c.session.Streams() == before && c.state != h2Closed {
		c.lookWithin(lookTime)
	}
	c.gaveBack()
}

// gaveBack follows the end of an attempt.
func (c *h2conn) gaveBack() {
	c.carried--
	c.settle()
}

// settle follows the end of an attempt, or whatever may have ended a stream behind its attempt: who waits is given the
// room that there is, and a connection that carries nothing any more rests, or closes when it is leaving.
func (c *h2conn) settle() {
	switch {
	case c.state <= h2Busy && c.pool.queue.first != nil:
		c.pool.fill(c)
	case c.state == h2Leaving && !c.carries():
		c.close()
	}
	if c.state == h2Busy && !c.carries() {
		c.rest()
	}
}

// rest makes the connection idle. One of several gives up its place for requests that wait on other loops, and one whose
// server lets it carry nothing is of no use.
func (c *h2conn) rest() {
	c.idle()
	if q := c.pool; c.session.Limit() == 0 || len(q.shared) > 1 && q.waitingElsewhere() != nil {
		c.retire()
	}
}

// close ends the connection: it carries nothing any more.
func (c *h2conn) close() {
	c.session.Finish()
	c.ended()
	c.conn.Close(false)
	c.pool.closed()
}

// ended is the end of what the connection has of the pool and the loop, but for its place.
func (c *h2conn) ended() {
	c.unshare()
	c.pool.leaving--
	c.state = h2Closed
	c.pool.pools.loop.Stop(&c.timer)
}

// fail ends the connection with everything on it, before the caller closes the socket.
func (c *h2conn) fail(e *codec.Error) {
	c.ended()
	c.session.Fail(e)
	for a := c.undecided.pop(); a != nil; a = c.undecided.pop() {
		a.fail(errHungUp)
	}
}

// OnData is the Sink's.
func (c *h2conn) OnData() {
	if in := c.conn.In(); len(in) > 0 {
		c.heard, c.pinged = c.pool.pools.loop.Now(), 0
		c.received++
		n, err := c.session.Receive(in, c.now())
		if c.state == h2Closed {
			return
		}
		if err != nil {
			c.fail(errClosed)
			c.conn.Close(true)
			c.pool.closed()
			return
		}
		c.conn.Consume(n)
	}
	if c.conn.EOF() {
		c.fail(errClosed)
		c.conn.Close(false)
		c.pool.closed()
		return
	}
	c.settle()
}

// OnDrained is the Sink's.
func (c *h2conn) OnDrained() {
	c.session.Flush()
	c.settle()
}

// OnClosed is the Sink's: the connection failed.
func (c *h2conn) OnClosed(err error) {
	e := errClosed
	if late := rejected(err); late != nil && c.received == 0 {
		e = late
	}
	c.fail(e)
	c.pool.closed()
}

// Write is the session's Wire.
func (c *h2conn) Write(p []byte) {
	c.wrote += len(p)
	c.conn.Write(p)
}

// Writev is the session's Wire.
func (c *h2conn) Writev(bufs [][]byte) {
	for _, b := range bufs {
		c.wrote += len(b)
	}
	c.conn.Writev(bufs)
}

// Queued is the session's Wire.
func (c *h2conn) Queued() int { return c.conn.Queued() }

// Settings is the session's: the number of streams may have changed, and tunnels are let through or not.
func (c *h2conn) Settings() {
	q, found := c.pool, spokenH2Plain
	if c.session.ExtendedConnect() {
		found = spokenH2Tunnels
	}
	c.settled = true
	q.target.learn(found)
	q.target.learnStreams(c.session.Limit())
	for a := c.undecided.pop(); a != nil; a = c.undecided.pop() {
		q.pools.loop.Stop(&a.timer)
		a.awaits = nil
		a.connecting += q.pools.loop.Now().Sub(a.since)
		switch {
		case found == spokenH2Plain && q.target.Protocol == ProtocolH2C:
			a.fail(errNoTunnel)
		case a.askedEnough():
			a.fail(errNotTaken)
		default:
			q.acquire(a)
		}
		c.gaveBack()
	}
	if c.state <= h2Busy {
		q.fill(c)
	}
}

// GoAway is the session's: the server takes no more requests here.
func (c *h2conn) GoAway(uint32, h2.ErrCode) {
	c.unshare()
	if c.state == h2Leaving && !c.carries() {
		c.close()
	}
	c.pool.serve()
}

// Pong is the session's. That anything came is enough.
func (c *h2conn) Pong(uint64) {}

// Later is the session's.
func (c *h2conn) Later() { c.pool.pools.loop.Defer(c.deliver) }

// Request and Refused are of a server's session.
func (c *h2conn) Request(*h2.Stream, *codec.Head, []byte, bool) codec.Receiver { return nil }

// Refused is described at Request.
func (c *h2conn) Refused(*h2.Stream, *codec.Error) codec.Receiver { return nil }
