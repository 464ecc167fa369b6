package h2

import "encoding/binary"

// settle takes a SETTINGS frame (RFC 9113 section 6.5).
func (s *Session) settle(f *frame, p []byte) *Error {
	switch {
	case f.stream != 0:
		return errStreamID
	case f.has(flagAck):
		return s.settingsAck(p)
	case len(p)%6 != 0:
		return errFrameSize
	}
	if bad := s.charge(budgetSettings); bad != nil {
		return bad
	}
	before := s.settings.window
	for ; len(p) > 0; p = p[6:] {
		id, value := setting(binary.BigEndian.Uint16(p)), binary.BigEndian.Uint32(p[2:])
		if bad := s.settings.apply(id, value, s.other()); bad != nil {
			return bad
		}
	}
	if by := s.settings.window - before; by != 0 {
		for _, t := range s.open {
			if !t.window.add(by) { // RFC 9113 section 6.9.2
				return errWindow
			}
		}
		for _, t := range s.reserved {
			t.window.add(by)
		}
	}
	s.control(appendFrame(s.small[:0], 0, frameSettings, flagAck, 0))
	if s.phase == phaseSettings {
		s.phase = phaseOpen
	}
	if s.role == client {
		s.events.Settings()
	}
	return nil
}

// other is the peer's role.
func (s *Session) other() role {
	if s.role == server {
		return client
	}
	return server
}

// settingsAck makes windows as small as we announced, which the peer now knows.
func (s *Session) settingsAck(p []byte) *Error {
	if len(p) != 0 {
		return errFrameSize
	}
	if s.acked == settingsAcked {
		return nil
	}
	before := s.streamWindow()
	s.acked = settingsAcked
	if by := s.streamWindow() - before; by != 0 {
		for _, t := range s.open {
			t.in.left += by
		}
		for _, t := range s.reserved {
			t.in.left += by
		}
	}
	return nil
}

// ping takes a PING frame (RFC 9113 section 6.7).
func (s *Session) ping(f *frame, p []byte) *Error {
	switch {
	case f.stream != 0:
		return errStreamID
	case len(p) != 8:
		return errFrameSize
	}
	data := binary.BigEndian.Uint64(p)
	if f.has(flagAck) {
		s.events.Pong(data)
		return nil
	}
	s.control(appendPing(s.small[:0], flagAck, data))
	return s.charge(budgetPings)
}

// goAway takes a GOAWAY frame (RFC 9113 section 6.8): streams of ours that the peer did not take may be tried elsewhere.
func (s *Session) goAway(f *frame, p []byte) *Error {
	switch {
	case f.stream != 0:
		return errGoAway
	case len(p) < 8:
		return errFrameSize
	}
	last, code := binary.BigEndian.Uint32(p)&streamBits, ErrCode(binary.BigEndian.Uint32(p[4:]))
	if s.peer == peerLeaves {
		if bad := s.charge(budgetUnknown); bad != nil {
			return bad
		}
	}
	s.peer = peerLeaves
	if s.role == client {
		for len(s.reserved) > 0 {
			s.fault(s.reserved[0], streamRefused)
		}
		for len(s.open) > 0 && s.open[len(s.open)-1].id > last {
			s.fault(s.open[len(s.open)-1], streamRefused)
		}
	}
	if s.phase != phaseFailed {
		s.events.GoAway(last, code)
	}
	return nil
}

// windowUpdate takes a WINDOW_UPDATE frame (RFC 9113 section 6.9).
func (s *Session) windowUpdate(f *frame, p []byte) *Error {
	if len(p) != 4 {
		return errFrameSize
	}
	if bad := s.charge(budgetUpdates); bad != nil {
		return bad
	}
	n := int64(binary.BigEndian.Uint32(p) & maxWindow)
	if f.stream == 0 {
		if n == 0 {
			return errZeroWindow
		}
		if !s.window.add(n) {
			return errWindow
		}
		return nil
	}
	t := s.stream(f.stream)
	switch {
	case t == nil && s.closed(f.stream) == closureIdle:
		return errIdleStream
	case t == nil:
		return nil
	case n == 0:
		return s.streamError(t, ProtocolError, streamWindow)
	case !t.window.add(n):
		return s.streamError(t, FlowControlError, streamWindow)
	}
	return nil
}

// resetBy takes an RST_STREAM frame (RFC 9113 section 6.4).
func (s *Session) resetBy(f *frame, p []byte) *Error {
	switch {
	case f.stream == 0:
		return errStreamID
	case len(p) != 4:
		return errFrameSize
	}
	t := s.stream(f.stream)
	if t == nil {
		if s.closed(f.stream) == closureIdle {
			return errIdleStream
		}
		return s.chargeLate()
	}
	code := ErrCode(binary.BigEndian.Uint32(p))
	s.remember(t.id, false)
	switch {
	case t.heard == partWhole && s.role == client && t.tunnel != tunnelOpen:
		s.shut(t) // the response is whole; the server wants no more of the request (RFC 9113 section 8.1)
		return nil
	case code == RefusedStream:
		s.fault(t, streamRefused)
	default:
		s.fault(t, streamReset)
	}
	return s.charge(budgetResets)
}

// priority takes a PRIORITY frame (RFC 9113 section 6.3), which means nothing any more.
func (s *Session) priority(f *frame, p []byte) *Error {
	switch {
	case f.stream == 0:
		return errStreamID
	case len(p) != 5:
		return s.faultOn(f.stream, FrameSizeError)
	case binary.BigEndian.Uint32(p)&streamBits == f.stream:
		return s.faultOn(f.stream, ProtocolError)
	}
	return s.charge(budgetPriorities)
}

// faultOn is a stream error on a stream in any state.
func (s *Session) faultOn(id uint32, code ErrCode) *Error {
	if t := s.stream(id); t != nil {
		return s.streamError(t, code, streamWindow)
	}
	if s.closed(id) == closureIdle { // RST_STREAM is not for those
		if code == FrameSizeError {
			return errFrameSize
		}
		return errPriority
	}
	return s.refuse(id, code)
}

// priorityUpdate takes a PRIORITY_UPDATE frame (RFC 9218 section 7.1). One that comes before its request is dropped:
// clients that know their mind then say it in the request.
func (s *Session) priorityUpdate(f *frame, p []byte) *Error {
	switch {
	case f.stream != 0 || s.role == client:
		return errPriority
	case len(p) < 4:
		return errFrameSize
	}
	id := binary.BigEndian.Uint32(p) & streamBits
	if id == 0 {
		return errPriority
	}
	if t := s.stream(id); t != nil {
		t.priority = parsePriority(p[4:])
	}
	return s.charge(budgetPriorities)
}
