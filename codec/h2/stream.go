package h2

import (
	"slices"
	"sync"
	"time"

	"traffic_management/codec"
	"traffic_management/internal/invariant"
)

// holder is who has a stream.
type holder uint8

const (
	holderOwner holder = iota // whoever got it from Open or Request
	holderNone                // it was released: it only sends what is queued
)

// part is how much of the peer's message has come.
type part uint8

const (
	partHead    part = iota // a client's: no final response head
	partContent             // the head has, content follows
	partIgnored             // the head has; content is dropped
	partWhole               // all has, though the receiver may not have heard it yet
)

func (p part) String() string { return [...]string{"head", "content", "ignored", "whole"}[p] }

// tunnel is whether a stream carries another protocol (RFC 8441).
type tunnel uint8

const (
	tunnelNone    tunnel = iota
	tunnelOffered        // the request was an extended CONNECT
	tunnelOpen           // and the server has agreed
)

// ending is what follows queued content, in either direction.
type ending uint8

const (
	endingNone     ending = iota // more content may
	endingStream                 // the end of the message
	endingTrailers               // a trailer section, which is the end
)

// level is which mark a queue passed last.
type level uint8

const (
	levelLow  level = iota
	levelHigh       // its sender was told so: Drained is owed
)

// place is whether a stream is in Session.waiting.
type place uint8

const (
	placeNone place = iota
	placeWaiting
)

// Stream is one stream of a session (RFC 9113 section 5): it sends one message, and its receiver hears the other. It
// belongs to the session's loop. It is a codec.Stream; what is passed to it is lent for the call.
//
// Whoever got it gives it back with Release, once, whatever became of it; it may not be touched afterwards.
type Stream struct {
	session  *Session
	receiver codec.Receiver // nil: nobody hears it
	id       uint32
	state    streamState
	holder   holder
	heard    part
	tunnel   tunnel
	method   codec.Method // of the request
	priority priority
	head     int // bytes charged for its field sections

	in     inflow
	length int64 // content that is announced and has not come; -1: not announced
	holds  int   // times that the receiver holds the stream
	held   queue // content that came meanwhile
	after  ending
	rest   []codec.Field  // with endingTrailers: what came
	offer  *protocolOffer // a client's, with tunnelOffered
	doomed *codec.Error   // Failed is due in Deliver

	window outflow
	out    queue
	ending ending
	block  []byte // with endingTrailers: the field block to send
	level  level
	place  place
	turn   uint32        // Session.turns when it last sent
	moved  time.Duration // when the queue last moved
	moving int           // bytes sent since
}

var _ codec.Stream = (*Stream)(nil)

var streams = sync.Pool{New: func() any { return new(Stream) }}

func (s *Session) newStream(id uint32) *Stream {
	t := streams.Get().(*Stream)
	t.session, t.id, t.length, t.priority = s, id, -1, priorityUnknown
	t.in.left, t.window = s.streamWindow(), outflow(s.settings.window)
	s.live++
	return t
}

// free gives the memory of a stream back that is closed and released.
func (s *Session) free(t *Stream) {
	s.live--
	t.held.clear()
	*t = Stream{}
	streams.Put(t)
}

// ID is the stream's identifier, 0 before a client has sent the head.
func (t *Stream) ID() uint32 { return t.id }

// Tunnel reports whether the stream was opened by an extended CONNECT (RFC 8441).
func (t *Stream) Tunnel() bool { return t.tunnel != tunnelNone }

// Queued is codec.Stream's: what waits on this stream or, when something does and the connection has more than
// Config.MaxQueued, more than codec.HighMark. Whoever was told of more than that hears Drained. A stream on which nothing
// waits does not suffer for others whose windows stay closed.
func (t *Stream) Queued() int {
	n, s := t.out.size, t.session
	if t.state == streamShut {
		return 0
	}
	if n > 0 && s.queued > s.maxQueued {
		n = max(n, codec.HighMark+1)
	}
	if n > codec.HighMark && t.level == levelLow {
		t.level = levelHigh
		s.owed = append(s.owed, t)
	}
	return n
}

