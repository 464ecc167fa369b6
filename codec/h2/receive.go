package h2

import (
	"time"

	"traffic_management/internal/invariant"
)

// Receive takes the bytes at the start of b that make whole frames, and content as it comes, and returns how many they
// are; the rest must be presented again, with what follows. The error is an *Error: GOAWAY has been written, every
// receiver has heard Failed, and the connection is to be closed gently.
func (s *Session) Receive(b []byte, now time.Duration) (n int, err error) {
	s.now, s.burst = now, 0
	n, bad := s.frames(b)
	if bad == nil && s.unread > maxUnread {
		bad = errUnread
	}
	if bad != nil && s.phase != phaseFailed {
		s.collapse(bad)
	}
	if s.phase == phaseFailed {
		if s.err == nil {
			return len(b), nil // the driver has called Fail inside an event
		}
		return len(b), s.err
	}
	switch {
	case n == len(b):
		s.begun = inputBetween
	case s.sated():
		s.begun = inputMore
	default:
		s.begun = inputInside
	}
	s.pump()
	s.notify()
	if invariant.Enabled {
		s.check()
	}
	return n, nil
}

// sated reports whether the present call of Receive has begun as many requests as it may.
func (s *Session) sated() bool { return s.config.MaxBurst > 0 && s.burst >= s.config.MaxBurst }

// begins reports whether a frame begins a request. Those that follow what one call may begin are of what it has begun.
func (s *Session) begins(f *frame) bool { return f.typ == frameHeaders && f.stream > s.last }

// frames takes one frame after the other.
func (s *Session) frames(b []byte) (n int, bad *Error) {
	if s.phase == phasePreface {
		if n, bad = s.prefaceOf(b); n == 0 {
			return 0, bad
		}
	}
	for s.phase != phaseFailed {
		if s.incoming.left > 0 || s.incoming.pad > 0 {
			n += s.content(b[n:])
			if s.incoming.left > 0 || s.incoming.pad > 0 {
				break
			}
			continue
		}
		if len(b)-n < headerSize {
			break
		}
		f := parseFrame(b[n:])
		if s.sated() && s.begins(&f) {
			break
		}
		if bad = s.allowed(&f); bad != nil {
			return n, bad
		}
		if f.typ == frameData {
			size, bad := s.data(&f, b[n+headerSize:])
			if bad != nil || size < 0 {
				return n, bad
			}
			n += headerSize + size
			continue
		}
		end := n + headerSize + f.length
		if end > len(b) {
			break
		}
		if bad = s.frame(&f, b[n+headerSize:end]); bad != nil {
			return n, bad
		}
		n = end
	}
	return n, nil
}

// prefaceOf takes the client's preface; n is 0 while it is not whole.
func (s *Session) prefaceOf(b []byte) (n int, bad *Error) {
	k := min(len(b), len(preface))
	switch {
	case string(b[:k]) != preface[:k]:
		return 0, errPreface
	case k < len(preface):
		return 0, nil
	}
	s.phase = phaseSettings
	return k, nil
}

// allowed checks what can be told from a frame's header: its size, and whether a frame of this type may come now.
func (s *Session) allowed(f *frame) *Error {
	switch {
	case s.phase == phaseSettings && (f.typ != frameSettings || f.has(flagAck)):
		return errNoSettings
	case f.length > maxFrameSize:
		return errFrameSize
	case s.block.stream != 0 && (f.typ != frameContinuation || f.stream != s.block.stream):
		return errContinuation
	}
	return nil
}

// frame takes one whole frame other than DATA.
func (s *Session) frame(f *frame, p []byte) *Error {
	switch f.typ {
	case frameHeaders:
		return s.headers(f, p)
	case frameContinuation:
		return s.continuation(f, p)
	case framePriority:
		return s.priority(f, p)
	case frameReset:
		return s.resetBy(f, p)
	case frameSettings:
		return s.settle(f, p)
	case framePush:
		return errPush // SETTINGS_ENABLE_PUSH is 0, and clients never push
	case framePing:
		return s.ping(f, p)
	case frameGoAway:
		return s.goAway(f, p)
	case frameWindowUpdate:
		return s.windowUpdate(f, p)
	case framePriorityUpdate:
		return s.priorityUpdate(f, p)
	}
	return s.charge(budgetUnknown) // RFC 9113 section 5.5
}

// control writes a frame that waits for no window. How many the peer leaves unread is bounded.
func (s *Session) control(p []byte) {
	if s.phase == phaseFailed {
		return
	}
	if s.unread++; s.wire.Queued() <= unreadMark {
		s.unread = 0
	}
	s.wire.Write(p)
}
