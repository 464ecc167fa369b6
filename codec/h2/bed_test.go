package h2

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"traffic_management/codec"
)

var testConfig = Config{MaxStreams: 100, StreamWindow: 65535, ConnWindow: 65535, MaxHeadBytes: 16 << 10, MaxFields: 100,
	ExtendedConnect: true, WriteStall: 10 * time.Second}

// wire is a Wire that keeps what is written; queued is what it says that waits.
type wire struct {
	bytes.Buffer
	queued int
}

func (w *wire) Write(p []byte) { w.Buffer.Write(p) }

func (w *wire) Writev(bufs [][]byte) {
	for _, b := range bufs {
		w.Buffer.Write(b)
	}
}

func (w *wire) Queued() int { return w.queued }

// events records what a session and its streams tell, a line each.
type events struct {
	lines   []string
	streams map[uint32]*heard // of a server, by id
	onOpen  func(t *heard, h *codec.Head, end bool)
	silent  bool // refuses streams
	later   int
}

func (e *events) say(format string, args ...any) {
	e.lines = append(e.lines, fmt.Sprintf(format, args...))
}

// told is what was recorded since the last call.
func (e *events) told() string {
	s := strings.Join(e.lines, "; ")
	e.lines = e.lines[:0]
	return s
}

func (e *events) Request(s *Stream, h *codec.Head, raw []byte, end bool) codec.Receiver {
	e.say("%d request %s", s.ID(), headText(h, end))
	return e.open(s, h, end)
}

func (e *events) Refused(s *Stream, err *codec.Error) codec.Receiver {
	e.say("%d refused %d", s.ID(), err.Status)
	return e.open(s, nil, true)
}

func (e *events) open(s *Stream, h *codec.Head, end bool) codec.Receiver {
	if e.silent {
		return nil
	}
	t := &heard{events: e, stream: s, id: s.ID()}
	if e.streams == nil {
		e.streams = map[uint32]*heard{}
	}
	e.streams[s.ID()] = t
	if e.onOpen != nil {
		e.onOpen(t, h, end)
	}
	return t
}

func (e *events) Settings()                        { e.say("settings") }
func (e *events) GoAway(last uint32, code ErrCode) { e.say("goaway %d %v", last, code) }
func (e *events) Pong(data uint64)                 { e.say("pong %d", data) }
func (e *events) Later()                           { e.later++ }

// heard is the receiver of one stream.
type heard struct {
	events *events
	stream *Stream
	id     uint32
	body   bytes.Buffer
	ended  int // ends of the message, failures included
	failed *codec.Error
	onData func(p []byte, end bool)
}

func (r *heard) Ready(codec.Stream) {}

func (r *heard) Head(h *codec.Head, end bool) {
	r.events.say("%d head %s", r.id, headText(h, end))
	if end {
		r.ended++
	}
}

func (r *heard) Data(p []byte, end bool) {
	r.body.Write(p)
	if end {
		r.ended++
	}
	if len(p) < 100 {
		r.events.say("%d data %q%s", r.id, p, endText(end))
	} else {
		r.events.say("%d data %d%s", r.id, len(p), endText(end))
	}
	if r.onData != nil {
		r.onData(p, end)
	}
}

func (r *heard) Trailers(t []codec.Field) {
	r.ended++
	r.events.say("%d trailers%s", r.id, fieldsText(t))
}

func (r *heard) Drained() { r.events.say("%d drained", r.id) }

func (r *heard) Failed(e *codec.Error) {
	r.ended++
	r.failed = e
	r.events.say("%d failed %v %v %v", r.id, e.Side, e.Kind, e.Retry)
}

func endText(end bool) string {
	if end {
		return " end"
	}
	return ""
}

func headText(h *codec.Head, end bool) string {
	s := fmt.Sprintf("%s %s %s %s", h.MethodName, h.Scheme, h.Authority, h.Path)
	if h.Query != nil {
		s += "?" + string(h.Query)
	}
	if h.Status != 0 {
		s = fmt.Sprint(h.Status)
	}
	s += fmt.Sprintf(" %v", h.Framing)
	if h.Length >= 0 {
		s += fmt.Sprint(" ", h.Length)
	}
	if h.Options != 0 {
		s += fmt.Sprint(" options ", h.Options)
	}
	return s + fieldsText(h.Fields) + endText(end)
}

func fieldsText(fields []codec.Field) (s string) {
	for _, f := range fields {
		if f.ID != codec.FieldRemoved {
			s += fmt.Sprintf(" [%s: %s]", f.Name, f.Value)
		}
	}
	return s
}

