package sim

import (
	"slices"

	"traffic_management/engine/reactor"
	"traffic_management/internal/invariant"
)

func (c *conn) CloseWrite() {
	if c.phase == phaseOpen {
		c.phase = phaseShutting
		c.sent()
	}
}

func (c *conn) Close(linger bool) {
	c.sink = nil // also when OnClosed is on its way
	if !c.phase.hears() {
		return
	}
	c.holds = 0
	c.phase = phaseLeaving
	if linger && c.ended == inputOpen {
		c.phase = phaseLeavingLinger
	}
	if c.output == outputOpening && (len(c.out) == 0 || c.tls != tlsNone) {
		c.drop()
		return
	}
	c.leave()
}

func (c *conn) Abort() {
	c.sink = nil
	if c.phase != phaseGone {
		k := c.socket
		c.forget()
		k.reset()
	}
}

// leave goes on with a gentle close: at once when nothing is queued, else when it was sent or time is up.
func (c *conn) leave() {
	switch {
	case len(c.out) > 0 && c.output == outputReady:
		c.flushLater()
	case len(c.out) > 0 || c.output == outputOpening:
		if !c.timer.Armed() {
			c.limit()
		}
	case c.phase == phaseLeavingLinger:
		c.socket.end()
		c.phase = phaseLingering
		c.loop.Arm(&c.timer, reactor.LingerTime)
		c.visitLater() // what has arrived is not announced again
	default:
		c.drop()
	}
}

// limit gives a gentle close WriteOutTime to send some of what is queued.
func (c *conn) limit() {
	c.queued = len(c.out)
	c.loop.Arm(&c.timer, reactor.WriteOutTime)
}

// expire ends a gentle close that got nowhere for too long.
func (c *conn) expire() {
	switch {
	case c.phase == phaseLingering:
		c.drop()
	case len(c.out) < c.queued:
		c.limit()
	default:
		c.Abort()
	}
}

// dropInput reads a lingering connection as far as the peer's end.
func (c *conn) dropInput() {
	c.socket.take(len(c.socket.arrived))
	if c.socket.input == inputEnded {
		c.drop()
	}
}

// drop closes the socket; what is queued is lost.
func (c *conn) drop() {
	if c.phase != phaseGone {
		k := c.socket
		c.forget()
		k.close()
	}
}

// fail ends the connection and tells the sink why, after the event being handled.
func (c *conn) fail(err error) {
	if c.phase == phaseGone {
		return
	}
	if c.tls == tlsHandshaking {
		err = handshakeError(reactor.HandshakeClosed, err)
	}
	sink := c.sink
	c.drop()
	c.sink = sink
	c.loop.Defer(func() {
		if sink := c.sink; sink != nil {
			c.sink = nil
			sink.OnClosed(err)
		}
	})
}

// forget makes the connection one that is gone; its socket is left as it is.
func (c *conn) forget() {
	c.loop.Stop(&c.timer)
	c.loop.conns = slices.DeleteFunc(c.loop.conns, func(other *conn) bool { return other == c })
	c.lost += len(c.out)
	c.phase, c.sink, c.in, c.out = phaseGone, nil, nil, nil
	if invariant.Enabled {
		lent := c.lent // the call that closes the connection may look at it until it returns
		c.loop.Defer(func() { invariant.Poison(lent) })
	}
}
