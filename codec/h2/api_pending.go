package h2

import (
	"time"

	"traffic_management/codec"
)

type role uint8

const (
	server role = iota
	client
)

// Session is one HTTP/2 connection.
type Session struct{}

func newSession(c *Config, w Wire, e Events, now time.Duration, r role) *Session { return &Session{} }

// Receive takes the bytes at the start of b that make whole frames, and content as it comes, and returns how many they
// are; the rest must be presented again, with what follows. The error is an *Error: GOAWAY has been written, every
// receiver has heard Failed, and the connection is to be closed gently.
func (s *Session) Receive(b []byte, now time.Duration) (n int, err error) { panic("pending") }

// Deliver does what became possible inside calls of streams: what was held is delivered. Due after Events.Later.
func (s *Session) Deliver() { panic("pending") }

// Flush says that the wire has room again.
func (s *Session) Flush() { panic("pending") }

// Tick is due about once a second while Streams is not 0: it resets streams whose queue the peer's windows hold up.
func (s *Session) Tick(now time.Duration) { panic("pending") }

// Open reserves a stream of a client's session; its id is given when its Head is sent. r hears the response. It is nil
// when Room is 0.
func (s *Session) Open(r codec.Receiver) *Stream { panic("pending") }

// Room is how many streams Open would give now.
func (s *Session) Room() int { panic("pending") }

// Streams is how many streams are not released yet, or still have something to send.
func (s *Session) Streams() int { panic("pending") }

// Requests is how many streams were opened ever.
func (s *Session) Requests() int { panic("pending") }

// Shutdown announces to the peer that it should open no more streams; those that it opens are taken.
func (s *Session) Shutdown() { panic("pending") }

// Finish tells the peer the last stream that was taken; those that it opens from now on are ignored.
func (s *Session) Finish() { panic("pending") }

// Ping asks for Events.Pong with this data.
func (s *Session) Ping(data uint64) { panic("pending") }

// Fail says that the connection is gone: every receiver hears Failed with e or, in a client's session, with a copy
// whose Retry says what may follow for its stream. Nothing is written any more.
func (s *Session) Fail(e *codec.Error) { panic("pending") }

// Expecting reports whether the peer has begun what it must finish soon: the preface, a frame, a field section.
func (s *Session) Expecting() bool { panic("pending") }

// ExtendedConnect reports whether the server lets WebSockets be opened on streams (RFC 8441).
func (s *Session) ExtendedConnect() bool { panic("pending") }

// Each calls f for every open stream, in the order of ids. f may release and reset streams.
func (s *Session) Each(f func(*Stream)) { panic("pending") }

// ID is the stream's identifier, 0 before a client has sent the head.
func (t *Stream) ID() uint32 { return t.id }

// Tunnel reports whether the stream was opened by an extended CONNECT (RFC 8441).
func (t *Stream) Tunnel() bool { panic("pending") }

// Release gives the stream back: its owner wants nothing more, and hears nothing any more. What a server has queued is
// still sent; if the request is not whole then, it is stopped (NO_ERROR) when the response is, or the stream is
// reset. A client's stream is reset (CANCEL) unless both messages are whole.
func (t *Stream) Release() { panic("pending") }

// Head is codec.Stream's.
func (t *Stream) Head(h *codec.Head, end bool) { panic("pending") }

// Data is codec.Stream's.
func (t *Stream) Data(p []byte, end bool) { panic("pending") }

// Trailers is codec.Stream's.
func (t *Stream) Trailers(f []codec.Field) { panic("pending") }

// Reset is codec.Stream's.
func (t *Stream) Reset(e *codec.Error) { panic("pending") }

// Hold is codec.Stream's.
func (t *Stream) Hold(on bool) { panic("pending") }

// Queued is codec.Stream's.
func (t *Stream) Queued() int { panic("pending") }
