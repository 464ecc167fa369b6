package h2

// incoming is a DATA frame that is being received: content is passed on as it comes.
type incoming struct {
	stream *Stream // nil: the content is dropped
	left   int     // content to come
	pad    int     // padding to come
	end    messageEnd
}

// data takes the header of a DATA frame (RFC 9113 section 6.1), and the length of its padding from b, which follows the
// header. size is how much of b that was; less than 0: it is not there yet.
func (s *Session) data(f *frame, b []byte) (size int, bad *Error) {
	content, pad := f.length, 0
	if f.has(flagPadded) {
		switch {
		case f.length == 0:
			return 0, errFrameSize
		case len(b) == 0:
			return -1, nil
		}
		size, pad = 1, int(b[0])
		if content -= 1 + pad; content < 0 {
			return 0, errPadding
		}
	}
	if f.stream == 0 {
		return 0, errStreamID
	}
	if !s.in.receive(f.length) {
		return 0, errWindow
	}
	s.incoming = incoming{left: content, pad: pad, end: endOf(f)}
	t := s.stream(f.stream)
	if t == nil {
		s.takenBy(nil, size+pad)
		return size, s.dataOnClosed(f)
	}
	if code, fault := s.judge(t, f, content); code != NoError {
		s.takenBy(nil, size+pad)
		return size, s.streamError(t, code, fault)
	}
	s.takenBy(t, size+pad)
	if content == 0 && !f.has(flagEndStream) {
		return size, s.charge(budgetEmpty)
	}
	if s.incoming.stream = t; content == 0 {
		s.incoming.stream = nil
		s.deliver(t, nil, ends)
	}
	return size, nil
}

// dataOnClosed judges DATA on a stream that is not open.
func (s *Session) dataOnClosed(f *frame) *Error {
	switch s.closed(f.stream) {
	case closureIdle:
		return errIdleStream
	case closureEnded:
		return s.refuse(f.stream, StreamClosed)
	}
	if f.length == 0 {
		return s.charge(budgetEmpty)
	}
	return nil // the peer may not know of our reset yet
}

// judge tells the code of the stream error that a DATA frame is, or NoError. What it may bring is taken from the
// stream's window and from the length that the message has announced.
func (s *Session) judge(t *Stream, f *frame, content int) (ErrCode, streamFault) {
	if step := steps[t.state][gotData]; step.code != NoError {
		return step.code, streamWindow
	}
	if !t.in.receive(f.length) {
		return FlowControlError, streamWindow
	}
	if t.heard == partHead {
		return ProtocolError, streamMalformed
	}
	if t.length >= 0 {
		if t.length -= int64(content); t.length < 0 || f.has(flagEndStream) && t.length > 0 {
			return ProtocolError, streamMalformed
		}
	}
	return NoError, 0
}

// content takes what there is of the present DATA frame, and returns how much that was.
func (s *Session) content(b []byte) int {
	d := &s.incoming
	n := min(len(b), d.left)
	if n > 0 {
		d.left -= n
		t, end := d.stream, goesOn
		if d.left == 0 {
			d.stream, end = nil, d.end
		}
		if t == nil {
			s.takenBy(nil, n)
		} else {
			s.deliver(t, b[:n:n], end)
		}
	}
	pad := min(len(b)-n, d.pad)
	if d.left > 0 {
		return n
	}
	d.pad -= pad
	return n + pad
}

// deliver gives content to a stream's receiver, or keeps it while that holds the stream.
func (s *Session) deliver(t *Stream, p []byte, end messageEnd) {
	r := t.receiver
	switch {
	case r == nil || t.heard == partIgnored:
		s.takenBy(t, len(p))
		if end == ends {
			s.gotEnd(t)
		}
	case t.holds > 0 || t.held.size > 0:
		t.held.push(p)
		if end == ends {
			t.after = endingStream
			s.gotEnd(t)
		}
	default:
		s.takenBy(t, len(p))
		if end == ends {
			s.gotEnd(t)
		}
		r.Data(p, end == ends)
	}
}

// gotEnd notes that the peer's message is whole. The stream may be gone afterwards when nobody has it.
func (s *Session) gotEnd(t *Stream) {
	t.heard = partWhole
	if t.state = steps[t.state][gotEnd].next; t.state == streamShut {
		s.end(t)
	}
}

// takenBy gives windows back for bytes that were taken: the connection's, and the stream's if it has one still.
func (s *Session) takenBy(t *Stream, n int) {
	if n == 0 {
		return
	}
	if by := s.in.take(n); by > 0 {
		s.control(appendWindowUpdate(s.small[:0], 0, by))
	}
	if t == nil || t.heard == partWhole || t.state == streamShut {
		return
	}
	if by := t.in.take(n); by > 0 {
		s.control(appendWindowUpdate(s.small[:0], t.id, by))
	}
}

// dropHeld drops what a stream's receiver will not take any more.
func (s *Session) dropHeld(t *Stream) {
	n := t.held.size
	t.held.clear()
	t.after, t.rest = endingNone, nil
	s.takenBy(nil, n)
}

// hear makes Deliver look at a stream.
func (s *Session) hear(t *Stream) {
	s.pending = append(s.pending, t)
	s.later()
}

// later asks for Deliver.
func (s *Session) later() {
	if s.duty == dutyNone {
		s.duty = dutyAsked
		s.events.Later()
	}
}

// Deliver does what became possible inside calls of streams: what was held is delivered. Due after Events.Later.
func (s *Session) Deliver() {
	s.duty = dutyNone
	s.pending, s.hearing = s.hearing[:0], s.pending
	for i, t := range s.hearing {
		switch {
		case t == nil:
		case t.doomed != nil:
			s.fail(t, t.doomed)
		default:
			s.hearing[i] = nil
			s.deliverHeld(t)
		}
	}
	clear(s.hearing)
	s.pump()
	s.notify()
}

// deliverHeld delivers what came while a receiver held its stream, until it holds it again.
func (s *Session) deliverHeld(t *Stream) {
	r := t.receiver
	s.current = t
	for s.current == t && r != nil && t.holds == 0 && t.held.size > 0 {
		c := t.held.pop()
		p := c.bytes[c.start:c.end]
		end := t.held.size == 0 && t.after == endingStream
		if end {
			t.after = endingNone
		}
		s.takenBy(t, len(p))
		r.Data(p, end)
		chunks.Put(c)
	}
	if s.current != t || r == nil || t.holds > 0 || t.held.size > 0 {
		s.current = nil
		return
	}
	s.current = nil
	after, rest := t.after, t.rest
	t.after, t.rest = endingNone, nil
	switch after {
	case endingStream:
		r.Data(nil, true)
	case endingTrailers:
		r.Trailers(rest)
	}
}
