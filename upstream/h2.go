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
	h2Busy                   // in its pool; carries attempts
	h2Leaving                // takes no more attempts, and closes behind those it carries
	h2Closed                 // no more
)

func (s h2state) String() string { return [...]string{"idle", "busy", "leaving", "closed"}[s] }

// Times and bounds of connections of HTTP/2.
const (
	// h2Window is how much content of one response may wait for its client. A connection's window is that of all its
	// streams, so that slow clients never hold up the others.
	h2Window = 128 << 10
	// h2Queue is how much request content may wait for the server, for each stream.
	h2Queue = codec.HighMark + reactor.ReadSize
	// quietTime is how long a connection that carries attempts may be silent before its server is asked for a sign of
	// life. Packets that vanish without a reset would otherwise cost every request on it its whole time.
	quietTime = 10 * time.Second
	// pingTime is how long the sign may take: more than any round trip and a pause of the server's.
	pingTime = 5 * time.Second
	// Servers of gRPC take pings for abuse that come more often than every 5 minutes while they send nothing, but for
	// the first few (gRPC proposal A8): then they close the connection.
	freePings    = 2
	patientPings = 5*time.Minute + 10*time.Second
)

// h2conn is a connection to a server that speaks HTTP/2: the Sink of its socket, and the Wire and Events of its session.
// It belongs to its loop.
type h2conn struct {
	// Immutable:
	pool    *pool
	conn    reactor.Conn
	session *h2.Session
	deliver func() // session.Deliver, bound once

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
	served    uint32          // attempts that ended
	wrote     int             // bytes that were given to the connection
	timer     reactor.Timer
}

func newH2Conn(q *pool, conn reactor.Conn) *h2conn {
	c := &h2conn{pool: q, conn: conn, since: q.pools.loop.Now()}
	o := q.service.Options()
	c.session = h2.NewClient(&h2.Config{
		MaxStreams:   maxStreams,
		StreamWindow: h2Window,
		ConnWindow:   maxStreams * h2Window,
		MaxHeadBytes: o.HeadLimits.HeadBytes,
		MaxFields:    o.HeadLimits.Fields,
		MaxQueued:    maxStreams * h2Queue,
		Secure:       q.target.Protocol == ProtocolTLS,
	}, c, c, c.now())
	c.deliver = c.session.Deliver
	c.timer.Fire = c.look
	c.idle()
	conn.SetSink(c)
	return c
}

func (c *h2conn) now() time.Duration { return time.Duration(c.pool.pools.loop.Now()) }

// room is the sharedConn's.
func (c *h2conn) room(s Shape) int {
	switch {
	case c.state >= h2Leaving:
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
		c.pool.counts.Resting.Add(-1)
		c.lookWithin(quietTime)
	}
	if a.shape == ShapeUpgrade && !c.settled {
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
	if c.carried == 0 {
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
	c.pool.unshare(c)
}

// end gives a stream back to the session.
func (c *h2conn) end(t *h2.Stream) {
	t.Release()
	c.served++
	c.gaveBack()
}

// gaveBack follows the end of an attempt: there is room for who waits.
func (c *h2conn) gaveBack() {
	c.carried--
	switch {
	case c.state == h2Busy && c.pool.queue.first != nil:
		c.pool.fill(c)
	case c.state == h2Leaving && c.carried == 0:
		c.close()
	}
	if c.state == h2Busy && c.carried == 0 {
		c.rest()
	}
}

// rest makes the connection idle. One of several gives up its place for requests that wait on other loops.
func (c *h2conn) rest() {
	c.idle()
	if q := c.pool; len(q.shared) > 1 && q.waitingElsewhere() != nil {
		c.retire()
	}
}

func (c *h2conn) idle() {
	c.state, c.since, c.pinged = h2Idle, c.pool.pools.loop.Now(), 0
	c.pool.counts.Resting.Add(1)
	c.lookWithin(c.pool.service.Options().IdleTimeout)
}

// lookWithin makes the timer fire in d, if it does not before.
func (c *h2conn) lookWithin(d time.Duration) {
	if loop := c.pool.pools.loop; !c.timer.Armed() || c.timer.Deadline() > loop.Now().Add(d) {
		loop.Arm(&c.timer, d)
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

// look is the timer's: it is time to see whether the connection was idle for too long, or is dead.
func (c *h2conn) look() {
	now, loop := c.pool.pools.loop.Now(), c.pool.pools.loop
	if c.state == h2Idle {
		if left := c.pool.service.Options().IdleTimeout - now.Sub(c.since); left > 0 {
			loop.Arm(&c.timer, left)
		} else {
			c.retire()
		}
		return
	}
	if c.pinged != 0 {
		c.fail(errSilent)
		c.conn.Abort()
		c.pool.closed()
		return
	}
	wait := quietTime
	if c.pings >= freePings {
		wait = patientPings
	}
	if quiet := now.Sub(max(c.heard, c.since)); quiet < wait {
		loop.Arm(&c.timer, wait-quiet)
		return
	}
	c.pings++
	c.pinged = now
	c.session.Ping(uint64(c.pings))
	loop.Arm(&c.timer, pingTime)
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
	c.offer()
}

// OnDrained is the Sink's.
func (c *h2conn) OnDrained() {
	c.session.Flush()
	c.offer()
}

// offer gives those who wait the room that there is: a stream may end behind its attempt, when the rest of a request has
// left that was answered early.
func (c *h2conn) offer() {
	if c.state <= h2Busy && c.pool.queue.first != nil {
		c.pool.fill(c)
	}
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
		if found == spokenH2Plain && q.target.Protocol == ProtocolH2C {
			a.fail(errNoTunnel)
		} else {
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
	if c.state == h2Leaving && c.carried == 0 {
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
