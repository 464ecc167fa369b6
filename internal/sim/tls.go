package sim

import (
	"crypto/tls"
	"errors"

	"traffic_management/engine/reactor"
)

// tlsState is what a connection has of TLS.
type tlsState uint8

const (
	tlsNone     tlsState = iota // clear text
	tlsDialling                 // the handshake comes when the socket is open
	tlsHandshaking
	tlsEstablished
)

func (s tlsState) String() string {
	return [...]string{"none", "dialling", "handshaking", "established"}[s]
}

// DialTLS is Dial; after a while the connection is told that a handshake is done. Its bytes stay what they are, and
// its peer may be a connection with AcceptTLS or without.
func (l *Loop) DialTLS(a reactor.Addr, config *tls.Config, s reactor.Sink) reactor.Conn {
	c := l.Dial(a, s).(*conn)
	c.config, c.tls = config, tlsDialling
	return c
}

// AcceptTLS tells done after a while that a handshake is done, and reads nothing until then.
func (l *Loop) AcceptTLS(raw reactor.Conn, config *tls.Config, done func(reactor.Conn, error) reactor.Sink) reactor.Sink {
	c := raw.(*conn)
	c.config, c.tls = config, tlsHandshaking
	c.Hold(true)
	h := &accepting{conn: c, done: done}
	l.schedule(l.now.Add(l.delay()), h.finish)
	return h
}

// accepting hears a connection during AcceptTLS.
type accepting struct {
	conn *conn
	done func(reactor.Conn, error) reactor.Sink
}

func (h *accepting) OnData()            {}
func (h *accepting) OnDrained()         {}
func (h *accepting) OnClosed(err error) { h.done(nil, err) }

// finish ends the handshake, unless the connection has ended.
func (h *accepting) finish() {
	c := h.conn
	if !c.phase.hears() {
		return
	}
	if err := c.shake(); err != nil {
		c.Close(true)
		h.done(nil, err)
		return
	}
	if s := h.done(c, nil); s != nil {
		c.SetSink(s)
	} else {
		c.Abort()
	}
	c.Hold(false)
}

// shake decides on the outcome of a handshake.
func (c *conn) shake() error {
	decide := c.loop.Handshake
	if decide == nil {
		decide = agree
	}
	state, err := decide(c.config)
	if err != nil {
		return handshakeError(reactor.HandshakeOther, err)
	}
	c.tls, c.state = tlsEstablished, &state
	return nil
}

// agree is a handshake that ends as the configuration wishes.
func agree(config *tls.Config) (tls.ConnectionState, error) {
	s := tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: config.ServerName,
		CipherSuite: tls.TLS_AES_128_GCM_SHA256}
	if len(config.NextProtos) > 0 {
		s.NegotiatedProtocol = config.NextProtos[0]
	}
	return s, nil
}

// handshakeError makes err a *reactor.HandshakeError, if it is none.
func handshakeError(reason reactor.HandshakeReason, err error) error {
	if _, ok := errors.AsType[*reactor.HandshakeError](err); ok {
		return err
	}
	return &reactor.HandshakeError{Reason: reason, Err: err}
}

// TLS is what the handshake ended with.
func (c *conn) TLS() *tls.ConnectionState { return c.state }