// bed is a session and, at the other end of its wire, the library's framer.
type bed struct {
	t       testing.TB
	session *Session
	wire    wire
	events  events
	now     time.Duration

	out     bytes.Buffer // what the framer has written and the session has not read
	framer  *http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	decoder *hpack.Decoder
}

func newBed(t testing.TB, r role, c Config) *bed {
	b := &bed{t: t}
	b.session = newSession(&c, &b.wire, &b.events, 0, r)
	b.framer = http2.NewFramer(&b.out, &b.wire.Buffer)
	b.framer.AllowIllegalWrites, b.framer.AllowIllegalReads = true, true
	b.framer.SetMaxReadFrameSize(1 << 24)
	b.encoder = hpack.NewEncoder(&b.block)
	b.decoder = hpack.NewDecoder(4096, nil)
	if r == server {
		b.out.WriteString(preface)
	} else {
		var p [len(preface)]byte
		b.wire.Read(p[:])
		if string(p[:]) != preface {
			t.Fatalf("began with %q", p)
		}
	}
	b.must(b.framer.WriteSettings())
	b.pass()
	b.must(b.framer.WriteSettingsAck())
	b.pass()
	b.sent()
	b.events.told()
	return b
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// pass gives the session what was written, and returns its error.
func (b *bed) pass() error {
	in := bytes.Clone(b.out.Bytes())
	b.out.Reset()
	n, err := b.session.Receive(in, b.now)
	if err == nil && b.session.phase != phaseFailed {
		b.out.Write(in[n:])
	}
	for b.events.later > 0 {
		b.events.later = 0
		b.session.Deliver()
	}
	return err
}

// did passes, and returns what the session told, and then what it sent.
func (b *bed) did() string {
	err := b.pass()
	s := b.events.told()
	if sent := b.sent(); sent != "" {
		s += " > " + sent
	}
	if err != nil {
		s += " ! " + err.Error()
	}
	return s
}

// sent reads what the session has sent as text, a frame each.
func (b *bed) sent() string {
	var frames []string
	for b.wire.Len() > 0 {
		f, err := b.framer.ReadFrame()
		if err != nil {
			b.t.Fatalf("the session sent no frame: %v", err)
		}
		frames = append(frames, b.text(f))
	}
	return strings.Join(frames, "; ")
}

func (b *bed) text(f http2.Frame) string {
	h := f.Header()
	end := endText(h.Type <= http2.FrameHeaders && h.Flags&1 != 0)
	switch f := f.(type) {
	case *http2.DataFrame:
		if h.Length < 100 {
			return fmt.Sprintf("%d DATA %q%s", h.StreamID, f.Data(), end)
		}
		return fmt.Sprintf("%d DATA %d%s", h.StreamID, h.Length, end)
	case *http2.HeadersFrame:
		s := fmt.Sprintf("%d HEADERS", h.StreamID)
		if !f.HeadersEnded() {
			return s + " ..."
		}
		fields, err := b.decoder.DecodeFull(f.HeaderBlockFragment())
		b.must(err)
		for _, f := range fields {
			s += fmt.Sprintf(" [%s: %s]", f.Name, f.Value)
		}
		return s + end
	case *http2.RSTStreamFrame:
		return fmt.Sprintf("%d RST %v", h.StreamID, f.ErrCode)
	case *http2.WindowUpdateFrame:
		return fmt.Sprintf("%d WINDOW %d", h.StreamID, f.Increment)
	case *http2.GoAwayFrame:
		return fmt.Sprintf("GOAWAY %d %v %s", f.LastStreamID, f.ErrCode, f.DebugData())
	case *http2.PingFrame:
		return fmt.Sprintf("PING %x ack %v", f.Data, f.IsAck())
	case *http2.SettingsFrame:
		return fmt.Sprintf("SETTINGS ack %v", f.IsAck())
	}
	return fmt.Sprintf("%d %v", h.StreamID, h.Type)
}

// fields encodes a field block: names and values in turn.
func (b *bed) fields(pairs ...string) []byte {
	b.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		b.must(b.encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}))
	}
	return bytes.Clone(b.block.Bytes())
}

func (b *bed) headers(id uint32, end bool, pairs ...string) {
	b.must(b.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b.fields(pairs...), EndStream: end,
		EndHeaders: true}))
}

var get = []string{":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/x?y"}

func (b *bed) get(id uint32, end bool, more ...string) {
	b.headers(id, end, append(append([]string{}, get...), more...)...)
}

func response(status int, length int64, fields ...codec.Field) *codec.Head {
	h := &codec.Head{Version: codec.HTTP11, Status: status, Length: length, Fields: fields}
	if length >= 0 {
		h.Framing = codec.ByLength
	} else {
		h.Framing = codec.ByChunks
	}
	return h
}
