package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/net/http2/hpack"

	"traffic_management/perf/frame"
)

// replenishEvery is after how much content the connection's window is widened again.
const replenishEvery = 16 << 20

// errGone is a server that takes no more streams on a connection.
var errGone = errors.New("the server goes away")

// session is HTTP/2 on one connection. Windows are as wide as they can be, so that nothing waits for them.
type session struct {
	g        *generator
	conn     *conn
	encoder  *hpack.Encoder
	section  bytes.Buffer // what the encoder wrote
	decoder  *hpack.Decoder
	status   string
	length   int64 // of the response whose head is being decoded; -1 when it does not tell
	nextID   uint32
	consumed int // of the connection's window since it was widened
}

func newSession(g *generator, c *conn) *session {
	s := &session{g: g, conn: c, nextID: 1}
	s.encoder = hpack.NewEncoder(&s.section)
	s.decoder = hpack.NewDecoder(4096, s.field)
	c.out = append(c.out, frame.Preface...)
	c.out = frame.AppendSettings(c.out, frame.Parameter{Setting: frame.EnablePush, Value: 0},
		frame.Parameter{Setting: frame.InitialWindowSize, Value: frame.MaxWindow})
	c.out = frame.AppendWindowUpdate(c.out, 0, frame.MaxWindow-frame.DefaultWindow)
	g.unsent = append(g.unsent, c)
	return s
}

func (s *session) field(f hpack.HeaderField) {
	switch f.Name {
	case ":status":
		s.status = f.Value
	case "content-length":
		s.length, _ = strconv.ParseInt(f.Value, 10, 64)
	}
}

func (s *session) request(dst []byte, l *lane, r *request) []byte {
	l.id = s.nextID
	s.nextID += 2
	s.section.Reset()
	for _, f := range r.section {
		// Writing to a bytes.Buffer cannot fail.
		_ = s.encoder.WriteField(f)
	}
	dst = frame.Append(dst, frame.Headers, frame.EndHeaders|frame.EndStream, l.id, s.section.Len())
	return append(dst, s.section.Bytes()...)
}

func (s *session) take(b []byte) ([]byte, error) {
	for {
		f, n, err := frame.Parse(b)
		if err != nil || n == 0 {
			return b, err
		}
		b = b[n:]
		s.g.result.bytes += int64(n)
		if err := s.frame(&f); err != nil {
			return nil, err
		}
	}
}

func (s *session) frame(f *frame.Frame) error {
	switch f.Type {
	case frame.Headers:
		return s.head(f)
	case frame.Data:
		return s.data(f)
	case frame.Settings, frame.Ping:
		return s.control(f)
	case frame.Reset:
		if l := s.lane(f.Stream); l != nil {
			s.g.result.failed++
			l.state = idle
			s.g.reuse(l)
		}
	case frame.GoAway:
		return errGone
	case frame.Continuation:
		return fmt.Errorf("a field section in several frames: %w", frame.ErrSyntax)
	}
	return nil
}

// lane is the one whose exchange a stream is, nil when it is none any more.
func (s *session) lane(id uint32) *lane {
	for i := range s.conn.lanes {
		if l := &s.conn.lanes[i]; l.id == id && l.state != idle {
			return l
		}
	}
	return nil
}

func (s *session) head(f *frame.Frame) error {
	l := s.lane(f.Stream)
	if !f.Has(frame.EndHeaders) || l == nil || l.state != awaiting {
		return errUnasked
	}
	s.status, s.length = "", -1
	if _, err := s.decoder.Write(f.Payload); err != nil {
		return err
	}
	if err := s.decoder.Close(); err != nil {
		return err
	}
	if s.status != "200" {
		s.g.result.badStatus++
	}
	l.state, l.need = readingBody, s.length
	return s.ended(l, f)
}

func (s *session) data(f *frame.Frame) error {
	if s.consumed += f.Charged; s.consumed >= replenishEvery {
		s.write(frame.AppendWindowUpdate(nil, 0, s.consumed))
		s.consumed = 0
	}
	l := s.lane(f.Stream)
	if l == nil || l.state != readingBody || l.need >= 0 && int64(len(f.Payload)) > l.need {
		return errUnasked
	}
	if l.need >= 0 {
		l.need -= int64(len(f.Payload))
	}
	return s.ended(l, f)
}

// ended finishes an exchange whose last frame f is, if it is.
func (s *session) ended(l *lane, f *frame.Frame) error {
	switch {
	case !f.Has(frame.EndStream):
		return nil
	case l.need > 0:
		return fmt.Errorf("content ended %d bytes early", l.need)
	}
	return s.g.answered(l, false)
}

// control answers what wants an answer.
func (s *session) control(f *frame.Frame) error {
	if f.Has(frame.Ack) {
		return nil
	}
	s.write(frame.AppendAck(nil, f))
	if f.Type == frame.Ping {
		return nil
	}
	return f.EachSetting(func(p frame.Parameter) {
		if p.Setting == frame.HeaderTableSize {
			s.encoder.SetMaxDynamicTableSizeLimit(p.Value)
		}
	})
}

// write adds a frame to what leaves with the end of the event.
func (s *session) write(b []byte) {
	if len(s.conn.out) == 0 {
		s.g.unsent = append(s.g.unsent, s.conn)
	}
	s.conn.out = append(s.conn.out, b...)
}
