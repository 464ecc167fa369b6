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
	// MaxBurst is how many requests one call of Receive of a server's session begins: then More reports true, so that other
	// connections have their turn. 0: as many as there are.
	MaxBurst int
	// ExtendedConnect announces to clients that WebSockets may be opened on streams (RFC 8441).
	ExtendedConnect bool
	// MaxQueued is how many bytes of content may wait to be sent over all streams: above it Stream.Queued reports more than
	// codec.HighMark for every stream on which any wait. 0: 256 kB.
	MaxQueued int64
	// Secure says that a client's session is over TLS: the scheme of its requests is "https", else "http".
	Secure bool
	// WriteStall is the longest that the content queued on a stream may stand still because the peer's windows are
	// closed; the stream is reset then. 0: for ever. In a client's session only those that were released: how long another
	// may wait for the server is its owner's to say.
	WriteStall time.Duration
	// Linger is how long a client's session waits for the server to end a tunnel that was released, behind our own end.
	// 0: for ever.
	Linger time.Duration
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

// role is the side of the connection that a session is.
type role uint8

const (
	server role = iota
	client
)

// phase is how far the life of a session has come.
type phase uint8

const (
	phasePreface   phase = iota // a server's: the client's preface is not whole
	phaseSettings               // the peer's SETTINGS must come first
	phaseOpen                   // frames are exchanged
	phaseAnnounced              // as open; the peer was asked to open no more streams
	phaseFinished               // streams go on, no more are taken: it was told the last one
	phaseFailed                 // nothing is read or written any more, and no stream is left
)

func (p phase) String() string {
	return [...]string{"preface", "settings", "open", "announced", "finished", "failed"}[p]
}

// wireState is what is known of the wire.
type wireState uint8

const (
	wireOpen wireState = iota
	wireFull           // content waits for Flush
)

// duty is whether Deliver is due.
type duty uint8

const (
	dutyNone  duty = iota
	dutyAsked      // Events.Later was called
)

// peerState is whether the peer takes streams.
type peerState uint8

const (
	peerTakes  peerState = iota
	peerLeaves           // its GOAWAY came
)

// Session is one HTTP/2 connection (RFC 9113). It belongs to the loop of its wire, and holds no buffers while no stream
// is open.
type Session struct {
	// Immutable:
	config    *Config
	wire      Wire
	events    Events
	role      role
	maxQueued int64

	// Owned by the loop:
	phase  phase
	peer   peerState
	state  wireState
	duty   duty
	acked  settingsState
	begun  inputState
	tables tableState
	now    time.Duration
	err    *Error // why it failed

	decoder  decoder
	block    block    // a field block that is not whole
	incoming incoming // the DATA frame that is not whole
	last     uint32   // the peer's last stream (server), or our next one (client)
	final    uint32   // in phaseFinished: the last that the peer was told of
	opened   int      // streams ever
	live     int      // streams that count against the limits
	burst    int      // requests that the present call of Receive has begun
	heads    int      // bytes charged for the heads of open streams
	unread   int      // control frames sent while the peer did not read
	late     int      // frames that may still come on streams that their owners have reset
	turns    uint32   // for streams that take turns

	settings settings
	in       inflow        // of the connection
	window   outflow       // of the connection
	queued   int64         // content that waits over all streams
	moved    time.Duration // when content last moved on any stream, as Stream.moved
	moving   int           // bytes sent since

	open     []*Stream // by id, those that frames are exchanged on
	reserved []*Stream // a client's, without id yet
	waiting  []*Stream // have something queued
	owed     []*Stream // are to hear Drained
	notified []*Stream // those of owed being looked at
	pending  []*Stream // have something to hear in Deliver
	hearing  []*Stream // those of pending being looked at
	current  *Stream   // whose receiver is being called; nil again when it was released
	ended    ring      // of streams that ended lately
	stopped  ring      // of those that we have reset
	buckets  [budgets]bucket
	small    [24]byte // for control frames
}

// settingsState is whether the peer has acknowledged our SETTINGS: until then it may use windows of 65535.
type settingsState uint8

const (
	settingsSent settingsState = iota
	settingsAcked
)

