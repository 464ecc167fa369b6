package h2

import (
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"traffic_management/codec"
)

const reset = " > 1 RST PROTOCOL_ERROR"

// TestRequests: what is and is not a request (RFC 9113 section 8).
func TestRequests(t *testing.T) {
	with := func(more ...string) []string { return append(append([]string{}, get...), more...) }
	for _, c := range []struct {
		fields []string
		want   string
	}{
		{with(), "1 request GET https a.example /x?y no content end"},
		{with("host", "A.example"), "1 request GET https a.example /x?y no content [Host: A.example] end"},
		{with("host", "b.example"), reset},
		{with("Accept", "x"), reset},
		{with("a b", "x"), reset},
		{with("", "x"), reset},
		{with("a", "x\r\ny"), reset},
		{with("a", "x\x00"), reset},
		{with("a", " x"), reset},
		{with("a", "x\t"), reset},
		{with("a", ""), "1 request GET https a.example /x?y no content [a: ] end"},
		{with("connection", "close"), reset},
		{with("keep-alive", "x"), reset},
		{with("proxy-connection", "x"), reset},
		{with("transfer-encoding", "chunked"), reset},
		{with("upgrade", "h2c"), reset},
		{with("te", "gzip"), reset},
		{with("te", "Trailers"), "1 request GET https a.example /x?y no content options 8 end"},
		{with("content-length", "1"), reset},
		{with("content-length", "0"), "1 request GET https a.example /x?y no content 0 [Content-Length: 0] end"},
		{with("content-length", "0", "content-length", "0"), reset},
		{with("content-length", "+0"), reset},
		{with(":path", "/"), reset},
		{with("a", "b", ":path", "/"), reset},
		{with(":status", "200"), reset},
		{with(":unknown", "x"), reset},
		{[]string{":method", "GET", ":scheme", "https", ":path", "/", "host", "a.example"},
			"1 request GET https a.example / no content [Host: a.example] end"},
		{[]string{":method", "GET", ":scheme", "https", ":path", "/"}, reset},
		{[]string{":method", "GET", ":scheme", "https", ":authority", "a"}, reset},
		{[]string{":method", "GET", ":path", "/", ":authority", "a"}, reset},
		{[]string{":scheme", "https", ":path", "/", ":authority", "a"}, reset},
		{[]string{":method", "GET", "a", "b", ":scheme", "https", ":path", "/", ":authority", "a"}, reset},
		{[]string{":method", "G T", ":scheme", "https", ":path", "/", ":authority", "a"}, reset},
		{[]string{":method", "GET", ":scheme", "ftp", ":path", "/", ":authority", "a"}, reset},
		{[]string{":method", "GET", ":scheme", "http", ":path", "", ":authority", "a"}, reset},
		{[]string{":method", "GET", ":scheme", "http", ":path", "x", ":authority", "a"}, reset},
		{[]string{":method", "GET", ":scheme", "http", ":path", "*", ":authority", "a"}, reset},
		{[]string{":method", "GET", ":scheme", "http", ":path", "/a b", ":authority", "a"}, reset},
		{[]string{":method", "GET", ":scheme", "http", ":path", "/a#b", ":authority", "a"}, reset},
		{[]string{":method", "GET", ":scheme", "http", ":path", "/%", ":authority", "a"}, "1 refused 400"},
		{[]string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "u@a"}, reset},
		{[]string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a,b"}, reset},
		{[]string{":method", "OPTIONS", ":scheme", "http", ":path", "*", ":authority", "a"},
			"1 request OPTIONS http a * no content end"},
		{[]string{":method", "CONNECT", ":authority", "a:1"}, "1 request CONNECT  a:1  no content end"},
		{[]string{":method", "CONNECT", ":authority", "a:1", ":path", "/"}, reset},
		{[]string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/c", ":authority", "a"},
			"1 request GET https a /c no content options 4 [Upgrade: websocket] end"},
		{[]string{":method", "GET", ":protocol", "websocket", ":scheme", "https", ":path", "/c", ":authority", "a"}, reset},
		{with("a", strings.Repeat("x", 16<<10)), "1 refused 431"},
		{with(repeat("a", "", 101)...), "1 refused 431"},
		{with(repeat("cookie", "x", 101)...), "1 refused 431"},
		{with(repeat("cookie", "x", 3)...), "1 request GET https a.example /x?y no content [Cookie: x; x; x] end"},
	} {
		b := newBed(t, server, testConfig)
		b.headers(1, true, c.fields...)
		if got := b.did(); got != c.want {
			t.Errorf("%q:\ngot  %s\nwant %s", c.fields, got, c.want)
		}
		if b.get(3, true); !strings.HasPrefix(b.did(), "3 request GET https a.example /x?y no content") {
			t.Errorf("%q: the next request was not understood", c.fields)
		}
	}
}

func repeat(name, value string, times int) (pairs []string) {
	for range times {
		pairs = append(pairs, name, value)
	}
	return pairs
}

