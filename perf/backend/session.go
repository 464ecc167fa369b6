package main

import (
	"bytes"
	"fmt"

	"golang.org/x/net/http2/hpack"

	"traffic_management/perf/frame"
)

// session is the HTTP/2 of one connection that began with the preface: prior knowledge, clear text. It refuses nothing
// but what it cannot read.
type session struct {
	server  *server
	decoder *hpack.Decoder
	request request // whose field section is being decoded
	// open are the requests whose content is still coming; their answers wait for its end.
	open map[uint32]request

	out    []byte         // frames that were not handed to the connection yet
	spare  []byte         // room for out, while the connection sends from the other
	queue  []stream       // answers that the windows keep back, oldest first
	window int            // of the connection, for what is sent
	first  int            // window that a stream begins with, for what is sent
	extra  map[uint32]int // what the peer added to windows of streams whose answers are still to come
}

// request is what an answer depends on.
type request struct{ method, path string }

// stream is what is left of an answer.
type stream struct {
	id      uint32
	content []byte // points into an answer of the server's
	window  int
}

// Windows given to the peer: nothing it sends is kept.
const ourWindow = 16 << 20

func newSession(s *server) *session {
	x := &session{server: s, open: map[uint32]request{}, extra: map[uint32]int{}, window: frame.DefaultWindow, first: frame.DefaultWindow}
	x.decoder = hpack.NewDecoder(4096, x.field)
	x.out = frame.AppendSettings(x.out, frame.Parameter{Setting: frame.InitialWindowSize, Value: ourWindow})
	x.out = frame.AppendWindowUpdate(x.out, 0, ourWindow)
	return x
}

func (x *session) field(f hpack.HeaderField) {
	switch f.Name {
	case ":method":
		x.request.method = f.Value
	case ":path":
		x.request.path = f.Value
	}
}

// receive takes the whole frames of b and returns what is left.
func (x *session) receive(b []byte) ([]byte, error) {
	for {
		f, n, err := frame.Parse(b)
		if err != nil || n == 0 {
			return b, err
		}
		b = b[n:]
		if err := x.take(&f); err != nil {
			return b, err
		}
	}
}

func (x *session) take(f *frame.Frame) error {
	switch f.Type {
	case frame.Headers:
		return x.head(f)
	case frame.Data:
		x.content(f)
	case frame.Settings:
		return x.settings(f)
	case frame.Ping:
		if !f.Has(frame.Ack) {
			x.out = frame.AppendAck(x.out, f)
		}
	case frame.WindowUpdate:
		return x.replenish(f)
	case frame.Reset:
		delete(x.open, f.Stream)
		for i := range x.queue {
			if x.queue[i].id == f.Stream {
				x.queue[i].content = nil
			}
		}
	case frame.Continuation:
		return fmt.Errorf("a field section in several frames: %w", frame.ErrSyntax)
	}
	return nil
}

// head takes a request's head, or its trailers.
func (x *session) head(f *frame.Frame) error {
	if !f.Has(frame.EndHeaders) {
		return fmt.Errorf("a field section in several frames: %w", frame.ErrSyntax)
	}
	r, trailers := x.open[f.Stream]
	x.request = request{}
	if _, err := x.decoder.Write(f.Payload); err != nil {
		return err
	}
	if err := x.decoder.Close(); err != nil {
		return err
	}
	switch {
	case trailers:
		delete(x.open, f.Stream)
		x.answer(f.Stream, r)
	case f.Has(frame.EndStream):
		x.answer(f.Stream, x.request)
	default:
		x.open[f.Stream] = x.request
	}
	return nil
}

// content drops a request's content and gives its window back at once.
func (x *session) content(f *frame.Frame) {
	if f.Charged > 0 {
		x.out = frame.AppendWindowUpdate(x.out, 0, f.Charged)
	}
	r, ok := x.open[f.Stream]
	switch {
	case ok && f.Has(frame.EndStream):
		delete(x.open, f.Stream)
		x.answer(f.Stream, r)
	case ok && f.Charged > 0:
		x.out = frame.AppendWindowUpdate(x.out, f.Stream, f.Charged)
	}
}

func (x *session) settings(f *frame.Frame) error {
	if f.Has(frame.Ack) {
		return nil
	}
	x.out = frame.AppendAck(x.out, f)
	err := f.EachSetting(func(p frame.Parameter) {
		if p.Setting != frame.InitialWindowSize {
			return
		}
		for i := range x.queue {
			x.queue[i].window += int(p.Value) - x.first
		}
		x.first = int(p.Value)
	})
	x.send()
	return err
}

// replenish widens the window of the connection, of an answer that waits, or of one that is still to come.
func (x *session) replenish(f *frame.Frame) error {
	n, err := f.Increment()
	if err != nil {
		return err
	}
	if f.Stream == 0 {
		x.window += n
	} else if _, ok := x.open[f.Stream]; ok {
		x.extra[f.Stream] += n
	}
	for i := range x.queue {
		if x.queue[i].id == f.Stream {
			x.queue[i].window += n
		}
	}
	x.send()
	return nil
}

// answer writes a response's head, and its content as far as the windows let it.
func (x *session) answer(id uint32, r request) {
	a := x.server.find([]byte(r.path))
	content := a.content
	if r.method == "HEAD" {
		content = nil
	}
	flags := frame.EndHeaders
	if len(content) == 0 {
		flags |= frame.EndStream
	}
	x.out = append(frame.Append(x.out, frame.Headers, flags, id, len(a.section)), a.section...)
	window := x.first + x.extra[id]
	delete(x.extra, id)
	if len(content) == 0 {
		return
	}
	x.queue = append(x.queue, stream{id, content, window})
	x.send()
}

// send writes of the answers that wait what the windows let through.
func (x *session) send() {
	kept := x.queue[:0]
	for _, s := range x.queue {
		for len(s.content) > 0 && s.window > 0 && x.window > 0 {
			n := min(len(s.content), s.window, x.window, frame.MaxPayload)
			flags := frame.Flags(0)
			if n == len(s.content) {
				flags = frame.EndStream
			}
			x.out = append(frame.Append(x.out, frame.Data, flags, s.id, n), s.content[:n]...)
			s.content, s.window, x.window = s.content[n:], s.window-n, x.window-n
		}
		if len(s.content) > 0 {
			kept = append(kept, s)
		}
	}
	x.queue = kept
}

// Entries of the static table (RFC 7541 appendix A): whole fields by status, and names.
var indexed = map[int]byte{200: 0x88, 404: 0x8d}

const (
	contentLength = 28
	contentType   = 31
)

// appendField appends a literal without indexing whose name is an entry of the static table from 15 on (RFC 7541
// section 6.2.2), so that one field section fits every connection. The value must be shorter than 127 bytes.
func appendField(dst []byte, name byte, value string) []byte {
	return append(append(dst, 0x0f, name-15, byte(len(value))), value...)
}

// hand returns the frames that were written since the last call. They stay valid until the next one.
func (x *session) hand() []byte {
	frames := x.out
	x.out, x.spare = x.spare[:0], frames
	return frames
}

// isPreface reports whether b begins as a connection of HTTP/2 does; more is set when too little of it is there.
func isPreface(b []byte) (is, more bool) {
	n := min(len(b), len(frame.Preface))
	is = bytes.Equal(b[:n], []byte(frame.Preface[:n]))
	return is, is && n < len(frame.Preface)
}
