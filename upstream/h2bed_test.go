package upstream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/codec/h2"
	"traffic_management/engine/reactor"
)

// h2origin is a server's end of one connection of HTTP/2: Sink, Wire and Events of a server's session.
type h2origin struct {
	bed     *bed
	conn    reactor.Conn
	session *h2.Session
	closed  string       // "end" or "reset" once the proxy closed it
	streams []*h2request // in the order of their heads
	away    string       // of the proxy's GOAWAY
	onHead  func(*h2request)
}

// h2request is one request as the server sees it, and its Receiver.
type h2request struct {
	origin  *h2origin
	stream  *h2.Stream
	head    codec.Head
	raw     []byte
	content string
	ended   bool
	heard   []string // trailers and failures
	over    bool     // it was released
	early   bool     // it was answered, and is released when its content has come
}

// newH2Bed is newBed with servers of HTTP/2 in clear text.
func newH2Bed(t testing.TB, servers int, c h2.Config, change func(*Options)) *bed {
	b := newBed(t, servers, change)
	for i, target := range b.targets {
		target.Protocol = ProtocolH2C
		b.listenH2(i, c, nil)
	}
	return b
}

// h2Config is that of servers: 3 streams on a connection.
func h2Config() h2.Config {
	return h2.Config{MaxStreams: 3, StreamWindow: 64 << 10, ConnWindow: 1 << 20, MaxHeadBytes: 4000, MaxFields: 50}
}

func (b *bed) listenH2(i int, c h2.Config, onHead func(*h2request)) {
	b.loop.Listen(originAddr(i), func(conn reactor.Conn) reactor.Sink {
		o := &h2origin{bed: b, conn: conn, onHead: onHead}
		o.session = h2.NewServer(&c, conn, o, time.Duration(b.loop.Now()))
		b.h2origins = append(b.h2origins, o)
		return o
	})
}

func (o *h2origin) OnData() {
	n, err := o.session.Receive(o.conn.In(), time.Duration(o.bed.loop.Now()))
	o.conn.Consume(n)
	switch {
	case err != nil:
		o.bed.t.Errorf("the proxy sent what is no HTTP/2: %v", err)
		o.conn.Close(true)
	case o.conn.EOF():
		o.ends("end")
		o.conn.Close(false)
	}
}
func (o *h2origin) OnDrained()     { o.session.Flush() }
func (o *h2origin) OnClosed(error) { o.ends("reset") }

func (o *h2origin) ends(how string) {
	o.closed = how
	o.session.Fail(&codec.Error{Side: codec.Client, Kind: codec.KindClosed, Cause: errText("closed")})
}

func (o *h2origin) Request(s *h2.Stream, h *codec.Head, raw []byte, end bool) codec.Receiver {
	r := &h2request{origin: o, stream: s, head: *h, raw: slices.Clone(raw), ended: end}
	r.head.Fields = slices.Clone(h.Fields)
	r.head.Rebase(raw, r.raw)
	o.streams = append(o.streams, r)
	if o.onHead != nil {
		o.bed.loop.Defer(func() {
			if !r.over {
				o.onHead(r)
			}
		})
	}
	return r
}
func (o *h2origin) Refused(s *h2.Stream, e *codec.Error) codec.Receiver {
	o.bed.t.Errorf("a request is refused: %v", e)
	return nil
}
func (o *h2origin) Settings()                           {}
func (o *h2origin) GoAway(last uint32, code h2.ErrCode) { o.away = code.String() }
func (o *h2origin) Pong(uint64)                         {}
func (o *h2origin) Later()                              { o.bed.loop.Defer(o.session.Deliver) }

func (r *h2request) Ready(codec.Stream)     {}
func (r *h2request) Head(*codec.Head, bool) {}
func (r *h2request) Drained()               {}
func (r *h2request) Data(p []byte, end bool) {
	if r.content, r.ended = r.content+string(p), end; end && r.early {
		r.release()
	}
}
func (r *h2request) Trailers(t []codec.Field) {
	r.ended = true
	for _, f := range t {
		r.heard = append(r.heard, fmt.Sprintf("%s=%s", f.Name, f.Value))
	}
}
func (r *h2request) Failed(e *codec.Error) {
	r.heard = append(r.heard, e.Cause.Error())
	r.release()
}

func (r *h2request) release() {
	if !r.over {
		r.over = true
		r.stream.Release()
	}
}

// respond sends a response head.
func (r *h2request) respond(status int, end bool, fields ...string) {
	h := codec.Head{Version: codec.HTTP2, Status: status, Length: -1, Framing: codec.ByEndStream}
	if status == 101 {
		h.Options |= codec.OptUpgrade
	}
	for i := 0; i < len(fields); i += 2 {
		h.Fields = append(h.Fields, codec.Field{Name: []byte(fields[i]), Value: []byte(fields[i+1]),
			ID: codec.LookupFieldID([]byte(fields[i]))})
	}
	r.stream.Head(&h, end)
	if end {
		r.release()
	}
}

// answer sends a whole response.
func (r *h2request) answer(content string) {
	r.respond(200, false)
	r.stream.Data([]byte(content), true)
	r.release()
}

// requests are those that the servers got and have not answered, by their paths.
func (b *bed) requests() map[string]*h2request {
	found := map[string]*h2request{}
	for _, o := range b.h2origins {
		for _, r := range o.streams {
			if !r.over {
				found[strings.TrimPrefix(string(r.head.Path), "/")] = r
			}
		}
	}
	return found
}

// request is the one of this path.
func (b *bed) request(name string) *h2request {
	b.t.Helper()
	b.loop.Run()
	r := b.requests()[name]
	if r == nil {
		b.t.Fatalf("no server has %s", name)
	}
	return r
}

// connections checks how many streams are open on each connection that the servers accepted; -1: it is closed.
func (b *bed) connections(want ...int) {
	b.t.Helper()
	b.loop.Run()
	var got []int
	for _, o := range b.h2origins {
		n := o.session.Streams()
		if o.closed != "" {
			n = -1
		}
		got = append(got, n)
	}
	if !slices.Equal(got, want) {
		b.t.Fatalf("streams of connections: %v, want %v", got, want)
	}
}

// h2answered runs one whole request.
func (b *bed) h2answered(name string) {
	b.t.Helper()
	x := b.open(name)
	x.hears("ready")
	b.request(name).answer("hi")
	x.hears("head 200", "data hi end")
	x.release()
}
