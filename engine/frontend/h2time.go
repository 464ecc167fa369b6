package frontend

import (
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

// The end of an HTTP/2 connection has two steps (RFC 9113 section 6.8): the client is told to send no more, and what it
// sent before it knew is served; when it has answered a PING, or after leaveTime, it is told which of its requests was
// the last.
const (
	leaveTime = time.Second
	leavePing = 0x6c65617665 // what the PING carries
)

var errNoRequest = &codec.Error{Side: codec.Client, Kind: codec.KindTimeout,
	Cause: errText("a field section did not arrive in time")}

// leave has the client send its next requests elsewhere.
func (c *H2) leave() {
	if c.stage != h2Serving {
		return
	}
	c.stage = h2Leaving
	c.finishAt = c.entry.Local.Loop.Now().Add(leaveTime)
	c.session.Shutdown()
	c.session.Ping(leavePing)
	c.lookWithin(leaveTime)
}

// finish takes no more requests. The connection ends when no stream is left.
func (c *H2) finish() {
	c.stage = h2Finishing
	c.session.Finish()
}

// rest is called when something may have ended: the connection is idle, or ends, when nothing is left.
func (c *H2) rest() {
	busy := c.busy()
	switch {
	case c.stage == h2Finishing && !busy:
		c.close(true)
	case c.part == partFresh && !busy: // readExpired sees to it soon enough
	case busy || c.expecting != 0:
		if busy {
			c.idleSince = c.entry.Local.Loop.Now()
		}
		if c.part != partActive {
			c.entry.Conns.enter(&c.connection, partActive)
			c.lookWithin(c.entry.Settings.checkEvery())
		}
	case c.part == partActive:
		c.entry.Conns.enter(&c.connection, partIdle)
	}
}

// busy reports whether an exchange runs, or a response is still being sent.
func (c *H2) busy() bool { return c.running > 0 || c.session.Streams() > 0 }

// lookWithin makes readExpired be called within d. It costs next to nothing when it is to be anyway, so that requests
// that come one by one need not move the timer.
func (c *H2) lookWithin(d time.Duration) {
	loop := c.entry.Local.Loop
	if !c.readTimer.Armed() || c.readTimer.Deadline() > loop.Now().Add(d) {
		loop.Arm(&c.readTimer, d)
	}
}

// noteExpecting notes since when a field section is incomplete. Another request in between was progress.
func (c *H2) noteExpecting() {
	switch {
	case !c.session.Expecting():
		c.expecting = 0
	case c.expecting == 0 || c.seen != c.session.Requests():
		c.expecting, c.seen = c.entry.Local.Loop.Now(), c.session.Requests()
	}
}

// readExpired is the speaker's: it looks at every deadline of the connection and its streams but that of writing.
func (c *H2) readExpired() {
	loop, s := c.entry.Local.Loop, c.entry.Settings
	now := loop.Now()
	if c.stage == h2Leaving && now >= c.finishAt {
		c.finish()
		c.rest()
		if c.stage == h2Closed {
			return
		}
	}
	if c.expecting != 0 && now.Sub(c.begunExpecting()) >= s.HeaderTimeout {
		c.end(errNoRequest)
		return
	}
	if c.part == partFresh && !c.entry.ending() {
		c.entry.Conns.enter(&c.connection, partIdle)
		c.rest()
	}
	if c.part == partActive {
		c.session.Tick(c.now())
		c.checkStreams(now)
		c.rest()
		switch {
		case c.stage == h2Closed:
			return
		case c.busy() || now < c.idleDue().Add(s.HeaderTimeout): // a head that began in time may become whole
			c.lookWithin(s.checkEvery())
			return
		}
	}
	c.checkIdle(now)
}

// begunExpecting is when the header timeout began: the first request is awaited since the connection was accepted.
func (c *H2) begunExpecting() reactor.Instant {
	if c.session.Requests() == 0 {
		return c.accepted
	}
	return c.expecting
}

// idleDue is when a connection on which nothing runs ends.
func (c *H2) idleDue() reactor.Instant {
	s := c.entry.Settings
	if c.session.Requests() == 0 {
		return c.accepted.Add(s.HeaderTimeout)
	}
	return c.idleSince.Add(s.IdleTimeout)
}

// checkIdle ends a connection on which nothing runs when its time has come.
func (c *H2) checkIdle(now reactor.Instant) {
	loop, s, due := c.entry.Local.Loop, c.entry.Settings, c.idleDue()
	switch {
	case c.stage != h2Serving: // it ends with the next step
		loop.Arm(&c.readTimer, max(c.finishAt.Sub(now), 0))
	case c.entry.ending():
		c.leave()
	case now < due:
		loop.Arm(&c.readTimer, due.Sub(now))
	case c.conn.Queued() > 0: // not idle: it still reads the last response, or does not
		c.watchWriting()
		loop.Arm(&c.readTimer, s.IdleTimeout)
	default:
		c.finish()
		c.close(true)
	}
}

// checkStreams looks whether request content still comes, and fast enough, and whether anything passes through tunnels.
func (c *H2) checkStreams(now reactor.Instant) {
	choked := c.session.Choked()
	for t := c.streams; t != nil; {
		next := t.after
		t.check(now, choked)
		t = next
	}
}

// now is the session's clock.
func (c *H2) now() time.Duration { return time.Duration(c.entry.Local.Loop.Now()) }

// shed is the speaker's.
func (c *H2) shed() {
	c.session.Finish()
	c.close(false)
}

// drain is the speaker's.
func (c *H2) drain() { c.leave() }

// endExchanges is the speaker's.
func (c *H2) endExchanges(old func(*exchange.Env) bool) (ended int) {
	for t := c.streams; t != nil; t = t.after {
		if old(t.x.Env()) {
			t.end()
			ended++
		}
	}
	return ended
}

// endTunnels is the speaker's.
func (c *H2) endTunnels() {
	for t := c.streams; t != nil; t = t.after {
		if t.phase == streamTunnel {
			t.x.EndTunnel(errTunnelEnded)
		}
	}
}
