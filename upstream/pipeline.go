package upstream

import (
	"time"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
)

// Multiplex is whether requests share connections to HTTP/1.1 servers.
type Multiplex uint8

// Ways of sharing.
const (
	MultiplexOff      Multiplex = iota // a connection carries one request at a time
	MultiplexPipeline                  // requests of ShapeBare follow one another before they are answered
)

func (m Multiplex) String() string { return [...]string{"off", "pipeline"}[m] }

const (
	// stallTime, and twice the time of opening a connection, is how long one response may keep others waiting.
	stallTime = 20 * time.Millisecond
	// longestTrip bounds what a slow dial adds to that: the network may just have lost a packet.
	longestTrip = 100 * time.Millisecond
	// bulk is how much content nobody is made to wait for.
	bulk = 1 << 20
	// proven is how many responses a connection must have carried before its end is no sign that the server cannot
	// have requests follow one another.
	proven = 8
)

// pipeline has an HTTP/1.1 connection carry the requests of many clients: each is sent at once, and responses come in
// the order of the requests (RFC 9112 section 9.3.2). What it saves is system calls: the requests of a turn leave in one
// write, and the responses that came by the next turn are read in one.
//
//	acquire ──take──▶ placed ──Stream.Head──▶ behind ──advance──▶ h1conn.attempt ──h1conn reads its response──▶ finished
//	                     │                       │
//	                     └───────scatter─────────┴──▶ acquire of a connection to itself, and Receiver.Ready again
//
// The h1conn does not know of more than the one request whose response is next. A connection is a pipeline only while
// it carries something, and an idle connection of its pool between times.
//
// Requests that wait behind others go elsewhere, each to a connection of its own and once at most, when the connection
// ends, when the response before them takes too long, whether its server or its client is slow, or when it has much
// content. All of them are safe, so that a server may see one twice.
//
// Responses are told apart by their order alone. So whatever leaves a doubt of where one ends closes the connection
// behind it, and requests whose response may be framed by what the server thinks of the request, not by what the
// response says, are not of ShapeBare: HEAD, and conditional ones, whose answer may be 304.
//
// It belongs to its loop.
type pipeline struct {
	conn *h1conn // nil in the free list

	placed line            // have a place and have sent nothing: until their Ready
	behind line            // sent, in this order, behind that of conn.attempt
	size   int             // bytes of the request of conn.attempt
	turn   reactor.Instant // in which that was sent
	since  reactor.Instant // when its response became the next
	before past            // of the response that came before
	timer  reactor.Timer   // armed while requests wait behind another
}

// past is what a pipeline remembers of the last whole response.
type past struct {
	at   reactor.Instant // when it was
	turn reactor.Instant // in which its request had been sent
}

// pipelines reports whether a request of this shape may share a connection at present.
func (q *pool) pipelines(s Shape) bool {
	return s == ShapeBare && q.service.Options().Multiplex == MultiplexPipeline && !q.pace.resting(q.pools.loop.Now())
}

// begin gives a an open connection that carries nothing.
func (q *pool) begin(c *h1conn, a *Attempt) {
	if !q.pipelines(a.shape) {
		c.carry(a)
		return
	}
	p := q.pipeline(c)
	p.take(a)
	q.fill(p)
}

// pipeline makes a connection that carries nothing one.
func (q *pool) pipeline(c *h1conn) *pipeline {
	free := &q.pools.pipelines
	var p *pipeline
	if n := len(*free); n > 0 {
		p, *free = (*free)[n-1], (*free)[:n-1]
	} else {
		p = &pipeline{}
		p.timer.Fire = p.check
	}
	p.conn, c.pipe, c.state, c.keep = c, p, connBusy, 0
	q.shared = append(q.shared, p)
	return p
}

// dissolve makes the connection an ordinary one again. p is free afterwards.
func (p *pipeline) dissolve() {
	q := p.conn.pool
	q.unshare(p)
	p.conn.pipe = nil
	p.conn, p.placed, p.behind, p.before = nil, line{}, line{}, past{}
	q.pools.pipelines = append(q.pools.pipelines, p)
}

// room is the sharedConn's. While one waits that needs a connection to itself there is none, nor while one does on
// another loop: this one is to come free for it.
func (p *pipeline) room(s Shape) int {
	q := p.conn.pool
	o := q.service.Options()
	if !q.pipelines(s) || p.conn.conn.Queued() > 0 {
		return 0
	}
	if o.MaxConnections > 0 && (q.queue.first != nil && q.queue.first.shape != s || q.waitingElsewhere() != nil) {
		return 0
	}
	used := p.placed.n + p.behind.n
	if p.conn.attempt != nil {
		if used++; q.pools.loop.Now().Sub(p.since) > p.patience() {
			return 0
		}
	}
	return q.pace.depth(o.PipelineDepth) - used
}

// take is the sharedConn's.
func (p *pipeline) take(a *Attempt) {
	a.pipe = p
	p.placed.push(a)
	a.bind(piped{a})
}

// idleSince is the sharedConn's: it always carries something.
func (p *pipeline) idleSince() (since reactor.Instant, ok bool) { return 0, false }

// retire is the sharedConn's. The pool closes what comes back to it then.
func (p *pipeline) retire() { p.conn.pool.unshare(p) }

// send sends a request that has a place.
func (p *pipeline) send(a *Attempt, h *codec.Head) {
	c := p.conn
	p.placed.remove(a)
	out := c.pool.appendHead(h, codec.NoContent)
	if len(out) == 0 {
		a.failLater(errUnsendable)
		p.settle()
		return
	}
	c.conn.Write(out)
	loop := c.pool.pools.loop
	c.wrote += len(out)
	a.size, a.turn, a.sent = len(out), loop.Now(), loop.Clock()
	p.behind.push(a)
	switch {
	case c.attempt == nil && c.recv == partHead:
		p.advance()
	case !p.timer.Armed():
		loop.Arm(&p.timer, p.patience())
	}
}

