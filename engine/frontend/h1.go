package frontend

import (
	"bytes"

	"traffic_management/codec"
	"traffic_management/codec/h1"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

// phase is what an HTTP/1.1 client connection is at.
type phase uint8

const (
	phaseFresh       phase = iota // accepted a moment ago; nothing of the first request was seen
	phaseIdle                     // nothing of the next request has arrived
	phaseHead                     // some of a request head has arrived
	phaseContent                  // an exchange runs, request content is outstanding
	phaseWait                     // an exchange runs, its request is whole
	phaseBroken                   // an exchange runs, its request will not be read further
	phaseDiscard                  // the response is out, the rest of its request is read and dropped
	phaseTunnel                   // an exchange runs, a tunnel: what the client sends is another protocol's
	phaseTunnelEnded              // as phaseTunnel, but the client's side has ended
	phaseClosed                   // the connection is the reactor's to end, or speaks HTTP/2
)

func (p phase) String() string {
	return [...]string{"fresh", "idle", "head", "content", "wait", "broken", "discard", "tunnel", "tunnel ended", "closed"}[p]
}

// maxDiscard bounds the request content that is read only to keep the connection after an early response.
const maxDiscard = 64 << 10

type errText string

func (e errText) Error() string { return string(e) }

// What can end a request on its way in. With status 0 there is nobody left to tell.
var (
	errGone = &codec.Error{Side: codec.Client, Kind: codec.KindClosed,
		Cause: errText("the client closed the connection")}
	errWriteTimeout = &codec.Error{Side: codec.Client, Kind: codec.KindTimeout,
		Cause: errText("the client did not read the response in time")}
	errHeadTimeout = &codec.Error{Side: codec.Client, Kind: codec.KindTimeout, Status: 408,
		Cause: errText("the request head did not arrive in time")}
	errBodyTimeout = &codec.Error{Side: codec.Client, Kind: codec.KindTimeout, Status: 408,
		Cause: errText("the request content did not arrive in time")}
	errBodySlow = &codec.Error{Side: codec.Client, Kind: codec.KindTimeout, Status: 408,
		Cause: errText("the request content arrived too slowly")}
)

// H1 is one HTTP/1.1 client connection: the Sink of its socket and the Client of its exchanges, one at a time.
type H1 struct {
	connection

	// Owned by the loop:
	x         *exchange.Exchange // nil in phaseFresh, phaseIdle, phaseHead and phaseDiscard
	requests  int
	seen      int // bytes of an incomplete head that were looked at
	body      h1.Body
	clock     contentClock
	discarded int
	phase     phase
	version   codec.Version
	method    codec.Method
	persist   codec.ConnOption // OptClose: no request follows; OptKeepAlive: say that one may
	framing   codec.Framing    // of the response
	paused    bool             // reading is held because the next request is here before its time
	last      bool             // the client said that no request follows
}

// beginH1 makes a connection speak HTTP/1.1.
func (e *EntryPoint) beginH1(conn reactor.Conn, m Meter, peer exchange.Peer) *H1 {
	c := &H1{}
	c.peer = peer
	c.begin(e, conn, m, c)
	c.awaitFirst(e.Settings.HeaderTimeout)
	return c
}

// OnData is the Sink's.
func (c *H1) OnData() {
	for more := true; more; {
		switch c.phase {
		case phaseFresh, phaseIdle, phaseHead:
			more = c.readHead()
		case phaseContent:
			more = c.readContent()
		case phaseDiscard:
			more = c.discard()
		case phaseTunnel:
			more = c.readTunnel()
		case phaseWait:
			c.watch()
			return
		default:
			return
		}
	}
}

// readHead reads a request head and starts its exchange. It reports whether there may be more to do.
func (c *H1) readHead() bool {
	in := c.conn.In()
	if len(in) == 0 {
		if c.conn.EOF() {
			c.close(false)
		}
		return false
	}
	if c.conn.Queued() > codec.HighMark {
		return false // a client that does not read its responses gets no more of them
	}
	e := c.entry
	limits := &e.Settings.Limits
	if c.phase != phaseHead {
		e.Conns.enter(&c.connection, partActive)
		c.phase, c.seen = phaseHead, 0
	} else if bytes.IndexByte(in[c.seen:], '\n') < 0 && len(in) <= limits.HeadBytes && !c.conn.EOF() {
		c.seen = len(in)
		return false
	}
	if c.requests == 0 && in[0] == h2Preface[0] && c.detect(in) {
		return false
	}
	x := e.Local.Begin(e.Env, c, &c.peer)
	n, err := h1.ParseRequestHead(in, &x.RequestHead, limits)
	if err != nil {
		c.reject(x, err)
		return false
	}
	if n == 0 {
		x.Drop()
		c.incomplete(len(in))
		return false
	}
	c.start(x, in[:n])
	return true
}

// incomplete waits for the rest of a head.
func (c *H1) incomplete(have int) {
	if c.conn.EOF() {
		c.close(false)
		return
	}
	if c.seen == 0 {
		loop, limit := c.entry.Local.Loop, c.entry.Settings.HeaderTimeout
		if c.requests == 0 {
			limit -= loop.Now().Sub(c.accepted) // the first head has been awaited since then
		}
		loop.Arm(&c.readTimer, max(limit, 0))
	}
	c.seen = have
}

// start begins the exchange of a request whose head is complete.
func (c *H1) start(x *exchange.Exchange, head []byte) {
	h := &x.RequestHead
	c.x, c.version, c.method = x, h.Version, h.Method
	c.requests++
	c.persist = 0
	c.last = h.Options&codec.OptClose != 0 || h.Version == codec.HTTP10 && h.Options&codec.OptKeepAlive == 0
	s := c.entry.Settings
	switch {
	case c.last, c.entry.ending(), s.MaxRequests > 0 && c.requests >= s.MaxRequests:
		c.persist = codec.OptClose
	case h.Method == codec.MethodConnect: // it is refused, and what follows may be meant for the tunnel
		c.persist = codec.OptClose
	case h.Version == codec.HTTP10:
		c.persist = codec.OptKeepAlive
	}
	c.phase = phaseWait
	end := h.Framing == codec.NoContent
	if !end {
		c.phase = phaseContent
		c.body.Start(h.Framing, h.Length, codec.Client, &s.Limits)
		c.clock.start(c.entry.Local.Loop.Now())
		c.entry.Local.Loop.Arm(&c.readTimer, s.checkEvery())
	}
	x.Own(head)
	c.conn.Consume(len(head))
	x.Request(end)
}

// reject answers a head that cannot be read; nothing behind it can be either.
func (c *H1) reject(x *exchange.Exchange, err error) {
	e, ok := err.(*codec.Error)
	if !ok {
		e = errHeadTimeout
	}
	c.x, c.version, c.method = x, codec.HTTP11, codec.MethodOther
	c.persist = codec.OptClose
	c.phase = phaseBroken
	x.Reject(e)
}

// readContent passes request content on. It reports whether there may be more to do.
func (c *H1) readContent() bool {
	x := c.x
	if !x.AcceptsContent() || !x.WantsContent() {
		return false
	}
	in := c.conn.In()
	if len(in) == 0 {
		if c.conn.EOF() {
			c.breakOff(errGone)
		}
		return false
	}
	data, n, err := c.body.Decode(in)
	if err != nil {
		c.spoilt(err.(*codec.Error))
		return false
	}
	c.clock.progress(c.entry.Local.Loop.Now(), n)
	x.BytesIn += uint64(n)
	if c.body.Done() {
		c.phase = phaseWait
		if t := c.body.Trailers(); len(t) > 0 {
			if len(data) > 0 {
				x.RequestData(data, false)
			}
			x.RequestTrailers(t)
		} else {
			x.RequestData(data, true)
		}
	} else if len(data) > 0 {
		x.RequestData(data, false)
	}
	if c.phase != phaseClosed {
		c.conn.Consume(n)
	}
	return n > 0
}

// spoilt gives up reading a request's content; the client is told why if it can be.
func (c *H1) spoilt(e *codec.Error) {
	c.persist = codec.OptClose
	c.phase = phaseBroken
	c.x.RequestBroken(e)
}

// watch is called with input while a response is awaited: the client is gone, or sends its next request already, which
// waits in the socket.
func (c *H1) watch() {
	switch {
	case len(c.conn.In()) > 0:
		if !c.paused {
			c.paused = true
			c.conn.Hold(true)
		}
	case c.conn.EOF() && c.x.WantsContent():
		c.breakOff(errGone) // a response that is over already still reaches a client that ended only its own side
	}
}

// breakOff ends connection and exchange with nobody to tell.
func (c *H1) breakOff(e *codec.Error) {
	x := c.x
	c.abort()
	if x != nil {
		x.RequestBroken(e)
	}
}

// discard drops what is left of a request that was answered early.
func (c *H1) discard() bool {
	in := c.conn.In()
	if len(in) == 0 {
		if c.conn.EOF() {
			c.close(false)
		}
		return false
	}
	_, n, err := c.body.Decode(in)
	c.discarded += n
	if err != nil || c.discarded > maxDiscard {
		c.close(true)
		return false
	}
	c.conn.Consume(n)
	if c.body.Done() {
		c.next()
		return false
	}
	return n > 0
}

// OnDrained is the Sink's: the client takes bytes again.
func (c *H1) OnDrained() {
	if c.x != nil {
		c.x.ClientDrained()
	} else if c.phase == phaseIdle || c.phase == phaseHead {
		c.conn.Wake()
	}
}

// OnClosed is the Sink's: the client reset the connection, or the loop ends.
func (c *H1) OnClosed(err error) {
	x := c.x
	if x != nil && err == reactor.ErrStopped {
		c.entry.Conns.cutOff++
	}
	c.gone()
	if x != nil {
		x.RequestBroken(errGone)
	}
}

// Finished is the Client's: the exchange is over. Where the end of the connection is not the client's own idea, its next
// request may be under way, and must not make a reset of the close, which could overtake the response.
func (c *H1) Finished() {
	c.x = nil
	switch {
	case c.phase == phaseClosed:
	case c.persist&codec.OptClose != 0:
		c.close(!c.last || c.phase != phaseWait || len(c.conn.In()) > 0)
	case c.phase == phaseContent:
		c.phase, c.discarded = phaseDiscard, 0
		c.entry.Local.Loop.Arm(&c.readTimer, c.entry.Settings.BodyIdle)
		c.conn.Wake()
	default:
		c.next()
	}
}

// next waits for another request, which may be here already.
func (c *H1) next() {
	if c.entry.ending() {
		c.close(true) // after a response that did not say so
		return
	}
	c.phase = phaseIdle
	c.entry.Conns.enter(&c.connection, partIdle)
	c.entry.Local.Loop.Arm(&c.readTimer, c.entry.Settings.IdleTimeout)
	if c.paused {
		c.paused = false
		c.conn.Hold(false)
	}
	if len(c.conn.In()) > 0 || c.conn.EOF() {
		c.conn.Wake()
	}
}

// close ends the connection behind what is queued; linger waits for a client that may still be sending.
func (c *H1) close(linger bool) {
	if c.phase != phaseClosed {
		conn := c.conn
		c.gone()
		conn.Close(linger)
	}
}

func (c *H1) abort() {
	if c.phase != phaseClosed {
		c.gone()
		c.conn.Abort()
	}
}

// gone forgets the connection.
func (c *H1) gone() {
	if c.part == partTunnel {
		c.entry.Conns.tunnels--
		c.meter.TunnelClosed()
	}
	c.phase = phaseClosed
	c.connection.gone()
}
