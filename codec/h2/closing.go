package h2

import (
	"traffic_management/codec"
	"traffic_management/internal/invariant"
)

// Shutdown announces to the peer that it should open no more streams (RFC 9113 section 6.8); those that it opens are
// taken. A client's session opens none any more.
func (s *Session) Shutdown() {
	if s.phase >= phaseAnnounced {
		return
	}
	if s.role == client {
		s.Finish()
		return
	}
	s.phase = phaseAnnounced
	s.control(appendGoAway(nil, streamBits, NoError, ""))
}

// Finish tells the peer the last stream that was taken; those that it opens from now on are ignored.
func (s *Session) Finish() {
	if s.phase >= phaseFinished {
		return
	}
	s.final = s.taken()
	s.phase = phaseFinished
	s.control(appendGoAway(nil, s.final, NoError, ""))
}

// taken is the last stream of the peer's that was taken. It never grows once the peer was told (RFC 9113 section 6.8).
func (s *Session) taken() uint32 {
	switch {
	case s.role == client:
		return 0
	case s.phase == phaseFinished:
		return s.final
	}
	return s.last
}

// collapse ends the connection by an error of the peer's (RFC 9113 section 5.4.1).
func (s *Session) collapse(e *Error) {
	s.control(appendGoAway(nil, s.taken(), e.Code, e.Reason))
	s.err = e
	s.phase = phaseFailed
	for len(s.reserved) > 0 {
		s.fault(s.reserved[0], streamLost)
	}
	for len(s.open) > 0 {
		s.fault(s.open[0], streamLost)
	}
	s.discard()
}

// Fail says that the connection is gone: every receiver hears Failed with e or, in a client's session, with a copy
// whose Retry says what may follow for its stream. Nothing is written any more.
func (s *Session) Fail(e *codec.Error) {
	if s.phase == phaseFailed {
		return
	}
	s.phase = phaseFailed
	var by [codec.RetrySafe + 1]*codec.Error
	with := func(r codec.Retry) *codec.Error {
		if s.role == server {
			return e
		}
		if by[r] == nil {
			c := *e
			c.Retry = r
			by[r] = &c
		}
		return by[r]
	}
	for len(s.reserved) > 0 {
		s.fail(s.reserved[0], with(codec.RetrySafe))
	}
	for len(s.open) > 0 {
		t, retry := s.open[0], codec.RetryNever
		if t.heard == partHead {
			retry = codec.RetryUnanswered
		}
		s.fail(t, with(retry))
	}
	s.discard()
}

// discard lets go of what a session that has failed does not need.
func (s *Session) discard() {
	s.decoder, s.block, s.incoming = decoder{}, block{}, incoming{}
	s.ended, s.stopped = ring{}, ring{}
}

// check states what holds between events.
func (s *Session) check() {
	queued, kept := int64(0), int64(0)
	for _, t := range s.open {
		queued += int64(t.out.size)
		kept += int64(t.held.size)
		invariant.Check(t.session == s && t.state != streamShut && t.state != streamIdle, "h2: open streams are open")
		invariant.Check(t.in.left+t.in.taken+int64(t.held.size) <= max(s.streamWindow(), firstWindow),
			"h2: no more of a stream is promised than its window")
		invariant.Check(int64(t.window) <= maxWindow, "h2: a window has 31 bits")
	}
	invariant.Check(queued == s.queued, "h2: what waits is counted")
	invariant.Check(kept <= s.connWindow(), "h2: no more is held than the connection's window")
	invariant.Check(s.in.left+s.in.taken <= s.connWindow(), "h2: no more is promised than the connection's window")
	invariant.Check(s.live >= len(s.open)+len(s.reserved), "h2: open streams count")
}