// advance makes the response to the first request behind the next one to come, if there is one.
func (p *pipeline) advance() {
	c := p.conn
	c.recv, c.interim, c.send = partHead, 0, partHead
	a := p.behind.pop()
	if a == nil {
		return
	}
	c.attempt, c.send, c.method = a, partWhole, codec.MethodGet
	p.size, p.turn, p.since = a.size, a.turn, c.pool.pools.loop.Now()
	for range a.holds {
		c.Hold(true)
	}
	if !a.timer.Armed() { // an orphan's ran out meanwhile
		a.awaitHead()
	}
}

// finished follows a whole response.
func (p *pipeline) finished() {
	c := p.conn
	for ; c.holds > 0; c.holds-- { // its receiver's, which has all of it now
		c.conn.Hold(false)
	}
	c.served++
	c.wrote -= p.size
	p.learn()
	switch more := len(c.conn.In()) > 0; {
	case !more && c.conn.EOF():
		p.suspect(p.behind.n > 0)
		c.close()
	case c.keep != 0, more && p.behind.n == 0:
		c.close()
	default:
		p.advance()
		p.settle()
	}
}

// learn takes the time between two responses whose requests left together for that which the server needs for one.
func (p *pipeline) learn() {
	q := p.conn.pool
	now := q.pools.loop.Now()
	if p.turn == p.before.turn {
		q.pace.observe(now.Sub(p.before.at), now)
	}
	p.before = past{now, p.turn}
}

// settle gives the connection back when it carries nothing, and what room it has to those who wait.
func (p *pipeline) settle() {
	c, q := p.conn, p.conn.pool
	switch {
	case c.attempt == nil && p.behind.n == 0 && p.placed.n == 0:
		p.dissolve()
		c.unused()
	case q.queue.first != nil:
		q.fill(p)
	}
}

// heard looks at a final response head before its receiver does.
func (p *pipeline) heard(h *codec.Head) {
	c, q := p.conn, p.conn.pool
	if h.Version == codec.HTTP10 {
		q.pace.rest(q.pools.loop.Now(), distrust)
	}
	if h.Status == 304 || h.Status == 204 && (h.Length > 0 || h.Get(codec.FieldTransferEncoding) != nil) {
		c.keep |= codec.OptClose // content may follow all the same
	}
	if c.keep != 0 {
		p.suspect(p.behind.n > 0)
		p.scatter()
	} else if h.Framing == codec.ByLength && h.Length > bulk {
		p.giveWay()
	}
}

// suspect lets a server be that ends its connections under requests which waited behind others.
func (p *pipeline) suspect(waited bool) {
	if q := p.conn.pool; waited && p.conn.served < proven {
		q.pace.rest(q.pools.loop.Now(), distrust)
	}
}

// lost follows the server's end of the connection. It reports whether a, whose response was the next, is sent elsewhere
// with those behind it: nothing of it came, as may happen to any request on a connection that was used before.
func (p *pipeline) lost(a *Attempt) bool {
	p.suspect(p.behind.n > 0 || a != nil && a.answered == 0 && p.before.at != 0)
	if a == nil || a.answered != 0 || p.conn.served == 0 {
		return false
	}
	p.behind.pushFirst(a)
	return true
}

// closed follows the end of the connection on our side.
func (p *pipeline) closed() {
	p.scatter()
	p.dissolve()
}

// scatter sends all that have no part of a response elsewhere, but for the one whose response is next.
func (p *pipeline) scatter() {
	p.conn.pool.unshare(p)
	for a := p.behind.pop(); a != nil; a = p.behind.pop() {
		a.pool.meter.Replayed()
		a.leavePipeline()
	}
	for a := p.placed.pop(); a != nil; a = p.placed.pop() {
		a.leavePipeline()
	}
}

// leavePipeline finds the attempt a connection to itself.
func (a *Attempt) leavePipeline() {
	a.pipe, a.conn, a.shape, a.holds = nil, nil, ShapeAny, 0
	switch {
	case a.orphaned():
		a.end(nil)
		a.Release()
	case a.pool.retired:
		a.failLater(errServerLeft)
	default:
		a.pool.acquire(a)
	}
}

// patience is how long one response may be the next while others wait.
func (p *pipeline) patience() time.Duration {
	return stallTime + 2*min(p.conn.pool.pace.trip, longestTrip)
}

// check runs while requests wait behind another.
func (p *pipeline) check() {
	if p.conn == nil || p.behind.n == 0 {
		return
	}
	q := p.conn.pool
	now := q.pools.loop.Now()
	if left := p.patience() - now.Sub(p.since); left > 0 {
		q.pools.loop.Arm(&p.timer, left)
		return
	}
	q.pace.observe(p.patience(), now)
	p.giveWay()
}

// giveWay has nobody wait for the present response: it is the last of its connection, unless there are no others to be
// had.
func (p *pipeline) giveWay() {
	c, q := p.conn, p.conn.pool
	q.unshare(p)
	switch limit := q.service.Options().MaxConnections; {
	case p.behind.n == 0:
	case limit > 0 && len(q.idle)+limit-int(q.target.Open()) < p.behind.n:
		q.pools.loop.Arm(&p.timer, p.patience())
	default:
		c.keep |= codec.OptClose
		p.scatter()
	}
}
