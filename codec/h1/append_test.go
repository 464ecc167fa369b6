package h1

import (
	"strings"
	"testing"

	"traffic_management/codec"
)

// head is a request head of "GET /" at "a" with these field lines, "name: value"; a name is as it is, lookup included.
func head(lines ...string) *codec.Head {
	h := &codec.Head{Method: codec.MethodGet, MethodName: []byte("GET"), Path: []byte("/"), Authority: []byte("a"), Length: -1}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Fields = append(h.Fields, codec.Field{Name: []byte(name), Value: []byte(value), ID: codec.LookupFieldID([]byte(name))})
	}
	return h
}

func response(status int, lines ...string) *codec.Head {
	h := head(lines...)
	*h = codec.Head{Status: status, Length: -1, Fields: h.Fields}
	return h
}

func TestAppendRequestTarget(t *testing.T) {
	for _, c := range []struct{ method, authority, path, query, want string }{
		{"GET", "a", "/b", "-", "GET /b HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"GET", "a:80", "/b", "", "GET /b? HTTP/1.1\r\nHost: a:80\r\n\r\n"},
		{"GET", "", "/b", "c?d", "GET /b?c?d HTTP/1.1\r\nHost: \r\n\r\n"},
		{"GET", "a", "", "-", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"GET", "a", "", "c", "GET /?c HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"GET", "a", "*", "-", "GET /* HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"GET", "a", "http://b/", "-", "GET /http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"GET", "a", "/b c\r\n\x00é#?d", "-", "GET /b%20c%0D%0A%00%C3%A9%23%3Fd HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"GET", "a", "/", "b c#\n", "GET /?b%20c%23%0A HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"OPTIONS", "a", "*", "-", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"OPTIONS", "a", "", "-", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"OPTIONS", "a", "", "b", "OPTIONS /?b HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"OPTIONS", "a", "/", "-", "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"CONNECT", "a:1", "", "-", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"},
		{"M-SEARCH", "[::1]", "/", "-", "M-SEARCH / HTTP/1.1\r\nHost: [::1]\r\n\r\n"},
		// What cannot be sent:
		{"G T", "a", "/", "-", ""},
		{"", "a", "/", "-", ""},
		{"X\r\n", "a", "/", "-", ""},
		{"GET", "a\r\nb: c", "/", "-", ""},
		{"GET", "u@a", "/", "-", ""},
		{"GET", "a,b", "/", "-", ""},
		{"CONNECT", "", "", "-", ""},
	} {
		h := &codec.Head{Method: codec.LookupMethod([]byte(c.method)), MethodName: []byte(c.method), Length: -1,
			Authority: []byte(c.authority), Path: []byte(c.path)}
		if c.query != "-" {
			h.Query = []byte(c.query)
		}
		if got := string(AppendRequestHead([]byte("kept"), h, codec.NoContent)); got != "kept"+c.want {
			t.Errorf("%q: got %q, want %q", c, got, c.want)
		}
	}
}

func TestAppendRequestFields(t *testing.T) {
	for _, c := range []struct {
		name    string
		head    *codec.Head
		framing codec.Framing
		length  int64
		options codec.ConnOption
		want    string // the lines after Host
	}{
		{"case is kept", head("aCCept: x", "X-y: "), codec.NoContent, -1, 0, "aCCept: x|X-y: "},
		{"hop-by-hop", head("Connection: x", "Keep-Alive: 1", "Proxy-Connection: x", "TE: trailers", "Transfer-Encoding: gzip",
			"Upgrade: x", "Content-Length: 5", "HTTP2-Settings: x", "Proxy-Authorization: x", "Host: b", "Trailer: x"),
			codec.NoContent, -1, 0, "Trailer: x"},
		{"by length", head(), codec.ByLength, 5, 0, "Content-Length: 5"},
		{"long", head(), codec.ByLength, 1<<63 - 1, 0, "Content-Length: 9223372036854775807"},
		{"stated as empty", head("Content-Length: 0"), codec.NoContent, 0, 0, "Content-Length: 0"},
		{"by chunks", head(), codec.ByChunks, -1, 0, "Transfer-Encoding: chunked"},
		{"from HTTP/2", head(), codec.ByEndStream, -1, 0, "Transfer-Encoding: chunked"},
		{"upgrade", head("Upgrade: websocket", "Connection: close"), codec.NoContent, -1, codec.OptUpgrade | codec.OptClose,
			"Upgrade: websocket|Connection: upgrade"},
		{"upgrade to nothing", head(), codec.NoContent, -1, codec.OptUpgrade, ""},
		{"bad names", head("a b: c", ": d", "e\r\nf: g", "h:: i", "\xff: j", "k: l"), codec.NoContent, -1, 0, "k: l"},
		{"bad values", head("a: b\r\nc", "d: \n", "e: 12345678\x00", "f: \x7f", "g: \t1234567\x1f", "h: \t12345678\xff\x7e"),
			codec.NoContent, -1, 0, "h: \t12345678\xff\x7e"},
	} {
		c.head.Length, c.head.Options = c.length, c.options
		got := string(AppendRequestHead(nil, c.head, c.framing))
		got, ok := strings.CutPrefix(got, "GET / HTTP/1.1\r\nHost: a\r\n")
		got, end := strings.CutSuffix(got, "\r\n")
		if got = strings.TrimSuffix(strings.ReplaceAll(got, "\r\n", "|"), "|"); !ok || !end || got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if got := AppendRequestHead([]byte("kept"), head(), codec.ByLength); string(got) != "kept" {
		t.Errorf("a length that is not set: %q", got)
	}
}

// TestNoFieldFramesBehindOurBack: a field without an ID is known by its name all the same.
func TestNoFieldFramesBehindOurBack(t *testing.T) {
	h := head()
	for _, name := range []string{"transfer-encoding", "Content-Length", "Connection", "hOST"} {
		h.Fields = append(h.Fields, codec.Field{Name: []byte(name), Value: []byte("1"), ID: codec.FieldOther})
	}
	h.Fields = append(h.Fields, codec.Field{Name: []byte("a\r\nb"), Value: []byte("c")},
		codec.Field{Name: []byte("Via"), Value: []byte("removed"), ID: codec.FieldRemoved})
	if got := string(AppendRequestHead(nil, h, codec.NoContent)); got != "GET / HTTP/1.1\r\nHost: a\r\n\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestAppendResponseHead(t *testing.T) {
	for _, c := range []struct {
		name    string
		head    *codec.Head
		reason  string
		request codec.Method
		framing codec.Framing
		length  int64
		options codec.ConnOption
		want    string
	}{
		{"by length", response(200, "Server: x", "Host: kept"), "OK", codec.MethodGet, codec.ByLength, 5, 0,
			"200 OK|Server: x|Host: kept|Content-Length: 5"},
		{"hop-by-hop", response(200, "Connection: x", "Content-Length: 7", "transfer-encoding: x", "Proxy-Authenticate: y",
			"Trailer: z", "Upgrade: u"), "", 0, codec.ByChunks, -1, 0,
			"200 |Proxy-Authenticate: y|Trailer: z|Transfer-Encoding: chunked"},
		{"from HTTP/2", response(200), "", 0, codec.ByEndStream, -1, 0, "200 |Transfer-Encoding: chunked"},
		{"until close", response(200), "", 0, codec.ByClose, -1, codec.OptKeepAlive, "200 |Connection: close"},
		{"keep-alive", response(200), "", 0, codec.ByLength, 1, codec.OptKeepAlive,
			"200 |Connection: keep-alive|Content-Length: 1"},
		{"close", response(200), "", 0, codec.ByLength, 1, codec.OptClose, "200 |Connection: close|Content-Length: 1"},
		{"switch", response(101, "Upgrade: websocket"), "", 0, codec.NoContent, -1, codec.OptUpgrade,
			"101 |Upgrade: websocket|Connection: upgrade"},
		{"upgrade required", response(426, "Upgrade: TLS/1.2"), "", 0, codec.NoContent, -1, codec.OptUpgrade | codec.OptClose,
			"426 |Upgrade: TLS/1.2|Connection: close, upgrade|Content-Length: 0"},
		{"empty", response(200), "", codec.MethodGet, codec.NoContent, -1, 0, "200 |Content-Length: 0"},
		{"to HEAD", response(200), "", codec.MethodHead, codec.NoContent, 5, 0, "200 |Content-Length: 5"},
		{"to HEAD, unknown", response(200), "", codec.MethodHead, codec.ByChunks, -1, 0, "200 "},
		{"to HEAD by close", response(200), "", codec.MethodHead, codec.ByClose, -1, 0, "200 "},
		{"to HEAD of nobody", response(200), "", 0, codec.NoContent, 5, 0, "200 |Content-Length: 5"},
		{"not modified", response(304), "", codec.MethodGet, codec.NoContent, 5, 0, "304 |Content-Length: 5"},
		{"not modified, unknown", response(304), "", codec.MethodGet, codec.NoContent, -1, 0, "304 "},
		{"no content", response(204), "", codec.MethodHead, codec.ByLength, 5, 0, "204 "},
		{"interim", response(103, "Link: x"), "Early", codec.MethodHead, codec.NoContent, 5, 0, "103 Early|Link: x"},
		{"tunnel", response(200), "", codec.MethodConnect, codec.NoContent, 5, 0, "200 "},
		{"bad reason", response(999), "a\r\nb", 0, codec.NoContent, -1, 0, "999 |Content-Length: 0"},
	} {
		c.head.Reason, c.head.Method, c.head.Length = []byte(c.reason), c.request, c.length
		got := string(AppendResponseHead([]byte("kept"), c.head, c.framing, c.options))
		want := "keptHTTP/1.1 " + strings.ReplaceAll(c.want, "|", "\r\n") + "\r\n\r\n"
		if got != want {
			t.Errorf("%s: got %q, want %q", c.name, got, want)
		}
	}
	for _, h := range []*codec.Head{response(0), response(99), response(1000), response(200)} {
		if got := AppendResponseHead([]byte("kept"), h, codec.ByLength, 0); string(got) != "kept" {
			t.Errorf("status %d, length %d: %q", h.Status, h.Length, got)
		}
	}
}

func TestAppendTrailers(t *testing.T) {
	all := head("Checksum: x", "Grpc-Status: 0", "Content-Length: 5", "Transfer-Encoding: chunked", "HOST: a", "Authorization: x",
		"Set-Cookie: x", "content-range: x", "Www-Authenticate: x", "If-None-Match: x", "X-Forwarded-For: x", "Upgrade: x",
		"Connection: x", "Trailer: x", "bad name: x", "Bad: \n", "ETag: y").Fields
	if got := string(AppendTrailers(nil, all)); got != "0\r\nChecksum: x\r\nGrpc-Status: 0\r\nETag: y\r\n\r\n" {
		t.Errorf("got %q", got)
	}
	if got := string(AppendTrailers(nil, nil)); got != "0\r\n\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestRemoveHopByHop(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Connection: x-a|X-A: 1|X-B: 2", "X-B: 2"},
		{"Connection: close, keep-alive, X-A|x-a: 1|X-A: 2", ""},
		{"X-A: 1|Connection: close|Connection: x-a", ""},
		{"Connection: ,, accept ,|Accept: x|Via: y", "Via: y"},
		{"Connection: X-Forwarded-For, forwarded, x-forwarded-proto, X-Real-Ip, X-Request-Id|X-Forwarded-For: 1|" +
			"Forwarded: 2|X-Forwarded-Proto: 3|X-Real-IP: 4|x-request-id: 5",
			"X-Forwarded-For: 1|Forwarded: 2|X-Forwarded-Proto: 3|X-Real-IP: 4|x-request-id: 5"},
		{"Connection: Content-Type, Authorization, Cookie, Cache-Control|Content-Type: 1|Authorization: 2|Cookie: 3|" +
			"Cache-Control: 4", "Content-Type: 1|Authorization: 2|Cookie: 3|Cache-Control: 4"},
		{"Connection: \"x\"|X: y", "X: y"},
	} {
		in := "GET / HTTP/1.1\r\nHost: a\r\n" + strings.ReplaceAll(c.in, "|", "\r\n") + "\r\n\r\n"
		var h codec.Head
		if _, err := ParseRequestHead([]byte(in), &h, &benchLimits); err != nil {
			t.Fatal(err)
		}
		codec.RemoveHopByHop(&h)
		want := "GET / HTTP/1.1\r\nHost: a\r\n"
		if c.want != "" {
			want += strings.ReplaceAll(c.want, "|", "\r\n") + "\r\n"
		}
		if got := string(AppendRequestHead(nil, &h, h.Framing)); got != want+"\r\n" {
			t.Errorf("%q: got %q, want %q", c.in, got, want)
		}
	}
}

// TestNominatedUpgradeIsStillOffered: "upgrade" is an option with a meaning, not only a name to remove.
func TestNominatedUpgradeIsStillOffered(t *testing.T) {
	in := "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, X-A, Host, Content-Length\r\nUpgrade: websocket\r\nX-A: 1\r\n\r\n"
	var h codec.Head
	if _, err := ParseRequestHead([]byte(in), &h, &benchLimits); err != nil {
		t.Fatal(err)
	}
	codec.RemoveHopByHop(&h)
	want := "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
	if got := string(AppendRequestHead(nil, &h, h.Framing)); got != want {
		t.Errorf("got %q", got)
	}
}
