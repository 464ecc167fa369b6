package upstream

import "golang.org/x/sys/unix"

// Hand-over between loops. A loop that lacks a connection asks one that has an idle one; a loop that frees one, or the
// place of one, while only others wait, gives it away. Either way the socket travels in a posted function.
//
// No wake-up is lost: who waits is counted before it looks for idle connections and for room, who frees either is
// counted before it looks for who waits, so that one of them sees the other. News of room go on from loop to loop until
// somebody takes it or nobody waits.

// idleElsewhere is how many idle connections other loops have that they can give away.
func (q *pool) idleElsewhere() int {
	n := -q.counts.Idle.Load()
	for i := range q.pools.group.pools {
		n += q.target.Counts(i).Idle.Load()
	}
	return int(n)
}

// ask asks the loop with the most idle connections for one. It reports whether an answer will come.
func (q *pool) ask() bool {
	self, best, most := q.pools.loop.Index(), -1, int64(0)
	for i := range q.pools.group.pools {
		if n := q.target.Counts(i).Idle.Load(); i != self && n > most {
			best, most = i, n
		}
	}
	if best < 0 {
		return false
	}
	other := q.pools.group.pools[best]
	return other.loop.Post(func() { q.pools.post(q, other.takeSocket(q.service, q.target)) })
}

// takeSocket gives an idle connection's socket away, -1 when there is none any more.
func (p *Pools) takeSocket(s *Service, t *Target) int {
	if q := p.local(s).pool(t); q != nil {
		return q.takeIdle()
	}
	return -1
}

// takeIdle takes the socket out of the connection used last, -1 when there is none. One that cannot be moved is
// closed, so that there is room for another.
func (q *pool) takeIdle() int {
	for len(q.idle) > 0 {
		c := q.pop()
		if fd, ok := c.conn.Detach(); ok {
			c.state = connClosed
			return fd
		}
		c.close()
	}
	return -1
}

func (q *pool) waitingElsewhere() *Pools {
	if q.service.Options().MaxConnections == 0 {
		return nil // nobody waits for long
	}
	all, self := q.pools.group.pools, q.pools.loop.Index()
	for i := range len(all) - 1 {
		if next := (self + 1 + i) % len(all); q.target.Counts(next).Waiting.Load() > 0 {
			return all[next]
		}
	}
	return nil
}

// ownTurns is how many connections that were freed a loop keeps for requests that wait on it, before one goes to the
// next loop where some wait, too: else they would wait until this one's queue is empty.
const ownTurns = 4

// turnElsewhere returns the loop whose turn it is to have what was freed while requests wait here, nil when it is ours.
func (q *pool) turnElsewhere() *Pools {
	if q.turns++; q.turns <= ownTurns {
		return nil
	}
	q.turns = 0
	return q.waitingElsewhere()
}

// yield gives an open connection away although requests wait here, when it is another loop's turn. Of one that cannot be
// moved, since its TLS session belongs to the loop, it gives the place.
func (q *pool) yield(c *h1conn) bool {
	other := q.turnElsewhere()
	if other == nil {
		return false
	}
	if fd, ok := c.conn.Detach(); ok {
		c.state = connClosed
		other.post(q, fd)
		return true
	}
	if c.conn.TLS() == nil || !other.loop.Post(func() { other.receivePlace(q) }) {
		return false
	}
	c.state = connClosed
	c.conn.Close(false)
	q.meter.Closed()
	return true
}

// yieldPlace gives the place of a closed connection away, as yield does. It stays reserved on its way, so that no
// request that comes meanwhile takes it.
func (q *pool) yieldPlace() bool {
	other := q.turnElsewhere()
	return other != nil && other.loop.Post(func() { other.receivePlace(q) })
}

// receivePlace runs on p's loop.
func (p *Pools) receivePlace(from *pool) {
	q := p.local(from.service).pool(from.target)
	if q != nil && q.queue.first != nil {
		q.turns = 0
		q.dial(q.dequeue())
		return
	}
	from.target.release()
	from.pools.post(from, -1) // nobody waits here any more
}

// post brings a socket, or with -1 the news that there is room for one, to p's pool of the same server as from's.
// Any goroutine that runs a loop may call it.
func (p *Pools) post(from *pool, fd int) {
	answer := p == from.pools
	if !p.loop.Post(func() { p.receive(from, fd, answer) }) && fd >= 0 {
		_ = unix.Close(fd)
		from.target.release()
	}
}

// deaf is the Sink of a connection that is closed at once.
type deaf struct{}

func (deaf) OnData()        {}
func (deaf) OnDrained()     {}
func (deaf) OnClosed(error) {}

// receive runs on p's loop. answer says that p had asked.
func (p *Pools) receive(from *pool, fd int, answer bool) {
	q := from
	if !answer {
		l := p.local(from.service)
		if q = l.pool(from.target); q == nil { // the server left meanwhile
			if fd >= 0 {
				p.loop.Attach(fd, deaf{}).Abort()
				from.target.release()
				l.meter.Closed()
			}
			return
		}
	}
	if fd >= 0 {
		c := &h1conn{pool: q, state: connBusy, served: 1}
		c.conn = p.loop.Attach(fd, c)
		c.conn.Portion(c.portion)
		q.turns = 0
		q.put(c)
	}
	q.serve()
	if fd >= 0 {
		return
	}
	q.passOn()
	if answer && q.queue.n > 0 {
		q.ask() // the loop that was asked has none left, another may
	}
}