// TestContentLength: content is counted against its announced length (RFC 9113 section 8.1.1).
func TestContentLength(t *testing.T) {
	for _, c := range []struct {
		pieces []string
		want   string
	}{
		{[]string{"abc"}, `1 data "abc" end`},
		{[]string{"a", "bc"}, `1 data "a"; 1 data "bc" end`},
		{[]string{"ab"}, "1 failed client syntax never > 1 RST PROTOCOL_ERROR"},
		{[]string{"abcd"}, "1 failed client syntax never > 1 RST PROTOCOL_ERROR"},
		{[]string{""}, "1 failed client syntax never > 1 RST PROTOCOL_ERROR"},
	} {
		b := newBed(t, server, testConfig)
		b.get(1, false, "content-length", "3")
		b.did()
		for i, p := range c.pieces {
			b.must(b.framer.WriteData(1, i == len(c.pieces)-1, []byte(p)))
		}
		if got := b.did(); got != c.want {
			t.Errorf("%q:\ngot  %s\nwant %s", c.pieces, got, c.want)
		}
	}
	b := newBed(t, server, testConfig)
	b.get(1, false, "content-length", "3")
	b.headers(1, true, "a", "b")
	if got, want := b.did(), "1 request GET https a.example /x?y content-length 3 [Content-Length: 3]; 1 failed client syntax never > 1 RST PROTOCOL_ERROR"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestResponses: what a server may answer, and what a client's session makes of the rest.
func TestResponses(t *testing.T) {
	const bad = "1 failed upstream syntax unanswered > 1 RST PROTOCOL_ERROR"
	for _, c := range []struct {
		method codec.Method
		do     func(b *bed)
		want   string
	}{
		{codec.MethodGet, func(b *bed) { b.headers(1, true, ":status", "404") }, "1 head 404 no content end"},
		{codec.MethodGet, func(b *bed) { b.headers(1, false, ":status", "20") }, bad},
		{codec.MethodGet, func(b *bed) { b.headers(1, false, ":status", "2000") }, bad},
		{codec.MethodGet, func(b *bed) { b.headers(1, false, ":status", "101") }, bad},
		{codec.MethodGet, func(b *bed) { b.headers(1, true, ":status", "100") }, bad},
		{codec.MethodGet, func(b *bed) { b.headers(1, true, "a", "b") }, bad},
		{codec.MethodGet, func(b *bed) { b.headers(1, true, ":status", "200", ":path", "/") }, bad},
		{codec.MethodGet, func(b *bed) { b.headers(1, true, ":status", "200", "content-length", "2") }, bad},
		{codec.MethodGet, func(b *bed) { b.headers(1, true, ":status", "200", "connection", "close") }, bad},
		{codec.MethodHead, func(b *bed) { b.headers(1, true, ":status", "200", "content-length", "2") },
			"1 head 200 no content 2 [Content-Length: 2] end"},
		{codec.MethodHead, func(b *bed) {
			b.headers(1, false, ":status", "200", "content-length", "2")
			b.must(b.framer.WriteData(1, true, nil))
		}, `1 head 200 no content 2 [Content-Length: 2]; 1 data "" end`},
		{codec.MethodHead, func(b *bed) {
			b.headers(1, false, ":status", "200")
			b.must(b.framer.WriteData(1, true, []byte("x")))
		}, "1 head 200 no content; 1 failed upstream syntax never > 1 RST PROTOCOL_ERROR"},
		{codec.MethodGet, func(b *bed) { b.must(b.framer.WriteData(1, true, nil)) }, bad},
		{codec.MethodGet, func(b *bed) { b.must(b.framer.WriteRSTStream(1, http2.ErrCodeRefusedStream)) },
			"1 failed upstream refused safe"},
		{codec.MethodGet, func(b *bed) { b.must(b.framer.WriteRSTStream(1, http2.ErrCodeCancel)) },
			"1 failed upstream closed unanswered"},
		{codec.MethodGet, func(b *bed) {
			b.headers(1, false, ":status", "200")
			b.must(b.framer.WriteRSTStream(1, http2.ErrCodeCancel))
		}, "1 head 200 end of stream; 1 failed upstream closed never"},
		{codec.MethodGet, func(b *bed) { b.must(b.framer.WriteGoAway(1, http2.ErrCodeNo, nil)) }, "goaway 1 NO_ERROR"},
		{codec.MethodGet, func(b *bed) { b.must(b.framer.WriteGoAway(0, http2.ErrCodeNo, nil)) },
			"1 failed upstream refused safe; goaway 0 NO_ERROR"},
		{codec.MethodGet, func(b *bed) { b.headers(2, false, ":status", "200") },
			"1 failed upstream closed unanswered > GOAWAY 0 PROTOCOL_ERROR stream_id ! PROTOCOL_ERROR: stream_id"},
		{codec.MethodGet, func(b *bed) { b.headers(1, false, ":status", "200", "a", strings.Repeat("x", 16<<10)) },
			"1 failed upstream too_large unanswered > 1 RST ENHANCE_YOUR_CALM"},
	} {
		b := newBed(t, client, testConfig)
		s, r := b.ask()
		s.Head(request(c.method, "/", -1), true)
		r.id = s.ID()
		b.sent()
		c.do(b)
		if got := b.did(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		s.Release()
	}
}
