package upstream

import (
	"math/rand/v2"
	"slices"

	"traffic_management/codec"
	"traffic_management/codec/h1"
	"traffic_management/engine/reactor"
)

// Meter counts what happens to the connections of one service on one loop. Called on that loop.
type Meter interface {
	Opened()                // a connection was dialled
	Reused()                // a request got a connection that had carried another
	Replayed()              // a request was sent again: the connection that it shared ended, or a response before it was slow
	Closed()                // an opened connection closed
	Failed(kind codec.Kind) // an attempt failed
}

// Group is the Pools of all loops, by the loops' indexes, through which they hand each other idle connections.
type Group struct{ pools []*Pools }

// NewGroup makes room for the pools of this many loops.
func NewGroup(loops int) *Group { return &Group{pools: make([]*Pools, loops)} }

// Pools is one loop's connections to all servers. It belongs to its loop.
type Pools struct {
	// Immutable:
	loop     reactor.Loop
	group    *Group
	newMeter func(*Service) Meter
	seed     uint64 // the same on all loops

	// Owned by the loop:
	services  []*local // by Service.slot
	attempts  []*Attempt
	pipelines []*pipeline // that carry nothing
	rnd       *rand.PCG
	head      codec.Head // the response head being read
	framer    h1.Framer
	out       []byte // a request head being written
	closing   bool
}

// NewPools makes the pools of one loop and enters them in the group, before any loop of the group runs.
func NewPools(loop reactor.Loop, g *Group, seed uint64, meter func(*Service) Meter) *Pools {
	p := &Pools{loop: loop, group: g, newMeter: meter, seed: seed, rnd: rand.NewPCG(seed, uint64(loop.Index())),
		out: make([]byte, 0, 4096)}
	g.pools[loop.Index()] = p
	return p
}

// Close closes idle connections, and from now on every connection when it has finished what it carries.
func (p *Pools) Close() {
	p.closing = true
	for _, l := range p.services {
		if l == nil {
			continue
		}
		for _, q := range l.pools {
			q.closeIdle()
		}
	}
}

// ShedIdle closes the connection that has been idle for longest, whatever its server. It reports whether there was one.
func (p *Pools) ShedIdle() bool {
	var oldest func()
	var since reactor.Instant
	for _, l := range p.services {
		if l == nil {
			continue
		}
		for _, q := range l.pools {
			if len(q.idle) > 0 && (oldest == nil || q.idle[0].since < since) {
				oldest, since = q.shed, q.idle[0].since
			}
			for _, c := range q.shared {
				if at, ok := c.idleSince(); ok && (oldest == nil || at < since) {
					oldest, since = c.retire, at
				}
			}
		}
	}
	if oldest == nil {
		return false
	}
	oldest()
	return true
}

// shed closes the connection that has been idle for longest; there is one.
func (q *pool) shed() {
	c := q.idle[0]
	q.drop(c)
	c.state = connBusy // no longer in the pool
	c.close()
}

func (p *Pools) newAttempt() *Attempt {
	if n := len(p.attempts); n > 0 {
		a := p.attempts[n-1]
		p.attempts = p.attempts[:n-1]
		return a
	}
	a := &Attempt{pools: p}
	a.later = a.deferred
	a.timer.Fire = a.expired
	return a
}

func (p *Pools) freeAttempt(a *Attempt) {
	a.service, a.receiver, a.taker, a.pool, a.conn, a.awaits, a.err, a.next = nil, nil, nil, nil, nil, nil, nil, nil
	a.state, a.released, a.pipe, a.holds, a.asked = AttemptFree, false, nil, 0, 0
	a.sent, a.answered, a.queued, a.connecting, a.status = 0, 0, 0, 0, 0
	p.attempts = append(p.attempts, a)
}

// local returns this loop's part of a service, brought up to its present settings and servers.
func (p *Pools) local(s *Service) *local {
	for len(p.services) <= s.slot {
		p.services = append(p.services, nil)
	}
	l := p.services[s.slot]
	if l == nil {
		l = &local{service: s, meter: p.newMeter(s)}
		p.services[s.slot] = l
	}
	if u := s.setup.Load(); l.setup != u {
		l.adopt(p, u)
	}
	return l
}

// maxQueue bounds the requests that wait for a connection to one server on one loop.
const maxQueue = 1024

