package h2

import (
	"slices"
	"sync"

	"traffic_management/codec"
	"traffic_management/internal/invariant"
)

// Bounds of what leaves in one write.
const (
	writeBytes  = 64 << 10
	writeFrames = writeBytes / maxFrameSize * 4
	// unreadMark is how much waits at least for a peer that does not read. Content alone never comes to it: one write is
	// added to codec.HighMark at most.
	unreadMark = codec.HighMark + 2*writeBytes
)

// output is the memory of one write. It lives in a pool between calls.
type output struct {
	bytes   []byte // frames other than DATA
	headers [writeFrames * headerSize]byte
	vector  [4 * writeFrames][]byte
	spent   *chunk    // of queues, whose bytes are in the vector
	ended   []*Stream // whose END_STREAM is in the vector
}

var outputs = sync.Pool{New: func() any { return &output{bytes: make([]byte, 0, 1024)} }}

// Head is codec.Stream's. A server's 101 that accepts an extended CONNECT is sent as its 200 (RFC 8441); a request that
// offers a protocol is sent as an extended CONNECT. A request head that cannot be sent fails the stream.
func (t *Stream) Head(h *codec.Head, end bool) {
	if steps[t.state][sentHeaders].code != NoError || t.ending != endingNone {
		return
	}
	s := t.session
	o := outputs.Get().(*output)
	o.bytes = append(o.bytes[:0], make([]byte, headerSize)...)
	if s.tables == tableAssumed {
		o.bytes = append(o.bytes, emptyTable)
	}
	start := len(o.bytes)
	f := framingOf(h, end)
	if s.role == client {
		o.bytes = appendRequest(o.bytes, h, s.config.Secure, f)
	} else {
		accepts := h.Status == 101 && t.tunnel == tunnelOffered
		if accepts {
			t.tunnel = tunnelOpen
		}
		h.Method = t.method
		if h.Status != 101 || accepts {
			o.bytes = appendResponse(o.bytes, h, f, accepts)
		}
	}
	if len(o.bytes) == start {
		outputs.Put(o)
		t.unsendable()
		return
	}
	s.tables = tableEmptied
	if s.role == client {
		t.begin(h)
		end = end && t.tunnel == tunnelNone
	}
	s.writeBlock(o, t.id, end)
	outputs.Put(o)
	if end {
		s.sentEnd(t)
	}
}

// framingOf is how the content that follows a head is delimited, as far as a Content-Length is concerned.
func framingOf(h *codec.Head, end bool) codec.Framing {
	switch {
	case end:
		return codec.NoContent
	case h.Framing == codec.ByLength:
		return codec.ByLength
	}
	return codec.ByEndStream
}

// unsendable gives a stream up whose head says what no head can say.
func (t *Stream) unsendable() {
	if t.session.role == server {
		t.stop(InternalError)
		return
	}
	t.doomed = errUnsendable
	t.session.hear(t)
}

// begin opens a client's stream: it gets its id (RFC 9113 section 5.1.1).
func (t *Stream) begin(h *codec.Head) {
	s := t.session
	if t.state != streamIdle {
		return
	}
	s.reserved = slices.DeleteFunc(s.reserved, func(r *Stream) bool { return r == t })
	t.state, t.id, t.method = steps[t.state][sentHeaders].next, s.last, h.Method
	s.last += 2
	s.opened++
	s.open = append(s.open, t)
	if p := offered(h); p != nil {
		key, _ := h.Lookup("Sec-WebSocket-Key")
		t.tunnel = tunnelOffered
		t.offer = &protocolOffer{protocol: slices.Clone(p), key: slices.Clone(key)}
	}
}

