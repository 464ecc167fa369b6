package upstream

import (
	"traffic_management/codec"
	"traffic_management/codec/h1"
	"traffic_management/engine/reactor"
)

// connState is where a connection to a server stands.
type connState uint8

const (
	connIdle   connState = iota // open, in its pool
	connBusy                    // open, carries an attempt or is about to leave
	connClosed                  // no more
)

func (s connState) String() string { return [...]string{"idle", "busy", "closed"}[s] }

// h1conn is an HTTP/1.1 connection to a server: the Sink of its socket and the Stream of the request it carries.
// It belongs to its loop. One request at a time.
type h1conn struct {
	// Immutable:
	pool *pool
	conn reactor.Conn

	// Owned by the loop:
	attempt *Attempt // whose request it carries; nil when nobody listens
	state   connState
	progress
	method  codec.Method // of the request it carries
	framing codec.Framing
	keep    codec.ConnOption // none when the connection may be used again; OptUpgrade: the request offers a protocol
	offer   *offer           // with OptUpgrade
	served  uint32           // requests finished before the present one
	wrote   int              // bytes of the present request that were given to the connection
	since   reactor.Instant
	body    h1.Body   // of the response
	pipe    *pipeline // while it is one; nil otherwise
}

// carry gives an attempt the connection.
func (c *h1conn) carry(a *Attempt) {
	c.attempt, c.state = a, connBusy
	a.bind(c)
}

// portion is how much of a response is worth reading.
func (c *h1conn) portion() int {
	if a := c.attempt; a != nil && a.taker != nil {
		return a.taker.Fits()
	}
	return reactor.ReadSize
}

// OnDrained is the Sink's: the queue has room again.
func (c *h1conn) OnDrained() {
	if a := c.attempt; a != nil && a.state == AttemptOpen {
		if c.recv == partHead {
			a.awaitHead()
		}
		a.receiver.Drained()
	}
}

// OnClosed is the Sink's: the connection failed.
func (c *h1conn) OnClosed(err error) {
	was := c.state
	c.state = connClosed
	a := c.attempt
	c.attempt = nil
	if was == connIdle {
		c.pool.drop(c)
	}
	if c.pipe != nil && c.pipe.lost(a) {
		a = nil
	}
	c.gone()
	switch {
	case a == nil:
	case a.state == AttemptReady:
		c.replace(a)
	default:
		e := c.lost(a)
		if late := rejected(err); late != nil && c.served == 0 && a.answered == 0 {
			e = late
		}
		a.fail(e)
	}
}

// replace finds another connection for a request of which nothing was sent on this one.
func (c *h1conn) replace(a *Attempt) {
	c.attempt, a.conn = nil, nil
	a.pool.acquire(a)
}

// OnData is the Sink's: bytes of a response, or the server's end.
func (c *h1conn) OnData() {
	a := c.attempt
	if a == nil || a.state != AttemptOpen {
		c.unexpected()
		return
	}
	c.read(a)
	for c.pipe != nil && c.attempt != nil && c.attempt != a {
		a = c.attempt
		c.read(a)
	}
}

// read takes what came for an attempt, as far as it goes.
func (c *h1conn) read(a *Attempt) {
	for c.attempt == a && c.holds == 0 {
		in := c.conn.In()
		if len(in) == 0 {
			if c.conn.EOF() {
				c.ended(a)
			}
			return
		}
		progress := false
		switch c.recv {
		case partHead:
			progress = c.readHead(a, in)
		case partTunnel:
			progress = true
			a.receiver.Data(in, false)
			c.consume(len(in))
		default:
			progress = c.readContent(a, in)
		}
		if !progress {
			if c.attempt == a && c.holds == 0 && c.conn.EOF() {
				c.ended(a)
			}
			return
		}
	}
}

// unexpected handles input that nobody asked for: only an end can be right, and it ends the connection.
func (c *h1conn) unexpected() {
	switch {
	case c.state == connIdle:
		c.pool.drop(c)
		c.close()
	case c.pipe != nil:
		if len(c.conn.In()) > 0 || c.conn.EOF() {
			c.close()
		}
	case c.state == connBusy:
		// A request got this connection in this very turn and nothing of it was sent.
		if a := c.attempt; a != nil && a.state == AttemptReady {
			c.attempt = nil
			c.close()
			if c.served == 0 { // the next one may fare no better
				a.fail(errHungUp)
			} else {
				c.replace(a)
			}
		}
	}
}