// inputState is what Receive has left.
type inputState uint8

const (
	inputBetween inputState = iota // between frames
	inputInside                    // a part of a frame is at hand
	inputMore                      // whole frames are at hand
)

// tableState is whether the peer knows that we use no dynamic table.
type tableState uint8

const (
	tableAssumed tableState = iota
	tableEmptied
)

// NewServer begins a server's session: SETTINGS are written to w. now is the loop's time, on any scale, as in all other
// calls. The session belongs to the loop of w.
func NewServer(c *Config, w Wire, e Events, now time.Duration) *Session {
	return newSession(c, w, e, now, server)
}

// NewClient begins a client's session: the preface and SETTINGS are written to w. As NewServer else.
func NewClient(c *Config, w Wire, e Events, now time.Duration) *Session {
	return newSession(c, w, e, now, client)
}

// defaultQueued is Config.MaxQueued when it is not set.
const defaultQueued = 256 << 10

func newSession(c *Config, w Wire, e Events, now time.Duration, r role) *Session {
	s := &Session{config: c, wire: w, events: e, role: r, now: now, maxQueued: c.MaxQueued}
	if s.maxQueued == 0 {
		s.maxQueued = defaultQueued
	}
	s.decoder.table.limit = tableSize
	s.settings = settings{maxStreams: assumedStreams, window: firstWindow}
	s.in.left, s.window = s.connWindow(), firstWindow
	for k := range s.buckets {
		s.buckets[k].since = now
	}
	o := outputs.Get().(*output)
	o.bytes = o.bytes[:0]
	if r == client {
		s.phase, s.last = phaseSettings, 1
		o.bytes = append(o.bytes, preface...)
	}
	o.bytes = appendSettings(o.bytes, c, r)
	w.Write(o.bytes)
	outputs.Put(o)
	return s
}

// connWindow is the whole window of the connection, which cannot be less than what it begins with.
func (s *Session) connWindow() int64 { return max(s.config.ConnWindow, firstWindow) }

// streamWindow is the whole window of a stream. A peer that has not seen ours yet may use the one that all begin with.
func (s *Session) streamWindow() int64 {
	if s.acked == settingsAcked {
		return s.config.StreamWindow
	}
	return max(s.config.StreamWindow, firstWindow)
}

// Streams is how many streams are not released yet, or still have something to send.
func (s *Session) Streams() int { return s.live }

// Requests is how many streams were opened ever.
func (s *Session) Requests() int { return s.opened }

// Choked reports whether content that is held uses up the connection's window, so that none comes on any stream.
func (s *Session) Choked() bool { return s.in.left <= 0 }

// Room is how many streams Open would give now.
func (s *Session) Room() int {
	if s.role == server || s.phase >= phaseAnnounced || s.peer == peerLeaves || s.last > streamBits-2*uint32(len(s.reserved)) {
		return 0
	}
	return max(0, s.Limit()-s.live)
}

// Limit is how many streams a client's session may have at once, as far as the server has said.
func (s *Session) Limit() int { return int(min(int64(s.config.MaxStreams), s.settings.maxStreams)) }

// Expecting reports whether the peer has begun what it must finish soon: the preface, a frame, a field section.
func (s *Session) Expecting() bool {
	return s.phase <= phaseSettings || s.block.stream != 0 || s.begun == inputInside
}

// More reports whether Receive has stopped before the end of what it was given because of Config.MaxBurst: it is to be
// called again when others had their turn.
func (s *Session) More() bool { return s.begun == inputMore }

// ExtendedConnect reports whether the server lets WebSockets be opened on streams (RFC 8441).
func (s *Session) ExtendedConnect() bool { return s.settings.extendedConnect }

// Open reserves a stream of a client's session; its id is given when its Head is sent. r hears the response. It is nil
// when Room is 0.
func (s *Session) Open(r codec.Receiver) *Stream {
	if s.Room() == 0 {
		return nil
	}
	t := s.newStream(0)
	t.receiver = r
	s.reserved = append(s.reserved, t)
	return t
}

// Ping asks for Events.Pong with this data.
func (s *Session) Ping(data uint64) { s.control(appendPing(s.small[:0], 0, data)) }