// pool is one loop's connections to one server.
type pool struct {
	// Immutable:
	pools   *Pools
	service *Service
	target  *Target
	counts  *Counts // this loop's share of target's counts
	meter   Meter
	host    []byte // the Host field when the client's is not passed

	// Owned by the loop:
	idle     []*h1conn     // the longest idle first
	shared   []sharedConn  // open, and take requests
	leaving  int           // open connections of HTTP/2 that take no more
	openings []*opening    // those that more than one attempt may wait for
	tls      clientConfigs // with ProtocolTLS
	queue    line          // waits for a connection
	pace     pace          // with MultiplexPipeline
	puts     uint8         // connections that became idle, modulo 256
	turns    int           // connections freed and kept since another loop had one (ownTurns)
	latency  *latency      // nil unless the strategy is PeakEWMA
	expiry   reactor.Timer // armed while there are idle connections
	retired  bool          // the server left the service
}

func newPool(p *Pools, l *local, t *Target) *pool {
	q := &pool{pools: p, service: l.service, target: t, counts: t.Counts(p.loop.Index()), meter: l.meter,
		host: []byte(t.Host)}
	q.expiry.Fire = q.expire
	return q
}

// acquire finds a connection for a: one that others use, an idle one, one of another loop, one being opened, a new one,
// or a place in the queue.
func (q *pool) acquire(a *Attempt) {
	if c := q.withRoom(a.shape); c != nil {
		q.meter.Reused()
		c.take(a)
		return
	}
	if len(q.idle) > 0 {
		q.meter.Reused()
		q.begin(q.pop(), a)
		return
	}
	switch {
	case q.retired: // since the attempt chose it
		a.failLater(errServerLeft)
		return
	case q.untunnelled(a.shape):
		a.failLater(errNoTunnel)
		return
	}
	if o := q.awaitable(a.shape); o != nil {
		o.join(a)
		return
	}
	if q.target.Protocol == ProtocolH1 && q.idleElsewhere() > 2*len(q.pools.group.pools) && q.ask() {
		q.enqueue(a)
		return
	}
	if !q.reserve(a.shape) {
		if q.queue.n >= maxQueue {
			a.failLater(errQueueFull)
			return
		}
		q.enqueue(a)
		q.ask()
		q.serve() // room made between the look for it and the entry in the queue would be seen by nobody
		return
	}
	q.dial(a)
}

// withRoom returns a shared connection that takes a request of this shape, nil when there is none. It goes on filling
// the first of them, so that the others may end.
func (q *pool) withRoom(s Shape) sharedConn {
	for _, c := range q.shared {
		if c.room(s) > 0 {
			return c
		}
	}
	return nil
}

// unshare takes out a shared connection that takes no more requests.
func (q *pool) unshare(c sharedConn) {
	if i := slices.Index(q.shared, c); i >= 0 {
		q.shared = slices.Delete(q.shared, i, i+1)
	}
}

// fill gives those who wait what room a shared connection has, past those who need another.
func (q *pool) fill(c sharedConn) {
	for a := q.queue.first; a != nil; {
		next := a.next
		if c.room(a.shape) > 0 {
			q.meter.Reused()
			q.unqueue(a)
			q.pools.loop.Stop(&a.timer)
			c.take(a)
		}
		a = next
	}
}

// put takes back a connection that has nothing left to do.
func (q *pool) put(c *h1conn) {
	if q.retired || q.pools.closing {
		c.close()
		return
	}
	if q.queue.first != nil {
		if !q.yield(c) {
			q.meter.Reused()
			q.begin(c, q.dequeue())
		}
		return
	}
	c.state, c.since = connIdle, q.pools.loop.Now()
	q.idle = append(q.idle, c)
	q.counts.Idle.Add(1)
	o := q.service.Options()
	if other := q.waitingElsewhere(); other != nil {
		if fd := q.takeIdle(); fd >= 0 {
			other.post(q, fd)
		}
	} else if q.looksForExcess() && int(q.target.Idle()) > o.MaxIdle {
		q.pop().close()
	} else if !q.expiry.Armed() {
		q.pools.loop.Arm(&q.expiry, o.IdleTimeout)
	}
}

