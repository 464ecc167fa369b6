package exchange_test

import (
	"fmt"
	"strings"
	"time"

	"traffic_management/codec"
	"traffic_management/codec/h2"
	"traffic_management/engine/reactor"
	"traffic_management/upstream"
)

// origin2 is a server's end of an HTTP/2 connection, whose requests the test answers.
type origin2 struct {
	scene   *scene
	conn    reactor.Conn
	session *h2.Session
}

// asked is one request that such a server got.
type asked struct {
	scene  *scene
	stream *h2.Stream
	head   codec.Head
	got    []string // what came: the head, content, the end
}

var served2 = h2.Config{MaxStreams: 10, StreamWindow: 1 << 16, ConnWindow: 1 << 20, MaxHeadBytes: 1 << 14, MaxFields: 100,
	ExtendedConnect: true}

// origins2 are servers that speak HTTP/2, and the requests they got, in order.
type origins2 struct {
	asked   []*asked
	refuses int // how many of the next requests get REFUSED_STREAM
}

// speak2 makes the servers of a scene speak HTTP/2.
func (s *scene) speak2() *origins2 {
	all := &origins2{}
	for i, t := range s.targets {
		t.Protocol = upstream.ProtocolH2C
		s.loop.Unlisten(serverAddr(i))
		s.loop.Listen(serverAddr(i), func(c reactor.Conn) reactor.Sink {
			o := &origin2{scene: s, conn: c}
			o.session = h2.NewServer(&served2, c, &origin2Events{o, all}, time.Duration(s.loop.Now()))
			return o
		})
	}
	return all
}

func (o *origin2) OnData() {
	n, err := o.session.Receive(o.conn.In(), time.Duration(o.scene.loop.Now()))
	if err != nil {
		o.scene.t.Errorf("the server's session: %v", err)
	}
	o.conn.Consume(n)
	if o.conn.EOF() {
		o.conn.Close(false)
	}
}
func (o *origin2) OnDrained()     { o.session.Flush() }
func (o *origin2) OnClosed(error) {}

type origin2Events struct {
	*origin2
	all *origins2
}

func (e *origin2Events) Request(s *h2.Stream, h *codec.Head, _ []byte, end bool) codec.Receiver {
	if e.all.refuses > 0 {
		e.all.refuses--
		return nil
	}
	a := &asked{scene: e.scene, stream: s}
	text := fmt.Sprintf("%s %s %s", h.MethodName, h.Authority, h.Target)
	if h.Options&codec.OptTE != 0 {
		text += " te"
	}
	if s.Tunnel() {
		text += " tunnel"
	}
	for _, f := range h.Fields {
		if name := strings.ToLower(string(f.Name)); !strings.HasPrefix(name, "x-") { // of forwarding
			text += fmt.Sprintf(" [%s: %s]", name, f.Value)
		}
	}
	a.note(text, end)
	e.all.asked = append(e.all.asked, a)
	return a
}

func (e *origin2Events) Refused(*h2.Stream, *codec.Error) codec.Receiver {
	e.scene.t.Error("the proxy sent a head over the limits")
	return nil
}
func (e *origin2Events) Settings()                 {}
func (e *origin2Events) GoAway(uint32, h2.ErrCode) {}
func (e *origin2Events) Pong(uint64)               {}
func (e *origin2Events) Later()                    { e.scene.loop.Defer(e.session.Deliver) }

func (a *asked) note(text string, end bool) {
	if end {
		text += " end"
	}
	a.got = append(a.got, text)
}

func (a *asked) Ready(codec.Stream)      {}
func (a *asked) Head(*codec.Head, bool)  {}
func (a *asked) Drained()                {}
func (a *asked) Data(p []byte, end bool) { a.got = noteData(a.got, p, end) }
func (a *asked) Failed(e *codec.Error)   { a.note("failed", false) }
func (a *asked) Trailers(t []codec.Field) {
	text := "trailers"
	for _, f := range t {
		text += fmt.Sprintf(" [%s: %s]", f.Name, f.Value)
	}
	a.note(text, true)
}

// answers begins a response with fields of the form "name: value"; length is that of its content, -1 when it is not
// told.
func (a *asked) answers(status int, length int64, end bool, fields ...string) {
	h := codec.Head{Version: codec.HTTP2, Status: status, Length: length, Method: a.head.Method}
	switch {
	case end:
		h.Framing = codec.NoContent
	case length >= 0:
		h.Framing = codec.ByLength
	default:
		h.Framing = codec.ByEndStream
	}
	h.Fields = fieldsOf(fields)
	a.stream.Head(&h, end)
	a.scene.loop.Run()
}

// says sends content.
func (a *asked) says(text string, end bool) {
	a.stream.Data([]byte(text), end)
	a.scene.loop.Run()
}

// ends sends trailers.
func (a *asked) ends(fields ...string) {
	a.stream.Trailers(fieldsOf(fields))
	a.scene.loop.Run()
}

func fieldsOf(lines []string) (t []codec.Field) {
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		t = append(t, codec.Field{Name: []byte(name), Value: []byte(value), ID: codec.LookupFieldID([]byte(name))})
	}
	return t
}