// writeBlock writes the field block in o.bytes, behind the room for a header, as HEADERS and as many CONTINUATION as it
// needs.
func (s *Session) writeBlock(o *output, id uint32, end bool) {
	flags := uint8(0)
	if end {
		flags = flagEndStream
	}
	b := o.bytes
	if size := len(b) - headerSize; size <= maxFrameSize {
		putFrame(b, size, frameHeaders, flags|flagEndHeaders, id)
		s.wire.Write(b)
		return
	}
	typ := frameHeaders
	for rest := b[headerSize:]; len(rest) > 0; typ, flags = frameContinuation, 0 {
		size := min(len(rest), maxFrameSize)
		if size == len(rest) {
			flags |= flagEndHeaders
		}
		header := o.headers[:headerSize]
		putFrame(header, size, typ, flags, id)
		o.vector[0], o.vector[1] = header, rest[:size]
		s.wire.Writev(o.vector[:2])
		rest = rest[size:]
	}
}

// sentEnd notes that our message is whole. The stream may be gone afterwards when nobody has it.
func (s *Session) sentEnd(t *Stream) {
	step := steps[t.state][sentEnd]
	if invariant.Enabled {
		invariant.Check(step.code == NoError, "h2: a message ends once")
	}
	t.state = step.next
	switch {
	case t.state == streamShut:
		s.end(t)
	case t.holder == holderNone && s.role == client:
		t.moved = unseen // of a tunnel, which now lingers
	case t.holder == holderNone:
		t.stop(NoError) // the request is of no use any more (RFC 9113 section 8.1)
	}
}

// sends reports whether content may follow what was sent.
func (t *Stream) sends() bool {
	return (t.state == streamOpen || t.state == streamHalfRemote) && t.ending == endingNone
}

// Data is codec.Stream's. What the windows and the wire let through leaves at once, without a copy.
func (t *Stream) Data(p []byte, end bool) {
	if !t.sends() {
		return
	}
	s := t.session
	for t.out.size == 0 && (len(p) > 0 || end) {
		n := min(len(p), writeBytes)
		if n > 0 {
			n = min(n, int(max(0, min(s.window, t.window))))
		}
		if s.state == wireFull || n == 0 && len(p) > 0 {
			break
		}
		if s.wire.Queued() > codec.HighMark {
			s.state = wireFull
			break
		}
		last := end && n == len(p)
		s.writeData(t, p[:n], last)
		if p = p[n:]; last {
			s.sentEnd(t)
			return
		}
	}
	if len(p) > 0 || end {
		if end {
			t.ending = endingStream
		}
		s.enqueue(t, p)
	}
}

// writeData writes content of a stream, no more than writeBytes and than the windows let through, in frames.
func (s *Session) writeData(t *Stream, p []byte, end bool) {
	o := outputs.Get().(*output)
	v, k := o.vector[:0], 0
	s.window -= outflow(len(p))
	t.window -= outflow(len(p))
	s.sent(len(p))
	for {
		size, flags := min(len(p), maxFrameSize), uint8(0)
		if end && size == len(p) {
			flags = flagEndStream
		}
		header := o.headers[k : k+headerSize]
		k += headerSize
		putFrame(header, size, frameData, flags, t.id)
		v = append(v, header)
		if size > 0 {
			v = append(v, p[:size])
		}
		s.repay(budgetUpdates, 2)
		if p = p[size:]; len(p) == 0 {
			break
		}
	}
	s.repay(budgetPings, 1)
	s.wire.Writev(v)
	clear(v)
	outputs.Put(o)
}

// Trailers is codec.Stream's. A section of which nothing is left is an end without one.
func (t *Stream) Trailers(f []codec.Field) {
	if !t.sends() {
		return
	}
	s := t.session
	o := outputs.Get().(*output)
	o.bytes = appendTrailers(append(o.bytes[:0], make([]byte, headerSize)...), f)
	switch {
	case len(o.bytes) == headerSize:
		outputs.Put(o)
		t.Data(nil, true)
		return
	case t.out.size > 0:
		t.ending, t.block = endingTrailers, slices.Clone(o.bytes)
	default:
		s.writeBlock(o, t.id, true)
		s.sentEnd(t)
	}
	outputs.Put(o)
}
