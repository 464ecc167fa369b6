package upstream

import (
	"crypto/tls"
	"net/netip"
	"testing"

	"traffic_management/codec"
	"traffic_management/codec/h2"
	"traffic_management/engine/reactor"
	"traffic_management/internal/sim"
)

// shortLoop is a loop whose dials lead to one server of HTTP/2 over a wire of memory, without any time passing.
type shortLoop struct {
	*sim.Loop
	wire     *shortWire
	deferred []func()
}

func (l *shortLoop) Defer(f func()) { l.deferred = append(l.deferred, f) }

func (l *shortLoop) Dial(_ reactor.Addr, s reactor.Sink) reactor.Conn {
	l.wire = &shortWire{sink: s, content: make([]byte, 128)}
	l.wire.head = codec.Head{Version: codec.HTTP2, Status: 200, Framing: codec.ByLength, Length: 128}
	l.wire.head.Fields = append(l.wire.head.Fields, codec.NewField(codec.FieldContentType, []byte("text/plain")),
		codec.NewField(codec.FieldServer, []byte("test")))
	l.wire.server = h2.NewServer(&h2.Config{MaxStreams: 100, StreamWindow: 1 << 20, ConnWindow: 1 << 20,
		MaxHeadBytes: 4000, MaxFields: 50}, (*shortServer)(l.wire), (*shortServer)(l.wire), 0)
	l.Defer(func() { l.wire.sink.OnDrained() })
	return l.wire
}

// run does what was deferred and moves bytes until nothing is left to do.
func (l *shortLoop) run() {
	for {
		for i := 0; i < len(l.deferred); i++ {
			l.deferred[i]()
		}
		l.deferred = l.deferred[:0]
		w := l.wire
		if w == nil || len(w.toServer) == 0 && len(w.toClient) == w.read {
			return
		}
		if n, err := w.server.Receive(w.toServer, 0); err == nil {
			w.toServer = append(w.toServer[:0], w.toServer[n:]...)
		}
		for _, s := range w.asked {
			s.Head(&w.head, false)
			s.Data(w.content, true)
			s.Release()
		}
		w.asked = w.asked[:0]
		if len(w.toClient) > w.read {
			w.sink.OnData()
		}
		if w.read == len(w.toClient) {
			w.toClient, w.read = w.toClient[:0], 0
		}
	}
}

// shortWire is the client's end.
type shortWire struct {
	sink               reactor.Sink
	server             *h2.Session
	toServer, toClient []byte
	read               int // of toClient
	asked              []*h2.Stream
	head               codec.Head
	content            []byte
}

func (w *shortWire) In() []byte             { return w.toClient[w.read:] }
func (w *shortWire) Consume(n int)          { w.read += n }
func (w *shortWire) Write(p []byte)         { w.toServer = append(w.toServer, p...) }
func (w *shortWire) SetSink(s reactor.Sink) { w.sink = s }
func (w *shortWire) Writev(bufs [][]byte) {
	for _, p := range bufs {
		w.Write(p)
	}
}

// shortServer is the server's end of a shortWire, and hears its session and every request.
type shortServer shortWire

func (o *shortServer) Write(p []byte) { o.toClient = append(o.toClient, p...) }
func (o *shortServer) Writev(bufs [][]byte) {
	for _, p := range bufs {
		o.Write(p)
	}
}
func (o *shortServer) Queued() int { return 0 }
func (o *shortServer) Request(s *h2.Stream, _ *codec.Head, _ []byte, _ bool) codec.Receiver {
	o.asked = append(o.asked, s)
	return o
}
func (o *shortServer) Refused(*h2.Stream, *codec.Error) codec.Receiver { return nil }
func (o *shortServer) Settings()                                       {}
func (o *shortServer) GoAway(uint32, h2.ErrCode)                       {}
func (o *shortServer) Pong(uint64)                                     {}
func (o *shortServer) Later()                                          {}
func (o *shortServer) Ready(codec.Stream)                              {}
func (o *shortServer) Head(*codec.Head, bool)                          {}
func (o *shortServer) Data([]byte, bool)                               {}
func (o *shortServer) Trailers([]codec.Field)                          {}
func (o *shortServer) Drained()                                        {}
func (o *shortServer) Failed(*codec.Error)                             {}

func (w *shortWire) TLS() *tls.ConnectionState { return nil }
func (w *shortWire) Queued() int               { return 0 }
func (w *shortWire) Unsent() int               { return 0 }
func (w *shortWire) EOF() bool                 { return false }
func (w *shortWire) Hold(bool)                 {}
func (w *shortWire) Portion(func() int)        {}
func (w *shortWire) Wake()                     {}
func (w *shortWire) CloseWrite()               {}
func (w *shortWire) Close(bool)                {}
func (w *shortWire) Abort()                    {}
func (w *shortWire) Detach() (int, bool)       { return -1, false }
func (w *shortWire) Peer() netip.AddrPort      { return netip.AddrPort{} }
func (w *shortWire) Local() netip.AddrPort     { return netip.AddrPort{} }

// shortBed is a service whose requests take no time.
type shortBed struct {
	loop    *shortLoop
	pools   *Pools
	service *Service
	request codec.Head
	attempt *Attempt
	ended   int
}

func newShortBed() *shortBed {
	o := bedOptions()
	b := &shortBed{loop: &shortLoop{Loop: sim.NewLoop(1)}, service: NewService("s", &o, nil)}
	target := NewTarget("t", originAddr(0), "h", 1)
	target.Protocol = ProtocolH2C
	b.service.SetTargets([]*Target{target})
	b.pools = NewPools(b.loop, NewGroup(1), 1, func(*Service) Meter { return silent{} })
	b.request.Reset()
	b.request.Version, b.request.Method, b.request.MethodName = codec.HTTP11, codec.MethodGet, []byte("GET")
	b.request.Path, b.request.Authority = []byte("/api/users/42"), []byte("www.example")
	b.request.Fields = append(b.request.Fields, codec.NewField(codec.FieldAccept, []byte("*/*")),
		codec.NewField(codec.FieldUserAgent, []byte("a client")), codec.NewField(codec.FieldXForwardedFor, []byte("192.0.2.1")))
	return b
}

// silent is a Meter.
type silent struct{}

func (silent) Opened()           {}
func (silent) Reused()           {}
func (silent) Closed()           {}
func (silent) Replayed()         {}
func (silent) Failed(codec.Kind) {}

func (b *shortBed) Ready(s codec.Stream)   { s.Head(&b.request, true) }
func (b *shortBed) Head(*codec.Head, bool) {}
func (b *shortBed) Trailers([]codec.Field) {}
func (b *shortBed) Drained()               {}
func (b *shortBed) Failed(e *codec.Error)  { panic(e) }
func (b *shortBed) Data(p []byte, end bool) {
	if end {
		b.ended++
		b.attempt.Release()
	}
}

func (b *shortBed) one() {
	b.attempt = b.service.Open(b.pools, &Query{}, b)
	b.loop.run()
}

// A request and its response on a connection of HTTP/2 that is open allocate nothing.
func TestH2AllocatesNothing(t *testing.T) {
	b := newShortBed()
	for range 100 {
		b.one()
	}
	if n := testing.AllocsPerRun(1000, b.one); n != 0 && pooled {
		t.Errorf("%v allocations", n)
	}
	if b.ended != 1101 {
		t.Errorf("%d of 1101 requests were answered", b.ended)
	}
}

// BenchmarkH2 is one request over HTTP/2, the server's session included.
func BenchmarkH2(b *testing.B) {
	bed := newShortBed()
	b.ReportAllocs()
	for b.Loop() {
		bed.one()
	}
}
