package h2

import (
	"bytes"
	"encoding/binary"
	"slices"

	"traffic_management/codec"
)

// block is a field block that is being received (RFC 9113 section 4.3): HEADERS, and CONTINUATION up to END_HEADERS.
type block struct {
	stream uint32 // 0: none
	frames int
	bytes  []byte // what came so far, when END_HEADERS has not
	origin origin
	end    messageEnd
	fault  ErrCode // a stream error that is known already, or NoError
}

// origin is whether a field block opens a stream.
type origin uint8

const (
	originKnown origin = iota // of a stream that was opened before
	originNew
)

// messageEnd is whether END_STREAM came with something.
type messageEnd uint8

const (
	goesOn messageEnd = iota
	ends
)

func endOf(f *frame) messageEnd {
	if f.has(flagEndStream) {
		return ends
	}
	return goesOn
}

// headers takes a HEADERS frame (RFC 9113 section 6.2).
func (s *Session) headers(f *frame, p []byte) *Error {
	if f.stream == 0 {
		return errStreamID
	}
	p, bad := f.unpad(p)
	if bad != nil {
		return bad
	}
	s.block = block{stream: f.stream, end: endOf(f)}
	if f.has(flagPriority) {
		if len(p) < 5 {
			return errFrameSize
		}
		if binary.BigEndian.Uint32(p)&streamBits == f.stream {
			s.block.fault = ProtocolError // RFC 7540 section 5.3.1
		}
		p = p[5:]
	}
	if s.stream(f.stream) == nil {
		switch s.closed(f.stream) {
		case closureIdle:
			if s.role == client || f.stream&1 == 0 {
				return errStreamID
			}
			s.last = f.stream
			s.burst++
			s.block.origin = originNew
		case closureOld:
			return errStreamID // RFC 9113 section 5.1.1
		case closureEnded:
			return errClosedStream
		}
	}
	if f.has(flagEndHeaders) {
		return s.fieldBlock(p)
	}
	s.block.bytes = append([]byte(nil), p...)
	return nil
}

// continuation takes a CONTINUATION frame (RFC 9113 section 6.10).
func (s *Session) continuation(f *frame, p []byte) *Error {
	if s.block.stream == 0 {
		return errContinuation
	}
	if s.block.frames++; s.block.frames > maxContinuations {
		return errFragments
	}
	if len(s.block.bytes)+len(p) > blockPerHead*s.config.MaxHeadBytes {
		return errHeadLong
	}
	s.block.bytes = append(s.block.bytes, p...)
	if !f.has(flagEndHeaders) {
		return nil
	}
	return s.fieldBlock(s.block.bytes)
}

// fieldBlock takes a whole field block: it is decoded whatever becomes of its stream.
func (s *Session) fieldBlock(p []byte) *Error {
	b := s.block
	s.block = block{}
	t := s.stream(b.stream)
	kind := sectionIgnored
	switch {
	case b.origin == originNew && s.phase != phaseFinished:
		kind = sectionRequest
	case t == nil:
	case s.role == client && t.heard == partHead:
		kind = sectionResponse
	default:
		kind = sectionTrailers
	}
	x := newSection(kind, s.config)
	bad := s.decoder.decode(p, x)
	if bad != nil {
		x.free()
		return bad
	}
	switch {
	case kind == sectionRequest:
		bad = s.request(&b, x)
	case b.origin == originNew:
		s.remember(b.stream, true)
	case t == nil:
		bad = s.chargeLate()
	default:
		bad = s.section(t, &b, x)
	}
	x.free()
	return bad
}

