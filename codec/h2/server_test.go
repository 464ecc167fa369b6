package h2

import (
	"testing"

	"traffic_management/codec"
)

func TestServerExchange(t *testing.T) {
	b := newBed(t, server, testConfig)
	b.get(1, true, "user-agent", "x", "cookie", "a=b", "te", "trailers", "cookie", "c=d", "x-own", "1", "accept", "*/*")
	want := "1 request GET https a.example /x?y no content options 8 [User-Agent: x] [Cookie: a=b; c=d] [x-own: 1] [Accept: */*] end"
	if got := b.did(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	s := b.events.streams[1].stream
	s.Head(response(200, 5, codec.NewField(codec.FieldServer, []byte("s")), codec.Field{Name: []byte("X-Own"), Value: []byte(" 2 ")}), false)
	s.Data([]byte("he"), false)
	s.Data([]byte("llo"), true)
	s.Release()
	want = `1 HEADERS [:status: 200] [server: s] [x-own: 2] [content-length: 5]; 1 DATA "he"; 1 DATA "llo" end`
	if got := b.sent(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if b.session.Streams() != 0 || b.session.Requests() != 1 {
		t.Errorf("%d streams, %d requests", b.session.Streams(), b.session.Requests())
	}
	b.get(3, false, "content-length", "3")
	b.must(b.framer.WriteDataPadded(3, false, []byte("ab"), []byte{0, 0}))
	b.must(b.framer.WriteData(3, true, []byte("c")))
	want = `3 request GET https a.example /x?y content-length 3 [Content-Length: 3]; 3 data "ab"; 3 data "c" end`
	if got := b.did(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	s = b.events.streams[3].stream
	s.Head(response(103, -1), false)
	s.Head(response(200, -1), false)
	s.Data([]byte("x"), false)
	s.Trailers([]codec.Field{{Name: []byte("Grpc-Status"), Value: []byte("0")}, codec.NewField(codec.FieldContentLength, []byte("1"))})
	s.Release()
	want = `3 HEADERS [:status: 103]; 3 HEADERS [:status: 200]; 3 DATA "x"; 3 HEADERS [grpc-status: 0] end`
	if got := b.sent(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
