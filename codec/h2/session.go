package h2

import (
	"time"

	"traffic_management/codec"
)

// Config bounds and shapes the sessions of one entry point, or of one service. It is immutable once used, and shared.
type Config struct {
	// MaxStreams is how many streams may be open at once: of a server's session it is announced to the client, and a
	// stream counts until its owner has released it; a client's session opens no more, whatever the server allows.
	MaxStreams int
	// StreamWindow and ConnWindow are the flow-control windows for content that we receive, in bytes. That of a
	// connection is 65535 at least. What is held of one connection's content is never more than ConnWindow.
	StreamWindow, ConnWindow int64
	// MaxHeadBytes and MaxFields bound a decoded field section. The first counts name, value and 32 of each field
	// (RFC 9113 section 6.5.2), the second fields without ":", every piece of a cookie on its own.
	MaxHeadBytes, MaxFields int
	// ExtendedConnect announces to clients that WebSockets may be opened on streams (RFC 8441).
	ExtendedConnect bool
	// MaxQueued is how many bytes of content may wait to be sent over all streams: above it every Stream.Queued reports
	// more than codec.HighMark. 0: 256 kB.
	MaxQueued int64
	// WriteStall is the longest that the content queued on a stream may stand still because the peer's windows are
	// closed; the stream is reset then. 0: for ever.
	WriteStall time.Duration
}

// Wire takes what a session sends. It takes all, and lends nothing back: what it cannot pass on at once it copies.
// reactor.Conn is one.
type Wire interface {
	Write(p []byte)
	Writev(bufs [][]byte)
	// Queued is how many bytes wait. When it passed codec.HighMark, Flush must be called at codec.LowMark.
	Queued() int
}

// Events hears what concerns a connection. All but Later are called inside Receive, Deliver, Tick and Flush only.
type Events interface {
	// Request delivers a whole and valid request head to a server; end says that the request has no content. What it
	// returns hears the rest of the stream: Data, Trailers, Drained, Failed (never Ready, never Head). nil refuses the
	// stream (REFUSED_STREAM): then s is gone. h is lent for the call, and its slices lie in raw or are constant, so
	// that to keep h is to copy raw and Rebase.
	Request(s *Stream, h *codec.Head, raw []byte, end bool) codec.Receiver
	// Refused asks a server to answer, with e's status, a request whose head is over the limits or has an invalid
	// target. What it returns is as Request's; the request's content is not delivered.
	Refused(s *Stream, e *codec.Error) codec.Receiver
	// Settings says that the server's settings came, or changed: Room and ExtendedConnect may have.
	Settings()
	// GoAway says that the peer takes no more streams. Those above last have heard Failed with codec.RetrySafe.
	GoAway(last uint32, code ErrCode)
	// Pong is the answer to Ping.
	Pong(data uint64)
	// Later says that Deliver must be called after the present event. It may come inside any call of a Stream.
	Later()
}

// NewServer begins a server's session: SETTINGS are written to w. now is the loop's time, on any scale, as in all other
// calls. The session belongs to the loop of w.
func NewServer(c *Config, w Wire, e Events, now time.Duration) *Session {
	return newSession(c, w, e, now, server)
}

// NewClient begins a client's session: the preface and SETTINGS are written to w. As NewServer else.
func NewClient(c *Config, w Wire, e Events, now time.Duration) *Session {
	return newSession(c, w, e, now, client)
}
