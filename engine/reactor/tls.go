package reactor

import (
	"crypto/tls"
	"net/netip"
)

// tlsStage is how far the life of a connection with TLS has come.
type tlsStage uint8

const (
	tlsOpening tlsStage = iota // the handshake is to come, or going on; output waits for its end
	tlsOpen                    // records are opened and sealed on the loop
	tlsGone                    // it ended; the socket may still be closing
)

func (s tlsStage) String() string { return [...]string{"opening", "open", "gone"}[s] }

// tlsInput is what is known of the end of the peer's records.
type tlsInput uint8

const (
	tlsInputOpen   tlsInput = iota // more may come
	tlsInputEnded                  // close_notify came
	tlsInputFailed                 // no more can be opened, for the reason in fault
)

func (i tlsInput) String() string { return [...]string{"open", "ended", "failed"}[i] }

// tlsConn is a Conn: TLS over a socket of the same loop, whose sink it is. The handshake runs on a goroutine; then the
// loop opens records as they come, and at the end of the turn seals what was written in it.
//
//	socket.In ▶ transport.Read ▶ tls.Conn.Read ▶ the loop's plaintext buffer ▶ Sink.OnData
//	Writev ▶ gathered ─end of turn▶ tls.Conn.Write ▶ transport.Write ▶ the socket's queue
//
// Owned by its loop. An idle one holds no buffer of ours; crypto/tls keeps one as large as the largest record that came.
type tlsConn struct {
	loop  *EventLoop           // immutable
	raw   *socket              // immutable
	tls   *tls.Conn            // immutable once established
	state *tls.ConnectionState // immutable once established
	sink  Sink                 // nil once it is to hear nothing any more
	shake *handshake           // nil once established

	received        // plaintext
	out      output // plaintext gathered in this turn, or before the handshake's end
	fault    error  // told to the sink behind what came before it

	// Owned with the tls.Conn: see transport.
	behind []byte // records that the handshake's goroutine took and did not need
	record int    // bytes of the record being read that are still to be given to crypto/tls
	given  int    // records that were

	idleRecords int     // spent of idleBurst
	idleSince   Instant // when the allowance last grew

	lost               int // plaintext that was given up before it was sealed
	sealed, sealedSize int // plaintext, and the records it became, since the socket last had nothing unsent

	holds int32
	stage tlsStage
	input tlsInput
	marks marks
}

// DialTLS opens a connection and does the handshake of a client.
func (l *EventLoop) DialTLS(a Addr, config *tls.Config, sink Sink) Conn {
	c := &tlsConn{loop: l, sink: sink}
	c.shake = newHandshake(c, config, l.config.Handshakes.forDial(), nil)
	c.raw = l.Dial(a, c).(*socket)
	return c
}

// AcceptTLS begins the handshake of a server.
func (l *EventLoop) AcceptTLS(raw Conn, config *tls.Config, done func(Conn, error) Sink) Sink {
	c := &tlsConn{loop: l, raw: raw.(*socket)}
	c.shake = newHandshake(c, config, l.config.Handshakes.forAccept(), done)
	if len(c.raw.in) > 0 || c.raw.EOF() {
		c.raw.Wake()
	}
	return c
}

// establish goes on where the handshake ended: from now on the tls.Conn is the loop's.
func (c *tlsConn) establish(e established) {
	done := c.shake.done
	c.tls, c.state, c.behind = e.tls, e.state, e.behind
	c.shake = nil
	c.stage = tlsOpen
	if len(c.behind) == 0 {
		c.behind = nil
	}
	if c.holds > 0 {
		c.raw.Hold(true)
	}
	if c.out.size > 0 {
		c.sealLater()
	}
	if c.marks&markShut != 0 {
		c.CloseWrite()
	}
	c.raw.Wake() // for what came meanwhile
	outer := c.enter()
	if done == nil {
		if c.sink != nil {
			c.sink.OnDrained()
		}
	} else if sink := done(c, nil); sink != nil {
		c.SetSink(sink)
	} else {
		c.Abort()
	}
	c.leave(outer)
}

