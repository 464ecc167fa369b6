package frontend

import (
	"crypto/tls"
	"errors"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

// TLS is what an entry point's configuration says of TLS; immutable.
type TLS struct {
	Config           *tls.Config   // offers "h2" only where Settings.HTTP2 is set
	HandshakeTimeout time.Duration // from accepting a connection to the end of its handshake
}

// Why handshakes fail besides reactor.HandshakeReason, for a Meter.
const (
	HandshakeTimeout = "timeout" // it took longer than TLS.HandshakeTimeout
	HandshakeEnded   = "ended"   // given up for other connections, or at the end of a drain
)

// handshake is a client connection whose TLS handshake is under way.
type handshake struct {
	connection

	// Immutable:
	limit time.Duration
	hosts exchange.HostOptions // of the configuration that the handshake is done with
}

func (e *EntryPoint) beginHandshake(raw reactor.Conn) reactor.Sink {
	c := &handshake{limit: e.TLS.HandshakeTimeout, hosts: e.Env.Hosts}
	c.begin(e, raw, e.Meter, c)
	c.awaitFirst(c.limit)
	return e.Local.Loop.AcceptTLS(raw, e.TLS.Config, c.done)
}

// done hears the end of the handshake. An established connection speaks what was agreed on; clients that do not
// negotiate speak HTTP/1.1 (RFC 9113 section 3.2).
func (c *handshake) done(conn reactor.Conn, err error) reactor.Sink {
	e := c.entry
	if err != nil {
		reason := reactor.HandshakeOther
		if failed := (*reactor.HandshakeError)(nil); errors.As(err, &failed) {
			reason = failed.Reason
		}
		c.meter.HandshakeFailed(reason.String())
		c.gone()
		return nil
	}
	state := conn.TLS()
	c.meter.Handshake(state.DidResume)
	c.replaced()
	peer := exchange.NewPeer(conn.Peer(), conn.Local(), state, c.hosts)
	if state.NegotiatedProtocol == "h2" {
		return e.beginH2(conn, c.meter, peer, e.Local.Loop.Now())
	}
	return e.beginH1(conn, c.meter, peer)
}

// readExpired is the speaker's.
func (c *handshake) readExpired() {
	left := c.limit - c.entry.Local.Loop.Now().Sub(c.accepted)
	switch {
	case left <= 0:
		c.giveUp(HandshakeTimeout)
	case c.entry.ending() || c.part == partIdle:
		c.giveUp(HandshakeEnded)
	default:
		c.entry.Conns.enter(&c.connection, partIdle)
		c.entry.Local.Loop.Arm(&c.readTimer, left)
	}
}

// giveUp ends the connection before its handshake has.
func (c *handshake) giveUp(reason string) {
	c.meter.HandshakeFailed(reason)
	conn := c.conn
	c.gone()
	conn.Close(false)
}

// shed is the speaker's.
func (c *handshake) shed() { c.giveUp(HandshakeEnded) }

// breakOff is the speaker's. Nothing of ours is written before the handshake is done, so it is never called.
func (c *handshake) breakOff(*codec.Error) { c.giveUp(HandshakeEnded) }

// drain is the speaker's: a handshake is fresh or idle.
func (c *handshake) drain() {}

// endExchanges is the speaker's.
func (c *handshake) endExchanges(func(*exchange.Env) bool) int { return 0 }

// endTunnels is the speaker's.
func (c *handshake) endTunnels() {}
