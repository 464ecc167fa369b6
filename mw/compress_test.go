package mw

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// compressing makes a filter with the algorithms in order of preference; change alters its options.
func compressing(t testing.TB, change func(*CompressOptions)) *Compress {
	t.Helper()
	o := CompressOptions{MinBody: 16, Types: []string{"text/*", "application/json", "application/*+json"},
		Algorithms: []Algorithm{{CodingBrotli, 3}, {CodingZstd, 3}, {CodingGzip, 5}}}
	if change != nil {
		change(&o)
	}
	c, err := NewCompress(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChooseCoding(t *testing.T) {
	c := compressing(t, nil)
	for _, tc := range []struct {
		what   string
		fields []string
		want   Coding
	}{
		{"no field", nil, CodingIdentity},
		{"an empty one", []string{"Accept-Encoding: "}, CodingIdentity},
		{"one", []string{"Accept-Encoding: gzip"}, CodingGzip},
		{"in capitals", []string{"Accept-Encoding: GZip"}, CodingGzip},
		{"its old name", []string{"Accept-Encoding: x-gzip"}, CodingGzip},
		{"a browser's", []string{"Accept-Encoding: gzip, deflate, br, zstd"}, CodingBrotli},
		{"one we do not have", []string{"Accept-Encoding: deflate, compress"}, CodingIdentity},
		{"over two fields", []string{"Accept-Encoding: deflate", "Accept-Encoding: zstd"}, CodingZstd},
		{"by weight", []string{"Accept-Encoding: br;q=0.5, gzip;q=0.8, zstd;q=0.7"}, CodingGzip},
		{"equal weights: ours", []string{"Accept-Encoding: gzip;q=0.5, zstd;q=0.5"}, CodingZstd},
		{"the finest difference", []string{"Accept-Encoding: br;q=0.998, gzip;q=0.999"}, CodingGzip},
		{"least weight", []string{"Accept-Encoding: gzip;q=0.001"}, CodingGzip},
		{"refused", []string{"Accept-Encoding: gzip;q=0"}, CodingIdentity},
		{"refused at length", []string{"Accept-Encoding: gzip;q=0.000"}, CodingIdentity},
		{"any", []string{"Accept-Encoding: *"}, CodingBrotli},
		{"any but", []string{"Accept-Encoding: br;q=0, *"}, CodingZstd},
		{"any, less than one", []string{"Accept-Encoding: *;q=0.5, gzip"}, CodingGzip},
		{"none but", []string{"Accept-Encoding: gzip, *;q=0"}, CodingGzip},
		{"none", []string{"Accept-Encoding: *;q=0"}, CodingIdentity},
		{"rather as it is", []string{"Accept-Encoding: identity, gzip;q=0.5"}, CodingIdentity},
		{"as well as it is", []string{"Accept-Encoding: identity;q=0.5, gzip;q=0.5"}, CodingGzip},
		{"anything but as it is", []string{"Accept-Encoding: identity;q=0, gzip;q=0.2"}, CodingGzip},
		{"white space", []string{"Accept-Encoding:  gzip \t; \tq=0.3 ,,"}, CodingGzip},
		{"capital Q", []string{"Accept-Encoding: gzip;Q=0.5, br;q=0.4"}, CodingGzip},
		{"contradiction", []string{"Accept-Encoding: gzip, gzip;q=0"}, CodingIdentity},
		{"the other way round", []string{"Accept-Encoding: gzip;q=0, gzip"}, CodingIdentity},
		{"no transformation", []string{"Accept-Encoding: gzip", "Cache-Control: no-cache, No-Transform"}, CodingIdentity},

		{"weight over 1", []string{"Accept-Encoding: gzip;q=1.1"}, CodingIdentity},
		{"weight of 2", []string{"Accept-Encoding: gzip;q=2"}, CodingIdentity},
		{"negative", []string{"Accept-Encoding: gzip;q=-1"}, CodingIdentity},
		{"too fine", []string{"Accept-Encoding: gzip;q=0.5555"}, CodingIdentity},
		{"no digits", []string{"Accept-Encoding: gzip;q="}, CodingIdentity},
		{"no weight", []string{"Accept-Encoding: gzip;"}, CodingIdentity},
		{"another parameter", []string{"Accept-Encoding: gzip;a=b"}, CodingIdentity},
		{"two parameters", []string{"Accept-Encoding: gzip;q=1;q=1"}, CodingIdentity},
		{"one dot too many", []string{"Accept-Encoding: gzip;q=0.5."}, CodingIdentity},
		{"letters", []string{"Accept-Encoding: gzip;q=0.x"}, CodingIdentity},
		{"exponent", []string{"Accept-Encoding: gzip;q=1e0"}, CodingIdentity},
		{"no name", []string{"Accept-Encoding: ;q=1"}, CodingIdentity},
		{"a name that begins so", []string{"Accept-Encoding: gzip2"}, CodingIdentity},
		{"commas", []string{"Accept-Encoding: " + strings.Repeat(",", 5000) + "gzip"}, CodingIdentity},
		{"a long list", []string{"Accept-Encoding: gzip" + strings.Repeat(", a;q=0.1", 5000)}, CodingIdentity},
		{"many fields", append(slicesRepeat("Accept-Encoding: a", 100), "Accept-Encoding: gzip"), CodingIdentity},
	} {
		for _, v := range []codec.Version{codec.HTTP11, codec.HTTP2} {
			h := bedHead(t, v, "GET", "/", 0, tc.fields)
			if got := c.choose(&h); got != tc.want {
				t.Errorf("%s, %v: %q: %v, want %v", tc.what, v, tc.fields, got, tc.want)
			}
		}
	}
}

func slicesRepeat(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

// FuzzChooseCoding holds that nothing is applied that the client did not name, or that it refused.
func FuzzChooseCoding(f *testing.F) {
	f.Add("gzip;q=0.5, br;q=0, *;q=0.1")
	f.Add(" ,gzip ;\tq=1.000,identity;q=1")
	c := compressing(f, nil)
	f.Fuzz(func(t *testing.T, value string) {
		h := codec.Head{Fields: []codec.Field{codec.NewField(codec.FieldAcceptEncoding, []byte(value))}}
		got, low := c.choose(&h), strings.ToLower(value)
		if got == CodingIdentity {
			return
		}
		named, refused := strings.Contains(low, "*"), false
		for _, e := range strings.Split(low, ",") {
			e = strings.Trim(e, " \t")
			name, weight, _ := strings.Cut(e, ";")
			name, weight = strings.Trim(name, " \t"), strings.Trim(weight, " \t")
			if name == got.String() || got == CodingGzip && name == "x-gzip" {
				named = true
				refused = refused || strings.HasPrefix(weight, "q=0") && strings.Trim(weight, "q=0.") == ""
			}
		}
		if !named || refused {
			t.Errorf("%q: %v", value, got)
		}
	})
}

func TestMediaTypes(t *testing.T) {
	for _, tc := range []struct {
		pattern string
		match   []string
		not     []string
	}{
		{"text/html", []string{"text/html", "Text/HTML", "text/html; charset=utf-8", "text/html ;a=b"}, []string{"", "text/htm", "text/html2", "text", "a;text/html"}},
		{"text/*", []string{"text/html", "TEXT/x"}, []string{"text/", "text", "xtext/html", "application/text"}},
		{"application/*+json", []string{"application/a+json", "application/problem+JSON;x=y"}, []string{"application/json", "application/+json", "text/a+json", "application/a+jso"}},
	} {
		m, err := parseMediaType(tc.pattern)
		if err != nil {
			t.Error(err)
		}
		for i, v := range append(tc.match, tc.not...) {
			if got := matchesAny([]mediaType{m}, []byte(v)); got != (i < len(tc.match)) {
				t.Errorf("%s and %q: %v", tc.pattern, v, got)
			}
		}
	}
	for _, s := range []string{"", "text", "text/", "/html", "*/*", "*", "text/h*", "text/*html", "text/**", "text/*+", "text/*+*", "a b/c", "text/a b", "text/html; a"} {
		if _, err := parseMediaType(s); err == nil {
			t.Errorf("%q is no error", s)
		}
	}
}

// text of a response that is worth compressing.
var compressibleText = strings.Repeat("What is said again need not be sent again. ", 20)

// response is one of HTTP/1.1 with these fields and this content.
func response(status int, content string, fields ...string) string {
	s := fmt.Sprintf("HTTP/1.1 %d X\r\n", status)
	for _, f := range fields {
		s += f + "\r\n"
	}
	return s + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(content), content)
}

// TestCompressHeads is of what is compressed, and what the head says of it. The answer to HEAD says what that to GET does.
func TestCompressHeads(t *testing.T) {
	const gzip = "Accept-Encoding: gzip"
	text := compressibleText
	for _, tc := range []struct {
		what             string
		request          []string
		answer           string
		compressed       bool
		vary, etag, rest string // rest: another field, "name: value"
	}{
		{"text", []string{gzip}, response(200, text, "Content-Type: text/plain"), true, "Accept-Encoding", "", ""},
		{"with a parameter", []string{gzip}, response(200, text, "Content-Type: Text/HTML; charset=utf-8"), true, "Accept-Encoding", "", ""},
		{"an error", []string{gzip}, response(404, text, "Content-Type: text/plain"), true, "Accept-Encoding", "", ""},
		{"of no type", []string{gzip}, response(200, text), false, "", "", ""},
		{"of another type", []string{gzip}, response(200, text, "Content-Type: image/png"), false, "", "", ""},
		{"of an excluded type", []string{gzip}, response(200, text, "Content-Type: text/x-not"), false, "", "", ""},
		{"gRPC", []string{gzip}, response(200, text, "Content-Type: application/grpc+json"), false, "", "", ""},
		{"little", []string{gzip}, response(200, "fifteen bytes!!", "Content-Type: text/plain"), false, "", "", ""},
		{"just enough", []string{gzip}, response(200, "sixteen bytes !!", "Content-Type: text/plain"), true, "Accept-Encoding", "", ""},
		{"nothing", []string{gzip}, response(200, "", "Content-Type: text/plain"), false, "", "", ""},
		{"the client cannot", nil, response(200, text, "Content-Type: text/plain"), false, "Accept-Encoding", "", ""},
		{"nor this", []string{"Accept-Encoding: deflate"}, response(200, text, "Content-Type: text/plain", `ETag: "a"`), false, "Accept-Encoding", `"a"`, ""},
		{"compressed by the server", []string{gzip}, response(200, text, "Content-Type: text/plain", "Content-Encoding: br", `ETag: "a"`), false, "", `"a"`, "Content-Encoding: br"},
		{"not to be transformed", []string{gzip}, response(200, text, "Content-Type: text/plain", "Cache-Control: public, no-transform"), false, "", "", ""},
		{"asked not to", []string{gzip, "Cache-Control: no-transform"}, response(200, text, "Content-Type: text/plain"), false, "Accept-Encoding", "", ""},
		{"a part", []string{gzip}, response(206, text, "Content-Type: text/plain", "Content-Range: bytes 0-1/2", `ETag: "a"`), false, "", `"a"`, ""},
		{"a range that is not", []string{gzip}, response(416, text, "Content-Type: text/plain", "Content-Range: bytes */2"), false, "", "", ""},
		{"ranges of what is not sent", []string{gzip}, response(200, text, "Content-Type: text/plain", "Accept-Ranges: bytes"), true, "Accept-Encoding", "", "Accept-Ranges: "},
		{"ranges of what is", nil, response(200, text, "Content-Type: text/plain", "Accept-Ranges: bytes"), false, "Accept-Encoding", "", "Accept-Ranges: bytes"},
		{"a digest", []string{gzip}, response(200, text, "Content-Type: text/plain", "Repr-Digest: sha-256=:AAAA:"), false, "", "", ""},
		{"a digest of old", []string{gzip}, response(200, text, "Content-Type: text/plain", "digest: a"), false, "", "", ""},
		{"a digest of the content", []string{gzip}, response(200, text, "Content-Type: text/plain", "Content-Digest: sha-256=:AAAA:"), false, "", "", ""},
		{"a checksum", []string{gzip}, response(200, text, "Content-Type: text/plain", "Content-MD5: a"), false, "", "", ""},
		{"strong tag", []string{gzip}, response(200, text, "Content-Type: text/plain", `ETag: "a"`), true, "Accept-Encoding", `W/"a"`, ""},
		{"weak tag", []string{gzip}, response(200, text, "Content-Type: text/plain", `ETag: W/"a"`), true, "Accept-Encoding", `W/"a"`, ""},
		{"varies already", []string{gzip}, response(200, text, "Content-Type: text/plain", "Vary: Cookie"), true, "Cookie, Accept-Encoding", "", ""},
		{"in two fields", []string{gzip}, response(200, text, "Content-Type: text/plain", "Vary: Cookie", "Vary: Origin"), true, "Cookie | Origin, Accept-Encoding", "", ""},
		{"by this", []string{gzip}, response(200, text, "Content-Type: text/plain", "Vary: a, accept-encoding"), true, "a, accept-encoding", "", ""},
		{"by anything", []string{gzip}, response(200, text, "Content-Type: text/plain", "Vary: *"), true, "*", "", ""},
		{"a cookie", []string{gzip}, response(200, text, "Content-Type: text/plain", "Set-Cookie: a=b"), true, "Accept-Encoding", "", "Set-Cookie: a=b"},
	} {
		eachVersion(t, func(t *testing.T, v codec.Version) {
			for _, method := range []string{"GET", "HEAD"} {
				b := newBed(t, compressing(t, func(o *CompressOptions) { o.Excluded = []string{"text/x-not"} }))
				b.answer = func(*http.Request) string {
					if head, content, _ := strings.Cut(tc.answer, "\r\n\r\n"); method == "HEAD" || content == "" {
						return head + "\r\n\r\n"
					}
					return tc.answer
				}
				c := b.ask(v, method, "/", tc.request...)
				_, content, _ := strings.Cut(tc.answer, "\r\n\r\n")
				coding, want := c.field("Content-Encoding"), ""
				if tc.compressed {
					want = "gzip"
				}
				if strings.HasPrefix(tc.rest, "Content-Encoding: ") {
					coding = strings.TrimPrefix(coding, strings.TrimPrefix(tc.rest, "Content-Encoding: "))
				}
				if coding != want || c.field("Vary") != tc.vary || c.field("ETag") != tc.etag || !c.complete {
					t.Errorf("%s, %s: coding %q, Vary %q, ETag %q, complete %v", tc.what, method, c.field("Content-Encoding"), c.field("Vary"), c.field("ETag"), c.complete)
				}
				if name, value, ok := strings.Cut(tc.rest, ": "); ok && c.field(name) != value {
					t.Errorf("%s, %s: %s is %q", tc.what, method, name, c.field(name))
				}
				if known := c.field("Content-Length") != ""; known == tc.compressed {
					t.Errorf("%s, %s: Content-Length %q", tc.what, method, c.field("Content-Length"))
				}
				if method == "HEAD" {
					content = ""
				}
				if tc.compressed && method == "GET" {
					c.body = decode(t, CodingGzip, c.body)
				}
				if c.body != content {
					t.Errorf("%s, %s: content %q", tc.what, method, c.body)
				}
			}
		})
	}
}

// TestCompressNotModified is of 304: the client is told the tag that it knows.
func TestCompressNotModified(t *testing.T) {
	for _, tc := range []struct{ request, tag, want, vary string }{
		{`If-None-Match: W/"a"`, `"a"`, `W/"a"`, "Accept-Encoding"},
		{`If-None-Match: "b", W/"a"`, `"a"`, `W/"a"`, "Accept-Encoding"},
		{`If-None-Match: "a"`, `"a"`, `"a"`, ""},
		{`If-None-Match: W/"b"`, `"a"`, `"a"`, ""},
		{`If-None-Match: W/"a"`, `W/"a"`, `W/"a"`, ""},
		{"If-Modified-Since: x", `"a"`, `"a"`, ""},
	} {
		b := newBed(t, compressing(t, nil))
		b.answer = func(*http.Request) string { return "HTTP/1.1 304 X\r\nETag: " + tc.tag + "\r\n\r\n" }
		c := b.ask(codec.HTTP11, "GET", "/", "Accept-Encoding: gzip", tc.request)
		if c.status != 304 || c.field("ETag") != tc.want || c.field("Vary") != tc.vary || c.field("Content-Encoding") != "" {
			t.Errorf("%s, %s: %d, ETag %s, Vary %q", tc.request, tc.tag, c.status, c.field("ETag"), c.field("Vary"))
		}
		c = b.ask(codec.HTTP11, "GET", "/", tc.request)
		if c.field("ETag") != tc.tag {
			t.Errorf("%s without a coding: ETag %s", tc.request, c.field("ETag"))
		}
	}
}

func TestCompressLeavesResponsesWithCookies(t *testing.T) {
	b := newBed(t, compressing(t, func(o *CompressOptions) { o.ExcludeSetCookie = true }))
	b.answer = func(r *http.Request) string {
		if r.URL.Path == "/cookie" {
			return response(200, compressibleText, "Content-Type: text/plain", "Set-Cookie: secret")
		}
		return response(200, compressibleText, "Content-Type: text/plain")
	}
	if c := b.ask(codec.HTTP2, "GET", "/cookie", "Accept-Encoding: br"); c.field("Content-Encoding") != "" || c.body != compressibleText {
		t.Errorf("coding %q of a response that sets a cookie", c.field("Content-Encoding"))
	}
	if c := b.ask(codec.HTTP2, "GET", "/", "Accept-Encoding: br"); c.field("Content-Encoding") != "br" {
		t.Errorf("coding %q of one that does not", c.field("Content-Encoding"))
	}
}

// hides is a filter that keeps from the server what the client accepts.
type hides struct{}

func (hides) Request(x *exchange.Exchange) exchange.Verdict {
	x.RequestHead.Remove(codec.FieldAcceptEncoding)
	return exchange.Next
}

// TestCompressBesideOthers shows that the coding is what the client accepts, whatever the server is told; that content is
// compressed once; and that local replies are compressed, too.
func TestCompressBesideOthers(t *testing.T) {
	b := newBed(t, compressing(t, nil), hides{}, compressing(t, nil))
	b.answer = func(r *http.Request) string {
		if r.Header.Get("Accept-Encoding") != "" {
			t.Error("the server was told")
		}
		return response(200, compressibleText, "Content-Type: text/plain")
	}
	c := b.ask(codec.HTTP11, "GET", "/", "Accept-Encoding: gzip")
	if c.field("Content-Encoding") != "gzip" || decode(t, CodingGzip, c.body) != compressibleText {
		t.Errorf("%q", c.field("Content-Encoding"))
	}
	b = newBed(t, compressing(t, nil), compressing(t, nil), last{})
	if c := b.ask(codec.HTTP11, "GET", "/", "Accept-Encoding: gzip"); c.body != "ok" {
		t.Errorf("a local reply: %q", c.body)
	}
	b = newBed(t, compressing(t, func(o *CompressOptions) { o.MinBody = 0 }), compressing(t, func(o *CompressOptions) { o.MinBody = 0 }), last{})
	if c := b.ask(codec.HTTP11, "GET", "/", "Accept-Encoding: zstd"); decode(t, CodingZstd, c.body) != "ok" || c.field("Content-Encoding") != "zstd" {
		t.Errorf("a local reply: %q, coding %q", c.body, c.field("Content-Encoding"))
	}
}

func TestNewCompressRefuses(t *testing.T) {
	for _, o := range []CompressOptions{
		{},
		{Algorithms: []Algorithm{{CodingIdentity, 1}}},
		{Algorithms: []Algorithm{{codings, 1}}},
		{Algorithms: []Algorithm{{CodingGzip, 0}}},
		{Algorithms: []Algorithm{{CodingGzip, 10}}},
		{Algorithms: []Algorithm{{CodingBrotli, -1}}},
		{Algorithms: []Algorithm{{CodingGzip, 1}, {CodingGzip, 2}}},
		{Algorithms: []Algorithm{{CodingGzip, 1}}, Types: []string{"text"}},
		{Algorithms: []Algorithm{{CodingGzip, 1}}, Excluded: []string{"*/*"}},
	} {
		if _, err := NewCompress(o); err == nil {
			t.Errorf("%+v is no error", o)
		}
	}
}

// TestCompressAllocatesNothing: a response that is compressed on the loop costs no memory but its encoder, which is used
// again; one that is not costs none. zstd's library makes some at each Reset.
func TestCompressAllocatesNothing(t *testing.T) {
	all := func(o *CompressOptions) { o.MinBody, o.Algorithms[0].Level = 0, 2 }
	eachVersion(t, func(t *testing.T, v codec.Version) {
		for _, tc := range []struct {
			accept string
			most   float64
		}{{"gzip", 0}, {"br", 0}, {"zstd", 4}, {"identity", 0}, {"gzip;q=0, x;q=0.1", 0}} {
			if n := allocs(t, v, "GET", "/", []string{"Accept-Encoding: " + tc.accept}, compressing(t, all)); pooled && n > tc.most {
				t.Errorf("%s: %v allocations", tc.accept, n)
			}
		}
		if n := allocs(t, v, "GET", "/", []string{"Accept-Encoding: gzip"}, compressing(t, nil)); n != 0 {
			t.Errorf("%v allocations of a response that is too small", n)
		}
	})
}
