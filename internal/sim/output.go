package sim

import "traffic_management/codec"

// gatherLimit is how much output waits for the end of the turn; more leaves at once.
const gatherLimit = 16 << 10

// outputState is whether the kernel takes output.
type outputState uint8

const (
	outputOpening outputState = iota // the connection is being opened
	outputReady                      // it does; what is in out was only gathered
	outputBlocked                    // it refused some; word comes when it takes more
)

func (o outputState) String() string { return [...]string{"opening", "ready", "blocked"}[o] }

// level says which mark the queue passed last.
type level uint8

const (
	levelLow  level = iota // never above the high mark since it was at the low one
	levelHigh              // passed the high mark: OnDrained is owed
)

func (v level) String() string { return [...]string{"low", "high"}[v] }

func (c *conn) Write(p []byte) { c.Writev([][]byte{p}) }

func (c *conn) Writev(bufs [][]byte) {
	if c.phase != phaseOpen {
		for _, b := range bufs {
			c.lost += len(b)
		}
		return
	}
	for _, b := range bufs {
		c.out = append(c.out, b...)
	}
	switch {
	case len(c.out) == 0:
	case c.output != outputReady:
		c.raise()
	case len(c.out) < gatherLimit:
		c.flushLater()
	default:
		c.push()
	}
}

func (c *conn) Queued() int {
	if c.output == outputReady {
		return 0
	}
	return len(c.out)
}

func (c *conn) Unsent() int { return len(c.out) + c.lost }

// push hands the queue to the kernel.
func (c *conn) push() {
	if c.out = c.out[c.socket.write(c.out):]; len(c.out) > 0 {
		c.output = outputBlocked
	}
	c.raise()
}

// raise notes that the queue grew.
func (c *conn) raise() {
	if c.Queued() > codec.HighMark {
		c.level = levelHigh
	}
}

// flushLater makes the loop send what was gathered at the end of the turn.
func (c *conn) flushLater() {
	if c.marks&markFlush == 0 {
		c.marks |= markFlush
		c.loop.flushes = append(c.loop.flushes, c)
	}
}

// flush sends what was gathered in the turn.
func (c *conn) flush() {
	c.marks &^= markFlush
	if c.phase == phaseGone || c.output != outputReady {
		return
	}
	c.push()
	c.sent()
}

// unblock goes on sending: the kernel takes output again.
func (c *conn) unblock() {
	if c.phase == phaseGone || c.output != outputBlocked {
		return
	}
	c.output = outputReady
	c.push()
	if c.level == levelHigh && len(c.out) <= codec.LowMark {
		c.level = levelLow
		if c.phase.hears() && c.sink != nil {
			c.sink.OnDrained()
		}
	}
	c.sent()
}

// opened says that the socket of a dialled connection is open.
func (c *conn) opened() {
	if c.tls == tlsNone {
		c.announce()
		return
	}
	c.tls = tlsHandshaking
	c.loop.schedule(c.loop.now.Add(c.loop.delay()), func() {
		if c.phase == phaseGone {
			return
		}
		if err := c.shake(); err != nil {
			c.fail(err)
			return
		}
		c.announce()
	})
}

// announce says that a dialled connection is open. What was written before leaves at the end of the turn.
func (c *conn) announce() {
	c.output, c.level = outputReady, levelLow
	if len(c.out) > 0 {
		c.flushLater()
	}
	if c.phase.hears() && c.sink != nil {
		c.sink.OnDrained()
	}
	c.sent()
	c.visitLater()
}

// sent takes the steps that waited for the queue to be empty.
func (c *conn) sent() {
	switch c.phase {
	case phaseShutting:
		if len(c.out) == 0 && c.output == outputReady {
			c.phase = phaseShut
			c.socket.end()
		}
	case phaseLeaving, phaseLeavingLinger:
		c.leave()
	}
}