// refuse ends a connection whose handshake failed. The alert that tells the peer why is with the socket already.
func (c *tlsConn) refuse(err *HandshakeError) {
	done, sink := c.shake.done, c.sink
	c.end()
	if err.Reason == HandshakeShed {
		c.raw.Abort()
	} else {
		c.raw.Close(true)
	}
	outer := c.enter()
	if done != nil {
		done(nil, err)
	} else if sink != nil {
		sink.OnClosed(err)
	}
	c.leave(outer)
}

// enter notes that the connection's owner is being called, leave that it returned. A panic costs this connection.
func (c *tlsConn) enter() (outer *socket) {
	outer = c.loop.current
	c.loop.current = c.raw
	return outer
}

func (c *tlsConn) leave(outer *socket) {
	c.loop.current = outer
	if len(c.in) == 0 {
		c.releaseInput()
	} else {
		c.keep(&c.loop.chunks)
	}
}

func (c *tlsConn) releaseInput() { c.release(&c.loop.chunks, c.loop.current == c.raw) }

// OnData is of the socket: there are more records, or more of one.
func (c *tlsConn) OnData() {
	switch c.stage {
	case tlsOpening:
		c.shake.goOn()
	case tlsOpen:
		c.receive()
	}
}

// OnDrained is of the socket: it is open, or its queue fell to the low mark.
func (c *tlsConn) OnDrained() {
	switch {
	case c.stage == tlsOpening:
		c.shake.goOn()
	case c.stage == tlsOpen && c.sink != nil:
		c.sink.OnDrained()
	}
	c.leave(c.loop.current)
}

// OnClosed is of the socket: it failed.
func (c *tlsConn) OnClosed(err error) {
	switch {
	case c.stage == tlsOpening && c.raw.output != outputOpening:
		c.refuse(&HandshakeError{HandshakeClosed, err})
	case c.stage != tlsGone:
		sink := c.sink
		c.end()
		if sink != nil {
			sink.OnClosed(err)
		}
	}
}

// end makes the connection one that is gone, whatever becomes of its socket.
func (c *tlsConn) end() {
	if c.stage == tlsOpening {
		c.shake.cancel()
	}
	c.stage, c.sink, c.behind = tlsGone, nil, nil
	c.releaseInput()
	c.lost += c.out.size
	c.out.clear(&c.loop.chunks)
}

// orphan is called when the owner of a socket closes that instead of its tlsConn.
func (c *tlsConn) orphan() {
	if c.stage != tlsGone {
		c.end()
	}
}

func (c *tlsConn) TLS() *tls.ConnectionState { return c.state }

func (c *tlsConn) Peer() netip.AddrPort { return c.raw.peer }

func (c *tlsConn) Local() netip.AddrPort { return c.raw.Local() }

func (c *tlsConn) Portion(portion func() int) { c.raw.Portion(portion) }

func (c *tlsConn) SetSink(s Sink) {
	if c.stage != tlsGone {
		c.sink = s
	}
}

func (c *tlsConn) CloseWrite() {
	switch {
	case c.stage == tlsOpening:
		c.marks |= markShut
	case c.stage == tlsOpen && c.raw.phase == phaseOpen:
		c.seal(nil)
		_ = c.tls.CloseWrite() // fails only when an alert told the peer more already
		c.raw.CloseWrite()
	}
}

func (c *tlsConn) Close(linger bool) {
	c.sink = nil
	switch c.stage {
	case tlsOpening:
		c.end()
		c.raw.Close(false)
	case tlsOpen:
		c.seal(nil)
		_ = c.tls.CloseWrite()
		c.end()
		c.raw.Close(linger)
	}
}

func (c *tlsConn) Abort() {
	c.sink = nil
	if c.stage != tlsGone {
		c.end()
		c.raw.Abort()
	}
}

// Detach cannot move the keys.
func (c *tlsConn) Detach() (fd int, ok bool) { return -1, false }
