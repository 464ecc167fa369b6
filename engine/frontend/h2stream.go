package frontend

import (
	"traffic_management/codec"
	"traffic_management/codec/h2"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

// streamPhase is what a request of HTTP/2 is at.
type streamPhase uint8

const (
	streamWait    streamPhase = iota // the request is whole
	streamContent                    // request content is outstanding
	streamBroken                     // the request will not be read further
	streamOffer                      // a tunnel is asked for; what the client sends waits for the answer
	streamTunnel                     // a tunnel
	streamLost                       // the client, or the connection, is gone: nothing can be sent any more
)

func (p streamPhase) String() string {
	return [...]string{"wait", "content", "broken", "offer", "tunnel", "lost"}[p]
}

// frameHead is the size of a frame without its payload (RFC 9113 section 4.1).
const frameHead = 9

// stream is one request of an HTTP/2 connection and the Client of its exchange: what is called on it sends the response.
// It belongs to the loop, and lies in a free list between exchanges.
//
// Of what an exchange counts, a head of a request has the size it was decoded to, content and heads of responses that of
// their frames. What the session sends on its own account belongs to no exchange.
type stream struct {
	c             *H2
	frames        *h2.Stream
	x             *exchange.Exchange
	before, after *stream // neighbours among the connection's streams; after also in the free list
	clock         contentClock
	phase         streamPhase
}

// open makes a stream with an exchange.
func (c *H2) open(s *h2.Stream) *stream {
	conns := c.entry.Conns
	t := conns.freeStreams
	if t == nil {
		t = &stream{}
	} else {
		conns.freeStreams = t.after
	}
	*t = stream{c: c, frames: s, after: c.streams}
	if c.streams != nil {
		c.streams.before = t
	}
	c.streams = t
	c.running++
	t.x = c.entry.Local.Begin(c.entry.Env, t, &c.peer)
	return t
}

// Finished is the Client's: the exchange is over. What is left of the response is the session's to send.
func (t *stream) Finished() {
	c := t.c
	t.lose()
	t.frames.Release()
	if t.before == nil {
		c.streams = t.after
	} else {
		t.before.after = t.after
	}
	if t.after != nil {
		t.after.before = t.before
	}
	c.running--
	c.idleSince = t.now()
	conns := c.entry.Conns
	*t = stream{after: conns.freeStreams}
	conns.freeStreams = t
	if c.stage != h2Closed {
		c.rest()
	}
}

// Head is the Stream's: it sends a response head.
func (t *stream) Head(h *codec.Head, end bool) {
	switch {
	case t.phase == streamLost:
		return
	case h.Status < 200 && t.phase == streamContent:
		t.clock.resume(t.now()) // the client may have waited for just this
	}
	before := t.c.written
	t.frames.Head(h, end)
	t.x.BytesOut += uint64(t.c.written - before)
	if h.Status == 101 {
		t.openTunnel()
	}
}

// Data is the Stream's: it sends response content, or what the server sends through a tunnel.
func (t *stream) Data(p []byte, end bool) {
	switch t.phase {
	case streamLost:
		return
	case streamTunnel:
		t.clock.last = t.now()
	}
	t.x.BytesOut += uint64(len(p)) + frameHead
	t.frames.Data(p, end)
}

// Trailers is the Stream's: it ends the response with a trailer section.
func (t *stream) Trailers(f []codec.Field) {
	if t.phase == streamLost {
		return
	}
	before := t.c.written
	t.frames.Trailers(f)
	t.x.BytesOut += uint64(t.c.written - before)
}

// Reset is the Stream's: the client can tell that the response is not whole.
func (t *stream) Reset(e *codec.Error) {
	if t.phase != streamLost {
		t.frames.Reset(e)
		t.lose()
	}
}

// Hold is the Stream's: it pauses the request's content.
func (t *stream) Hold(on bool) {
	if t.phase == streamLost {
		return
	}
	t.frames.Hold(on)
	if !on {
		t.clock.resume(t.now())
	}
}

// Queued is the Stream's.
func (t *stream) Queued() int {
	if t.phase == streamLost {
		return 0
	}
	return t.frames.Queued()
}

// Fits is the upstream.Taker's.
func (t *stream) Fits() int {
	if t.phase == streamLost {
		return 0
	}
	return t.frames.Fits()
}

// openTunnel lets through what the client sends, which was held until now.
func (t *stream) openTunnel() {
	t.phase = streamTunnel
	t.c.entry.Conns.tunnels++
	t.c.meter.TunnelOpened()
	t.clock.start(t.now())
	t.frames.Hold(false)
}

// lose notes that nothing can be sent any more.
func (t *stream) lose() {
	if t.phase == streamTunnel {
		t.c.entry.Conns.tunnels--
		t.c.meter.TunnelClosed()
	}
	t.phase = streamLost
}

// check ends a request whose content does not come as it should, and a tunnel through which nothing passes. choked: what
// is held of other streams keeps the client from sending.
func (t *stream) check(now reactor.Instant, choked bool) {
	s := t.c.entry.Settings
	switch t.phase {
	case streamContent:
		if choked {
			t.clock.resume(now)
		}
		if e := t.clock.overdue(now, s, t.x); e != nil {
			t.phase = streamBroken
			t.x.RequestBroken(e)
		}
	case streamTunnel:
		if now.Sub(t.clock.last) >= s.TunnelIdle {
			t.x.EndTunnel(errTunnelIdle)
		}
	}
}

// end ends the exchange because its configuration was replaced too long ago.
func (t *stream) end() {
	if t.phase == streamTunnel {
		t.x.EndTunnel(errReplaced)
		return
	}
	if t.phase != streamLost {
		t.phase = streamBroken
	}
	t.x.RequestBroken(errReplaced)
}

func (t *stream) now() reactor.Instant { return t.c.entry.Local.Loop.Now() }

// request is the other side of a stream: the Receiver of what the client sends on it.
type request stream

// Ready is the Receiver's. A server's session does not call it, for there is a stream already.
func (*request) Ready(codec.Stream) {}

// Head is the Receiver's. A server's session does not call it: the head comes with Events.Request.
func (*request) Head(*codec.Head, bool) {}

// Data is the Receiver's: request content, or what the client sends through a tunnel. That of a request that was answered
// already is dropped.
func (r *request) Data(p []byte, end bool) {
	t := (*stream)(r)
	t.clock.progress(t.now(), len(p))
	t.x.BytesIn += uint64(len(p)) + frameHead
	if end && t.phase == streamContent {
		t.phase = streamWait
	}
	if t.x.WantsContent() {
		t.x.RequestData(p, end)
	}
}

// Trailers is the Receiver's: the request ends with a trailer section.
func (r *request) Trailers(f []codec.Field) {
	r.phase = streamWait
	if r.x.WantsContent() {
		r.x.RequestTrailers(f)
	}
}

// Drained is the Receiver's: the stream has room again.
func (r *request) Drained() { r.x.ClientDrained() }

// Failed is the Receiver's: the client gave the request up, what it sent of it is malformed, or the connection is gone.
func (r *request) Failed(e *codec.Error) {
	(*stream)(r).lose()
	r.x.RequestBroken(e)
}
