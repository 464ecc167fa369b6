package h2

import "traffic_management/codec"

// fault closes a stream before its end, and its receiver hears Failed.
func (s *Session) fault(t *Stream, f streamFault) {
	retry := codec.RetryNever
	switch {
	case s.role == server:
	case t.id == 0 || f == streamRefused:
		retry = codec.RetrySafe
	case t.heard == partHead:
		retry = codec.RetryUnanswered
	}
	s.fail(t, streamErrors[s.role][f][retry])
}

// fail is fault with an error of its own. A client's stream whose response is whole has not failed: its receiver, if it
// has not heard all of it yet, hears the rest.
func (s *Session) fail(t *Stream, e *codec.Error) {
	if s.role == client && t.heard == partWhole && t.tunnel != tunnelOpen {
		s.shut(t)
		return
	}
	r := t.receiver
	t.receiver = nil
	s.forget(t)
	s.dropHeld(t)
	s.shut(t)
	if r != nil {
		r.Failed(e)
	}
}

// streamError is what a peer's fault on one stream costs (RFC 9113 section 5.4.2): the stream, and a token.
func (s *Session) streamError(t *Stream, code ErrCode, f streamFault) *Error {
	s.reset(t, code)
	s.fault(t, f)
	return s.charge(budgetResets)
}

// refuse is streamError for a stream that was never made, or is no more.
func (s *Session) refuse(id uint32, code ErrCode) *Error {
	s.control(appendReset(s.small[:0], id, code))
	s.remember(id, true)
	return s.charge(budgetResets)
}

// lateFrames is how many of HEADERS and RST_STREAM a peer may send on a stream before it knows of our owner's reset: a
// response's head and its trailer section, or the reset behind its head.
const lateFrames = 2

// chargeLate is what HEADERS or RST_STREAM cost on a stream that is not open: nothing when the peer may not have known.
func (s *Session) chargeLate() *Error {
	if s.late > 0 {
		s.late--
		return nil
	}
	return s.charge(budgetResets)
}

// charge spends a token; the error is that of having none.
func (s *Session) charge(k budget) *Error {
	if s.spend(k) {
		return nil
	}
	return allowances[k].over
}
