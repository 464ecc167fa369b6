package frontend

import (
	"traffic_management/codec"
	"traffic_management/codec/h1"
	"traffic_management/engine/exchange"
)

// Head is the Stream's: it writes a response head with the framing that fits the client.
func (c *H1) Head(h *codec.Head, end bool) {
	if c.phase == phaseClosed {
		return
	}
	s := c.entry.Conns
	if h.Status == 101 {
		c.openTunnel(h)
		return
	}
	if h.Status < 200 {
		if c.phase == phaseContent {
			c.clock.resume(c.entry.Local.Loop.Now()) // the client may have waited for just this
		}
		s.out = h1.AppendResponseHead(s.out[:0], h, codec.NoContent, 0)
		c.write(s.out)
		return
	}
	c.framing = codec.NoContent
	switch {
	case c.method == codec.MethodHead || h.Status == 204 || h.Status == 304:
	case end:
		h.Length = 0
	case h.Framing == codec.ByLength:
		c.framing = codec.ByLength
	case c.version == codec.HTTP11:
		c.framing = codec.ByChunks
	default:
		c.framing = codec.ByClose
		c.persist = codec.OptClose
	}
	e := c.entry
	if c.phase == phaseContent && !c.cheapRest() || e.ending() || c.x.OffersUpgrade() ||
		h.Status == 421 || // this connection is the wrong one for what the client asks
		e.Env.Pressure.Level() != exchange.PressureNormal {
		c.persist = codec.OptClose
	}
	h.Method = c.method // some responses have no content because of it
	s.out = h1.AppendResponseHead(s.out[:0], h, c.framing, c.persist)
	c.write(s.out)
}

// cheapRest reports whether the rest of the request's content is so little that reading it costs less than a new
// connection. A client that waits for 100-continue may never send it.
func (c *H1) cheapRest() bool {
	left, known := c.body.Left()
	return known && left <= maxDiscard && !c.x.AwaitsContinue()
}

// Data is the Stream's: it writes response content.
func (c *H1) Data(p []byte, end bool) {
	if c.phase >= phaseTunnel {
		c.writeTunnel(p, end)
		return
	}
	v := c.entry.Conns.framer.Frame(c.framing, p, end)
	if v == nil {
		return
	}
	n := 0
	for _, b := range v {
		n += len(b)
	}
	c.x.BytesOut += uint64(n)
	c.written += int64(n)
	c.conn.Writev(v)
	c.watchWriting()
}

// Trailers is the Stream's: it ends the response with a trailer section, where the framing has one.
func (c *H1) Trailers(t []codec.Field) {
	if c.phase == phaseClosed || c.framing != codec.ByChunks {
		return
	}
	s := c.entry.Conns
	s.out = h1.AppendTrailers(s.out[:0], t)
	c.write(s.out)
}

// Reset is the Stream's: it ends the connection so that the client can tell that the response is not whole.
func (c *H1) Reset(*codec.Error) {
	if c.framing == codec.ByClose {
		c.abort()
	} else {
		c.close(false)
	}
}

// Hold is the Stream's: it pauses the request's content.
func (c *H1) Hold(on bool) {
	if c.phase != phaseClosed {
		c.conn.Hold(on)
		if !on {
			c.clock.resume(c.entry.Local.Loop.Now())
		}
	}
}

// Queued is the Stream's.
func (c *H1) Queued() int {
	if c.phase == phaseClosed {
		return 0
	}
	return c.conn.Queued()
}

func (c *H1) write(p []byte) {
	c.x.BytesOut += uint64(len(p))
	c.written += int64(len(p))
	c.conn.Write(p)
}