// looksForExcess reports whether to count the idle connections of all loops, which costs a look at memory that each of
// them writes: when this loop has more than its share, and now and then.
func (q *pool) looksForExcess() bool {
	q.puts++
	return q.puts%16 == 0 || len(q.idle) > q.service.Options().MaxIdle/len(q.pools.group.pools)
}

// pop takes out the idle connection that was used last; there is one.
func (q *pool) pop() *h1conn {
	n := len(q.idle) - 1
	c := q.idle[n]
	q.idle = q.idle[:n]
	q.counts.Idle.Add(-1)
	c.state = connBusy
	return c
}

// drop removes an idle connection, which is the caller's to close if it is not closed.
func (q *pool) drop(c *h1conn) {
	for i, other := range q.idle {
		if other == c {
			q.idle = append(q.idle[:i], q.idle[i+1:]...)
			q.counts.Idle.Add(-1)
			return
		}
	}
}

// closed gives back the place of a connection that is no more, to whoever waits for one.
func (q *pool) closed() {
	q.meter.Closed()
	if q.queue.first != nil && q.yieldPlace() {
		return
	}
	q.target.release()
	q.serve()
	q.passOn()
}

// passOn tells a loop where requests wait that there may be room for a connection. While some wait here there is none.
func (q *pool) passOn() {
	if q.queue.n > 0 {
		return
	}
	if other := q.waitingElsewhere(); other != nil {
		other.post(q, -1)
	}
}

// expire closes the connections that were idle for too long.
func (q *pool) expire() {
	now, limit := q.pools.loop.Now(), q.service.Options().IdleTimeout
	n := 0
	for n < len(q.idle) && now.Sub(q.idle[n].since) >= limit {
		n++
	}
	old := q.idle[:n]
	q.counts.Idle.Add(int64(-n))
	for _, c := range old {
		c.state = connBusy // no longer in the pool
		c.close()
	}
	q.idle = append(q.idle[:0], q.idle[n:]...)
	if len(q.idle) > 0 {
		q.pools.loop.Arm(&q.expiry, q.idle[0].since.Add(limit).Sub(now))
	}
}

// closeIdle closes the connections that carry nothing, and has the shared ones that do close later.
func (q *pool) closeIdle() {
	old := q.idle
	q.idle = nil
	q.counts.Idle.Add(int64(-len(old)))
	for _, c := range old {
		c.state = connBusy
		c.close()
	}
	for _, c := range slices.Clone(q.shared) {
		c.retire()
	}
}

// retire ends a pool whose server left the service: requests that wait fail over to another server.
func (q *pool) retire() {
	q.retired = true
	q.closeIdle()
	q.pools.loop.Stop(&q.expiry)
	for q.queue.first != nil {
		a := q.dequeue()
		a.failLater(errServerLeft)
	}
}

func (q *pool) enqueue(a *Attempt) {
	a.state, a.since = AttemptQueued, q.pools.loop.Now()
	q.queue.push(a)
	q.counts.Waiting.Add(1)
	a.armWithin(max(q.service.Options().QueueTimeout, reactor.Tick))
}

func (q *pool) dequeue() *Attempt {
	a := q.queue.first
	q.unqueue(a)
	q.pools.loop.Stop(&a.timer)
	return a
}

func (q *pool) unqueue(a *Attempt) {
	if q.queue.remove(a) {
		a.queued += q.pools.loop.Now().Sub(a.since)
		q.counts.Waiting.Add(-1)
	}
}

// serve dials for those who wait as long as the server may have more connections.
func (q *pool) serve() {
	for q.queue.first != nil {
		s := q.queue.first.shape
		if o := q.awaitable(s); o != nil {
			o.join(q.dequeue())
		} else if q.reserve(s) {
			q.dial(q.dequeue())
		} else {
			return
		}
	}
}

// maxLeaving is beside how many connections that take no more requests a loop may have one that does, whatever the limit:
// a server that goes away has them as long as its responses take, and one that always does would have no limit.
const maxLeaving = 4

// reserve takes the place of a connection for a request of this shape, if there is one. A loop's first connection that
// requests share may always be opened: no other loop would ever give one away.
func (q *pool) reserve(s Shape) bool {
	limit := q.service.Options().MaxConnections
	if limit > 0 && len(q.shared)+len(q.openings) == 0 && q.leaving < maxLeaving && q.target.speaks() >= spokenH2 && !q.own(s) {
		limit = 0
	}
	return q.target.reserve(limit)
}
