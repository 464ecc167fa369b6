package upstream

import (
	"time"

	"traffic_management/engine/reactor"
)

// Times of connections of HTTP/2.
const (
	// quietTime is how long a connection that carries attempts may be silent before its server is asked for a sign of
	// life. Packets that vanish without a reset would otherwise cost every request on it its whole time.
	quietTime = 10 * time.Second
	// pingTime is how long the sign may take: more than any round trip and a pause of the server's.
	pingTime = 5 * time.Second
	// Servers of gRPC take pings for abuse that come more often than every 5 minutes while they send nothing, but for
	// the first few (gRPC proposal A8): then they close the connection.
	freePings    = 2
	patientPings = 5*time.Minute + 10*time.Second
	// lookTime is how often a connection is looked at that sends, or waits for, what no attempt waits for any more.
	lookTime = time.Second
)

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
	c.session.Tick(c.now())
	c.settle()
	if c.state != h2Busy && c.state != h2Leaving {
		return
	}
	wait, e := c.signs(now), errSilent
	if left := c.stall(now); left < wait {
		wait, e = left, errUntaken
	}
	if wait <= 0 {
		c.fail(e)
		c.conn.Abort()
		c.pool.closed()
		return
	}
	if c.session.Streams() > c.carried-c.undecided.n {
		wait = min(wait, lookTime)
	}
	loop.Arm(&c.timer, wait)
}

// signs asks a server that is silent for a sign of life. It returns when to look again; 0: the server has given none.
func (c *h2conn) signs(now reactor.Instant) time.Duration {
	if c.pinged != 0 {
		return max(0, pingTime-now.Sub(c.pinged))
	}
	wait := quietTime
	if c.pings >= freePings {
		wait = patientPings
	}
	if quiet := now.Sub(max(c.heard, c.since)); quiet < wait {
		return wait - quiet
	}
	c.pings++
	c.pinged = now
	c.session.Ping(uint64(c.pings))
	return pingTime
}

// stall watches that the server takes what it is sent, whatever it sends itself. It returns when to look again; 0: it has
// taken nothing for too long.
func (c *h2conn) stall(now reactor.Instant) time.Duration {
	left := c.wrote - c.conn.Unsent()
	if left != c.left || c.conn.Queued() == 0 {
		c.left, c.moved = left, now
	}
	return max(0, reactor.WriteOutTime-now.Sub(c.moved))
}
