package h2

import (
	"testing"

	"traffic_management/codec"
)

func request(method codec.Method, path string, length int64, fields ...codec.Field) *codec.Head {
	h := &codec.Head{Version: codec.HTTP11, Method: method, MethodName: []byte(method.String()),
		Authority: []byte("a.example"), Path: []byte(path), Length: length, Fields: fields}
	if length > 0 {
		h.Framing = codec.ByLength
	}
	return h
}

// ask opens a stream of a client's session.
func (b *bed) ask() (*Stream, *heard) {
	r := &heard{events: &b.events}
	s := b.session.Open(r)
	if s == nil {
		b.t.Fatal("no room")
	}
	r.stream = s
	return s, r
}

func TestClientExchange(t *testing.T) {
	b := newBed(t, client, testConfig)
	s, r := b.ask()
	s.Head(request(codec.MethodPost, "/a b?", 5, codec.NewField(codec.FieldUserAgent, []byte("x")),
		codec.NewField(codec.FieldConnection, []byte("close"))), false)
	r.id = s.ID()
	s.Data([]byte("hello"), true)
	want := `1 HEADERS [:method: POST] [:scheme: http] [:path: /a%20b%3F] [:authority: a.example] [user-agent: x] [content-length: 5]; 1 DATA "hello" end`
	if got := b.sent(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	b.headers(1, false, ":status", "103", "link", "x")
	b.headers(1, false, ":status", "200", "server", "s", "content-length", "3")
	b.must(b.framer.WriteData(1, false, []byte("abc")))
	b.headers(1, true, "grpc-status", "0")
	want = `1 head 103 no content [link: x]; 1 head 200 content-length 3 [Server: s] [Content-Length: 3]; 1 data "abc"; 1 trailers [grpc-status: 0]`
	if got := b.did(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	s.Release()
	if got := b.sent(); got != "" || b.session.Streams() != 0 {
		t.Errorf("sent %s, %d streams", got, b.session.Streams())
	}
	if b.session.Room() != 100 {
		t.Errorf("room for %d", b.session.Room())
	}
}

// TestCancelledResponses: what a server sends on streams before it knows that they were reset, however many, costs the
// connection nothing.
func TestCancelledResponses(t *testing.T) {
	b := newBed(t, client, testConfig)
	for round := range 10 {
		var ids []uint32
		for range 100 {
			s, _ := b.ask()
			s.Head(request(codec.MethodGet, "/", 0), true)
			ids = append(ids, s.ID())
			s.Release()
		}
		for _, id := range ids {
			b.headers(id, false, ":status", "200")
			b.must(b.framer.WriteData(id, false, []byte("x")))
			b.headers(id, true, "grpc-status", "0")
		}
		if err := b.pass(); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	last, _ := b.ask()
	last.Head(request(codec.MethodGet, "/", 0), true)
	id := last.ID()
	last.Release()
	var err error
	i := 0
	for ; err == nil && i < 1000; i++ { // more than there can be
		b.headers(id, false, ":status", "200")
		err = b.pass()
	}
	if err != errResets {
		t.Errorf("%v after %d", err, i)
	}
}