// readHead reads a response head; false: more is needed, or the attempt is over. What came before any of the request has
// left is no response to it.
func (c *h1conn) readHead(a *Attempt, in []byte) bool {
	if a.answered == 0 {
		if c.conn.Unsent() >= c.wrote {
			c.broken(a, errUnsent)
			return false
		}
		a.answered = c.pool.pools.loop.Now()
	}
	h := &c.pool.pools.head
	n, err := h1.ParseResponseHead(in, c.method, h, &c.pool.service.Options().HeadLimits)
	if err != nil {
		c.broken(a, err)
		return false
	}
	if n == 0 {
		return false
	}
	if h.Status < 200 {
		if h.Status == 101 {
			return c.switched(a, h, n)
		}
		if !c.notFinal(a, h.Status) {
			c.broken(a, errInterim)
			return false
		}
		a.receiver.Head(h, false)
		c.consume(n)
		return true
	}
	if h.Options&codec.OptClose != 0 || h.Version == codec.HTTP10 && h.Options&codec.OptKeepAlive == 0 ||
		h.Framing == codec.ByClose {
		c.keep |= codec.OptClose
	}
	if c.pipe != nil {
		c.pipe.heard(h)
	}
	a.heard(h.Status)
	c.recv = partContent
	c.body.Start(h.Framing, h.Length, codec.Upstream, &c.pool.service.Options().HeadLimits)
	if c.body.Done() {
		r := c.detach()
		r.Head(h, true)
		c.finish(n)
		return false
	}
	a.arm(a.service.Options().ResponseIdle)
	a.receiver.Head(h, false)
	c.consume(n)
	return true
}

// readContent reads some response content; false: more is needed, or the attempt is over.
func (c *h1conn) readContent(a *Attempt, in []byte) bool {
	data, n, err := c.body.Decode(in)
	if err != nil {
		c.broken(a, err)
		return false
	}
	if c.body.Done() {
		r := c.detach()
		if t := c.body.Trailers(); len(t) > 0 {
			if len(data) > 0 {
				r.Data(data, false)
			}
			r.Trailers(t)
		} else {
			r.Data(data, true)
		}
		c.finish(n)
		return false
	}
	if len(data) > 0 {
		a.arm(a.service.Options().ResponseIdle)
		a.receiver.Data(data, false)
	}
	c.consume(n)
	return n > 0
}

// consume drops what was delivered, unless the receiver gave the connection up meanwhile.
func (c *h1conn) consume(n int) {
	if c.state != connClosed {
		c.conn.Consume(n)
	}
}

// detach ends the attempt before its last event is delivered, so that its receiver may release it there.
func (c *h1conn) detach() codec.Receiver {
	a := c.attempt
	c.attempt = nil
	c.recv = partWhole
	a.end(nil)
	return a.receiver
}

// ended handles the server's end while a response is awaited or under way.
func (c *h1conn) ended(a *Attempt) {
	if c.recv == partTunnel || c.send == partTunnel {
		c.tunnelEnded(a)
		return
	}
	if c.recv == partContent && c.body.EOF() == nil {
		r := c.detach()
		r.Data(nil, true)
		c.close()
		return
	}
	if c.pipe != nil && c.pipe.lost(a) {
		c.attempt = nil
		c.close()
		return
	}
	c.broken(a, c.lost(a))
}

// broken closes the connection and fails its attempt.
func (c *h1conn) broken(a *Attempt, err error) {
	e, ok := err.(*codec.Error)
	if !ok {
		e = errTruncated
	}
	c.attempt = nil
	if c.pipe != nil {
		c.pipe.suspect(c.pipe.behind.n > 0)
	}
	c.abort()
	a.fail(e)
}

// finish follows a whole response: the connection goes back to its pool when both messages ended cleanly. A response
// that came before the whole request, or bytes behind it, leave the connection unusable (RFC 9112 section 9.3).
func (c *h1conn) finish(n int) {
	if c.state == connClosed {
		return
	}
	c.conn.Consume(n)
	if c.pipe != nil {
		c.pipe.finished()
		return
	}
	if c.send != partWhole || c.keep != 0 || len(c.conn.In()) > 0 || c.conn.EOF() || c.holds > 0 {
		c.close()
		return
	}
	c.unused()
}