// Fits is how many bytes of content are worth getting for the stream now: as many as can leave at once, or as may wait
// until the connection has Config.MaxQueued queued. 0 while there is room for none.
func (t *Stream) Fits() int {
	s := t.session
	room := max(0, s.maxQueued-s.queued)
	if s.state != wireFull {
		room = max(room, int64(min(s.window, t.window)))
	}
	return int(room)
}

// Hold is codec.Stream's: held content is kept, within the stream's window.
func (t *Stream) Hold(on bool) {
	if on {
		t.holds++
		return
	}
	if invariant.Enabled {
		invariant.Check(t.holds > 0, "h2: a hold is let go of once")
	}
	if t.holds--; t.holds == 0 && (t.held.size > 0 || t.after != endingNone) {
		t.session.hear(t)
	}
}

// Reset is codec.Stream's: RST_STREAM with the code that fits e. The receiver hears nothing any more.
func (t *Stream) Reset(e *codec.Error) {
	code := Cancel
	switch {
	case e == nil:
	case e.Side == codec.Upstream && t.session.role == server, e.Side == codec.Internal:
		code = InternalError
	}
	t.stop(code)
}

// Release gives the stream back: its owner wants nothing more, and hears nothing any more. What a server has queued of a
// whole response is still sent, and then the rest of the request is stopped (NO_ERROR); what a client has queued of a
// whole request is, when the response is whole or the request's end is that of a tunnel, which then has Config.Linger to
// end on the other side. Else the stream is reset (CANCEL) unless both messages are whole.
func (t *Stream) Release() {
	s := t.session
	if invariant.Enabled {
		invariant.Check(t.holder == holderOwner, "h2: a stream is released once")
	}
	t.receiver, t.holder = nil, holderNone
	s.forget(t)
	s.dropHeld(t)
	switch {
	case t.state == streamShut:
		s.free(t)
	case s.role == server && t.state == streamHalfLocal:
		t.stop(NoError)
	case t.ending != endingNone && (s.role == server || t.heard == partWhole), t.tunnel == tunnelOpen && !t.sends():
		if t.heard != partWhole {
			t.heard = partIgnored
		}
		if s.role == client {
			t.moved = unseen
		}
	default:
		t.stop(Cancel)
	}
}

// stop resets the stream for its owner.
func (t *Stream) stop(code ErrCode) {
	if t.state == streamShut {
		return
	}
	s := t.session
	t.receiver = nil
	s.forget(t)
	s.dropHeld(t)
	if t.state != streamIdle {
		s.late += lateFrames
	}
	s.reset(t, code)
	s.shut(t)
}

// reset sends RST_STREAM, unless the peer knows nothing of the stream.
func (s *Session) reset(t *Stream, code ErrCode) {
	if t.state != streamIdle {
		s.control(appendReset(s.small[:0], t.id, code))
		s.remember(t.id, t.heard != partWhole)
	}
}

// shut closes a stream: no frame of it is sent or awaited any more. It is freed when it was released, else its owner
// still has it.
func (s *Session) shut(t *Stream) {
	if t.state == streamIdle {
		s.reserved = slices.DeleteFunc(s.reserved, func(r *Stream) bool { return r == t })
	} else if i, ok := s.find(t.id); ok {
		s.open = slices.Delete(s.open, i, i+1)
	}
	t.state = streamShut
	s.heads -= t.head
	t.head = 0
	s.unqueue(t)
	if s.incoming.stream == t {
		s.incoming.stream = nil
	}
	if t.holder == holderNone {
		s.free(t)
	}
}

// end closes a stream both of whose messages are whole.
func (s *Session) end(t *Stream) {
	s.remember(t.id, false)
	s.repay(budgetResets, 1)
	s.shut(t)
}

// forget takes a stream off the lists of those that are to hear something.
func (s *Session) forget(t *Stream) {
	if s.current == t {
		s.current = nil
	}
	for _, list := range [...][]*Stream{s.owed, s.notified, s.pending, s.hearing} {
		for i := range list {
			if list[i] == t {
				list[i] = nil
			}
		}
	}
}
