package h2

import (
	"bytes"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"traffic_management/codec"
)

// quiet is a Wire that drops what is written.
type quiet struct{ bytes int }

func (w *quiet) Write(p []byte) { w.bytes += len(p) }

func (w *quiet) Writev(bufs [][]byte) {
	for _, b := range bufs {
		w.bytes += len(b)
	}
}

func (w *quiet) Queued() int { return 0 }

// answerer answers every request at once, as a driver would.
type answerer struct {
	head    codec.Head
	content []byte
	stream  *Stream
	served  int
}

func (a *answerer) Request(s *Stream, h *codec.Head, raw []byte, end bool) codec.Receiver {
	s.Head(&a.head, false)
	s.Data(a.content, true)
	s.Queued()
	a.served++
	if end {
		s.Release()
		return nil
	}
	a.stream = s
	return a
}

func (a *answerer) Refused(*Stream, *codec.Error) codec.Receiver { return nil }
func (a *answerer) Settings()                                    {}
func (a *answerer) GoAway(uint32, ErrCode)                       {}
func (a *answerer) Pong(uint64)                                  {}
func (a *answerer) Later()                                       {}
func (a *answerer) Ready(codec.Stream)                           {}
func (a *answerer) Head(*codec.Head, bool)                       {}
func (a *answerer) Trailers([]codec.Field)                       {}
func (a *answerer) Drained()                                     {}
func (a *answerer) Failed(*codec.Error)                          {}

func (a *answerer) Data(_ []byte, end bool) {
	if end {
		a.stream.Release()
	}
}

// browserFields are what a browser sends for each page of a site it knows.
var browserFields = []string{":method", "GET", ":scheme", "https", ":authority", "www.example.com",
	":path", "/products/list?page=2&sort=price",
	"user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
	"accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "accept-language", "en-US,en;q=0.5",
	"accept-encoding", "gzip, deflate, br, zstd", "referer", "https://www.example.com/products/",
	"cookie", "session=0123456789abcdef0123456789abcdef", "cookie", "theme=dark", "upgrade-insecure-requests", "1",
	"priority", "u=0, i", "te", "trailers"}

// traffic gives a server's session request after request, with fields that are in its table after the first one, but
// for the path, which is not to be indexed. The client gives its window back each time.
type traffic struct {
	session *Session
	frame   []byte
	id      uint32
}

func newTraffic(t testing.TB, a *answerer, fields []string) *traffic {
	c := testConfig
	r := &traffic{session: NewServer(&c, &quiet{}, a, 0), id: 1}
	var out, block bytes.Buffer
	out.WriteString(preface)
	f := http2.NewFramer(&out, nil)
	f.WriteSettings()
	f.WriteSettingsAck()
	if n, err := r.session.Receive(out.Bytes(), 0); n != out.Len() || err != nil {
		t.Fatal(n, err)
	}
	e := hpack.NewEncoder(&block)
	for range 2 {
		out.Reset()
		block.Reset()
		for i := 0; i < len(fields); i += 2 {
			e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1], Sensitive: fields[i] == ":path"})
		}
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
		r.frame = appendWindowUpdate(bytes.Clone(out.Bytes()), 0, int64(len(a.content)))
		r.next(t)
	}
	return r
}

func (r *traffic) next(t testing.TB) {
	putFrame(r.frame, parseFrame(r.frame).length, frameHeaders, r.frame[4], r.id)
	r.id += 2
	if n, err := r.session.Receive(r.frame, 0); n != len(r.frame) || err != nil {
		t.Fatal(n, err)
	}
}

func newAnswerer() *answerer {
	return &answerer{content: make([]byte, 128), head: *response(200, 128,
		codec.NewField(codec.FieldServer, []byte("nginx")),
		codec.NewField(codec.FieldDate, []byte("Tue, 01 Jul 2025 10:00:00 GMT")),
		codec.NewField(codec.FieldContentType, []byte("text/plain")),
		codec.NewField(codec.FieldCacheControl, []byte("max-age=3600")),
		codec.Field{Name: []byte("X-Served-By"), Value: []byte("a1")})}
}

func TestRequestAllocatesNothing(t *testing.T) {
	a := newAnswerer()
	r := newTraffic(t, a, browserFields)
	for range 100 {
		r.next(t)
	}
	if n := testing.AllocsPerRun(100, func() { r.next(t) }); n != 0 && pooled {
		t.Errorf("%v allocations a request", n)
	}
	if a.served < 100 || r.session.Streams() != 0 {
		t.Errorf("%d served, %d streams", a.served, r.session.Streams())
	}
}

func BenchmarkRequest(b *testing.B) {
	r := newTraffic(b, newAnswerer(), browserFields)
	b.ReportAllocs()
	for b.Loop() {
		r.next(b)
	}
}

func BenchmarkSmallRequest(b *testing.B) {
	r := newTraffic(b, newAnswerer(), browserFields[:8])
	b.ReportAllocs()
	for b.Loop() {
		r.next(b)
	}
}

// TestIdleSession: what a connection keeps between requests is little: the fields of its client, and no buffers.
func TestIdleSession(t *testing.T) {
	const sessions = 500
	all := make([]*traffic, sessions)
	var before, after runtime.MemStats
	for i := range all {
		all[i] = newTraffic(t, newAnswerer(), browserFields) // so that pools are full
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	kept := make([]*Session, sessions)
	for i := range kept {
		kept[i] = newTraffic(t, newAnswerer(), browserFields).session
		kept[i].events, kept[i].wire = nil, nil
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	size := (int(after.HeapAlloc) - int(before.HeapAlloc)) / sessions
	t.Logf("%d bytes, of which %d are the session's own", size, unsafe.Sizeof(Session{}))
	if size > 4<<10 {
		t.Errorf("%d bytes are kept for an idle connection", size)
	}
	runtime.KeepAlive(all)
	runtime.KeepAlive(kept)
}