// unused makes the connection ready for the next request and gives it to its pool.
func (c *h1conn) unused() {
	c.attempt = nil
	if c.send != partHead {
		c.served++
	}
	c.send, c.recv, c.interim, c.wrote = partHead, partHead, 0, 0
	c.pool.put(c)
}

// abandon is the receiver's: it wants no more of this response. What was sent cannot be taken back, so the connection
// is closed, which tells the server too. A tunnel whose direction to the server was ended is left to its queue.
func (c *h1conn) abandon() {
	c.attempt = nil
	switch {
	case c.state != connBusy:
	case c.recv == partTunnel && c.send == partWhole:
		c.leave(true)
	default:
		c.abort()
	}
}

func (c *h1conn) close() { c.leave(false) }

// leave closes the connection behind what is queued; linger waits for a server that may still be sending.
func (c *h1conn) leave(linger bool) {
	if c.state != connClosed {
		c.state = connClosed
		c.conn.Close(linger)
		c.gone()
	}
}

func (c *h1conn) abort() {
	if c.state != connClosed {
		c.state = connClosed
		c.conn.Abort()
		c.gone()
	}
}

// gone gives back the place of the connection, and the requests that waited behind another on it.
func (c *h1conn) gone() {
	c.pool.closed()
	if c.pipe != nil {
		c.pipe.closed()
	}
}

// expired runs when the server was silent for too long.
func (c *h1conn) expired() {
	if e := c.overdue(c.attempt, c.conn.Queued()); e != nil {
		c.broken(c.attempt, e)
	}
}

// Head is the Stream's: it sends the request head.
func (c *h1conn) Head(h *codec.Head, end bool) {
	p, a := c.pool.pools, c.attempt
	c.method, c.framing = h.Method, h.Framing
	switch {
	case end:
		c.framing = codec.NoContent
	case c.framing == codec.ByEndStream:
		c.framing = codec.ByChunks
	}
	c.keep = 0
	fields := len(h.Fields)
	if h.Options&codec.OptUpgrade != 0 {
		c.offers(h)
	}
	out := c.pool.appendHead(h, c.framing)
	h.Fields = h.Fields[:fields]
	if len(out) == 0 {
		c.attempt = nil
		c.abort()
		a.failLater(errUnsendable)
		return
	}
	c.conn.Write(out)
	c.wrote = len(out)
	a.sent = p.loop.Clock()
	c.headSent(h, end)
}

// appendHead is the head as the server gets it, lent until the next call; nothing when it cannot be sent.
func (q *pool) appendHead(h *codec.Head, f codec.Framing) []byte {
	p, authority := q.pools, h.Authority
	if !q.service.Options().PassHost || len(authority) == 0 {
		h.Authority = q.host
	}
	p.out = h1.AppendRequestHead(p.out[:0], h, f)
	h.Authority = authority
	return p.out
}

// Data is the Stream's: it sends request content.
func (c *h1conn) Data(b []byte, end bool) {
	if c.attempt == nil {
		return
	}
	if c.send == partTunnel {
		c.sendTunnel(b, end)
		return
	}
	if c.recv == partHead {
		c.attempt.awaitHead()
	}
	if v := c.pool.pools.framer.Frame(c.framing, b, end); v != nil {
		c.conn.Writev(v)
		for _, part := range v {
			c.wrote += len(part)
		}
	}
	c.contentSent(end)
}

// Trailers is the Stream's: it ends the request with a trailer section.
func (c *h1conn) Trailers(t []codec.Field) {
	if c.framing == codec.ByChunks {
		p := c.pool.pools
		p.out = h1.AppendTrailers(p.out[:0], t)
		c.conn.Write(p.out)
		c.wrote += len(p.out)
	}
	c.send = partWhole
}

// Reset is the Stream's.
func (c *h1conn) Reset(*codec.Error) { c.abandon() }

// Hold is the Stream's: it pauses the response.
func (c *h1conn) Hold(on bool) {
	if c.state == connClosed {
		return
	}
	if on {
		c.holds++
	} else {
		c.holds--
		if a := c.attempt; a != nil && c.recv == partContent {
			a.arm(a.service.Options().ResponseIdle)
		}
	}
	c.conn.Hold(on)
}

// Queued is the Stream's.
func (c *h1conn) Queued() int {
	if c.state == connClosed {
		return 0
	}
	return c.conn.Queued()
}