// request takes a request, or refuses it.
func (s *Session) request(b *block, x *section) *Error {
	tunnel := x.request(b.end == ends)
	kept := x.bytes
	if x.fault != sectionValid {
		kept = 0
	}
	switch {
	case x.fault == sectionMalformed || b.fault != NoError:
		return s.refuse(b.stream, ProtocolError)
	case s.live >= s.config.MaxStreams, !s.affords(kept):
		return s.refuse(b.stream, RefusedStream)
	}
	t := s.newStream(b.stream)
	t.state = streamOpen
	t.method, t.priority, t.heard, t.length = x.head.Method, x.priority, partContent, x.head.Length
	s.chargeHead(t, kept)
	s.open = append(s.open, t)
	s.opened++
	s.repay(budgetPriorities, 2)
	s.repay(budgetUnknown, 1)
	if b.end == ends {
		t.state, t.heard = steps[t.state][gotEnd].next, partWhole
	}
	var r codec.Receiver
	s.current = t
	if x.fault != sectionValid {
		if t.heard != partWhole {
			t.heard = partIgnored
		}
		r = s.events.Refused(t, x.refusal())
	} else {
		end := b.end == ends
		if tunnel {
			t.tunnel, end = tunnelOffered, true
		}
		r = s.events.Request(t, &x.head, x.raw, end)
	}
	switch {
	case s.current != t: // released already
	case r != nil:
		t.receiver = r
	default:
		t.holder = holderNone
		t.stop(RefusedStream)
	}
	s.current = nil
	return nil
}

// affords reports whether a field section of so many bytes may be kept beside those that are.
func (s *Session) affords(size int) bool {
	return s.heads+size <= s.config.MaxHeadBytes*(s.config.MaxStreams/streamsPerHead+1)
}

// chargeHead charges a field section that is kept while its stream is open.
func (s *Session) chargeHead(t *Stream, size int) {
	t.head += size
	s.heads += size
}

// refusal is what a client is told whose request has a fault that it is told of.
func (x *section) refusal() *codec.Error {
	switch x.fault {
	case sectionTarget:
		return codec.ErrTarget
	case sectionFields:
		return errTooManyFields
	}
	return errHeadTooLarge
}

// section takes a field section of a stream that is open: a response head, or trailers.
func (s *Session) section(t *Stream, b *block, x *section) *Error {
	if step := steps[t.state][gotHeaders]; step.code != NoError {
		return s.streamError(t, step.code, streamWindow)
	}
	if b.fault != NoError {
		return s.streamError(t, b.fault, streamMalformed)
	}
	if x.kind == sectionTrailers {
		return s.trailers(t, b, x)
	}
	x.response(t.method, b.end == ends)
	if bad, done := s.sectionFault(t, x); done {
		return bad
	}
	h := &x.head
	if h.Status >= 200 {
		t.heard, t.length = partContent, h.Length
		if h.Framing == codec.NoContent {
			t.length = 0
		}
		s.repay(budgetUnknown, 1)
	}
	if t.tunnel == tunnelOffered && h.Status >= 200 && h.Status < 300 {
		t.accept(x)
	}
	r := t.receiver
	switch {
	case b.end == goesOn:
		r.Head(h, false)
	case t.tunnel == tunnelOpen: // the end is that of the server's direction
		s.current = t
		if r.Head(h, false); s.current == t {
			s.deliver(t, nil, ends)
		}
	default:
		s.gotEnd(t)
		r.Head(h, true)
	}
	return nil
}

// trailers takes a trailer section (RFC 9113 section 8.1).
func (s *Session) trailers(t *Stream, b *block, x *section) *Error {
	if b.end == goesOn || t.length > 0 {
		x.malformed()
	}
	if bad, done := s.sectionFault(t, x); done {
		return bad
	}
	r := t.receiver
	switch {
	case t.heard == partIgnored || r == nil:
		s.gotEnd(t)
	case t.tunnel != tunnelNone:
		s.deliver(t, nil, ends)
	case t.holds > 0 || t.held.size > 0:
		if !s.affords(x.bytes) {
			return s.streamError(t, EnhanceYourCalm, streamTooLarge)
		}
		s.chargeHead(t, x.bytes)
		t.after, t.rest = endingTrailers, x.keepFields()
		s.gotEnd(t)
	default:
		s.gotEnd(t)
		r.Trailers(x.head.Fields)
	}
	return nil
}

// keepFields copies the fields.
func (x *section) keepFields() []codec.Field {
	raw := bytes.Clone(x.raw)
	x.head.Rebase(x.raw, raw)
	return slices.Clone(x.head.Fields)
}

// sectionFault ends a stream for what is wrong with a section; done: something was.
func (s *Session) sectionFault(t *Stream, x *section) (bad *Error, done bool) {
	switch x.fault {
	case sectionValid:
		return nil, false
	case sectionLong, sectionFields:
		return s.streamError(t, EnhanceYourCalm, streamTooLarge), true
	}
	return s.streamError(t, ProtocolError, streamMalformed), true
}
