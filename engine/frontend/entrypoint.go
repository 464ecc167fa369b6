package frontend

import (
	"time"

	"traffic_management/codec/h1"
	"traffic_management/codec/h2"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

// Settings are what an entry point's configuration says of its client connections; immutable.
type Settings struct {
	HeaderTimeout time.Duration // for a whole request head
	BodyIdle      time.Duration // longest silence inside request content
	BodyGrace     time.Duration // before BodyMinRate is asked for
	BodyMinRate   int64         // bytes a second of request content, on average; 0: no limit
	IdleTimeout   time.Duration // between requests
	WriteTimeout  time.Duration // longest the client may take nothing of what is queued for it
	TunnelIdle    time.Duration // longest silence in both directions of a tunnel
	Limits        h1.Limits     // of request heads and trailer sections
	MaxRequests   int           // on one connection; 0: no limit
	HTTP2         *h2.Config    // nil: HTTP/2 is not spoken
}

// Meter counts the client connections of one entry point on one loop.
type Meter interface {
	Accepted()
	Closed()
	TunnelOpened() // a connection, or a stream of one, became a tunnel
	TunnelClosed() // that connection or stream ended
	// Handshake says that a TLS handshake was completed, HandshakeFailed that one was not: a reactor.HandshakeReason's
	// text, HandshakeTimeout or HandshakeEnded.
	Handshake(resumed bool)
	HandshakeFailed(reason string)
	HTTP2Opened()             // a connection speaks HTTP/2
	HTTP2Closed()             // that connection closed
	HTTP2Error(reason string) // it was ended for what the client sent: an h2.Error's reason
}

// EntryPoint is one entry point's part of one loop. It belongs to the loop.
type EntryPoint struct {
	// Immutable:
	Local *exchange.Local
	Conns *Connections
	// OnClosed, when set, is called after a connection closed.
	OnClosed func()

	// Owned by the loop; a reload replaces them.
	Meter    Meter // a connection keeps the one it was accepted with
	Env      *exchange.Env
	Settings *Settings
	TLS      *TLS // nil: clear text

	stage drainStage // drainRunning after Leave
}

// Accept takes a new client connection.
func (e *EntryPoint) Accept(conn reactor.Conn) reactor.Sink {
	e.Meter.Accepted()
	if e.TLS != nil {
		return e.beginHandshake(conn)
	}
	return e.beginH1(conn, e.Meter, exchange.NewPeer(conn.Peer(), conn.Local(), nil, nil))
}
