package upstream

import (
	"traffic_management/engine/reactor"
)

// opening is a connection that is being opened, and the attempts that wait for it. It belongs to its loop, and is the
// Sink until the connection is open.
type opening struct {
	// Immutable:
	pool  *pool
	conn  reactor.Conn
	since reactor.Instant
	limit int // how many attempts may wait for it

	// Owned by the loop:
	waiting line
	over    bool // it opened, failed or was given up
}

// dial opens a connection for a; its place under MaxConnections is reserved.
func (q *pool) dial(a *Attempt) {
	o := &opening{pool: q, since: q.pools.loop.Now(), limit: 1}
	o.conn = q.pools.loop.Dial(q.target.Addr, o)
	q.meter.Opened()
	if o.limit > 1 {
		q.openings = append(q.openings, o)
	}
	o.join(a)
}

// awaitable returns a connection being opened that one more attempt of this shape may wait for, nil when there is none.
func (q *pool) awaitable(s Shape) *opening {
	limit := q.service.Options().ConnectTimeout
	for _, o := range q.openings {
		if o.waiting.n < o.limit && (limit <= 0 || q.pools.loop.Now().Sub(o.since) < limit) {
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
	if o.waiting.n == 0 && !o.over {
		o.end()
		o.conn.Abort()
		o.pool.closed()
	}
}

// end takes it out of the pool.
func (o *opening) end() {
	o.over = true
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
	o.end()
	c := &h1conn{pool: o.pool, conn: o.conn}
	o.conn.SetSink(c)
	c.carry(o.opened())
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
