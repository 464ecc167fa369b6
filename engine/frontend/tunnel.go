package frontend

import (
	"traffic_management/codec"
	"traffic_management/codec/h1"
)

// A tunnel begins when the server's 101 passes through Head. From then on the connection is another protocol's: what
// the client sends is the request's content, as it comes, and what the server sends is the response's.

// Why a tunnel ends that neither side ended.
var (
	errTunnelIdle = &codec.Error{Side: codec.Client, Kind: codec.KindTimeout,
		Cause: errText("nothing passed through the tunnel for too long")}
	errTunnelEnded = &codec.Error{Side: codec.Internal, Kind: codec.KindCancelled,
		Cause: errText("tunnels were given no more time")}
)

// Tunnels is how many tunnels there are.
func (s *Connections) Tunnels() int { return s.tunnels }

// EndTunnels ends every tunnel. Both sides of each still get what is queued for them, then the end.
func (s *Connections) EndTunnels() {
	if s.tunnels > 0 {
		s.each(func(c *connection) { c.speaker.endTunnels() })
	}
}

// openTunnel passes 101 on and lets the client's bytes through, which were held until now: before it they could have
// been anything (RFC 6455 section 4.1 makes the client wait for it).
func (c *H1) openTunnel(h *codec.Head) {
	e := c.entry
	e.Conns.out = h1.AppendResponseHead(e.Conns.out[:0], h, codec.NoContent, codec.OptUpgrade)
	c.write(e.Conns.out)
	c.phase = phaseTunnel
	e.Conns.enter(&c.connection, partTunnel)
	e.Conns.tunnels++
	c.meter.TunnelOpened()
	c.framing, c.persist = codec.ByClose, codec.OptClose
	c.clock.start(e.Local.Loop.Now())
	e.Local.Loop.Arm(&c.readTimer, e.Settings.TunnelIdle)
	if c.paused {
		c.paused = false
		c.conn.Hold(false)
	}
}

// readTunnel passes on what the client sends. It reports whether there may be more to do.
func (c *H1) readTunnel() bool {
	x := c.x
	if !x.AcceptsContent() || !x.WantsContent() {
		return false
	}
	in := c.conn.In()
	if len(in) == 0 {
		if c.conn.EOF() {
			c.phase = phaseTunnelEnded
			x.RequestData(nil, true)
		}
		return false
	}
	c.clock.last = c.entry.Local.Loop.Now()
	x.BytesIn += uint64(len(in))
	x.RequestData(in, false)
	if c.phase != phaseClosed {
		c.conn.Consume(len(in))
	}
	return true
}

// writeTunnel passes on what the server sends; end closes our direction behind it.
func (c *H1) writeTunnel(p []byte, end bool) {
	if c.phase == phaseClosed {
		return
	}
	if len(p) > 0 {
		c.clock.last = c.entry.Local.Loop.Now()
		c.write(p)
		c.watchWriting()
	}
	if end {
		c.conn.CloseWrite()
	}
}

// checkTunnel ends a tunnel through which nothing passed for the time allowed.
func (c *H1) checkTunnel() {
	loop, limit := c.entry.Local.Loop, c.entry.Settings.TunnelIdle
	if silent := loop.Now().Sub(c.clock.last); silent < limit {
		loop.Arm(&c.readTimer, limit-silent)
		return
	}
	c.x.EndTunnel(errTunnelIdle)
}
