package codec_test

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"traffic_management/codec"
)

const get = ":method|GET|:scheme|https|:authority|h|:path|/"

// outcome is what becomes of a request.
type outcome string

const (
	accepted  outcome = "accepted"
	malformed outcome = "malformed" // the stream is reset (RFC 9113 section 8.1.1)
	answered4 outcome = "answered"  // with a status of 4xx
)

// tricks are requests of HTTP/2 that could be other ones in HTTP/1.1, and some that are none.
var tricks = []struct {
	name, text string
	want       outcome
}{
	{"plain", get, accepted},
	{"line feed in a value", get + "|x|a\nb", malformed},
	{"field in a value", get + "|x|a\r\ny: z", malformed},
	{"request in a value", get + "|x|a\r\n\r\nGET /admin HTTP/1.1\r\nhost: h\r\n\r\n", malformed},
	{"carriage return in a value", get + "|x|a\rb", malformed},
	{"NUL in a value", get + "|x|a\x00b", malformed},
	{"control character in a value", get + "|x|a\x7fb", malformed},
	{"space before a value", get + "|x| a", malformed},
	{"tab behind a value", get + "|x|a\t", malformed},
	{"obsolete text in a value", get + "|x|\xe9", accepted},
	{"empty value", get + "|x|", accepted},
	{"upper case in a name", get + "|X|a", malformed},
	{"upper case in a known name", get + "|Accept|a", malformed},
	{"empty name", get + "||a", malformed},
	{"colon in a name", get + "|x: y|a", malformed},
	{"space in a name", get + "|x |a", malformed},
	{"line end in a name", get + "|x: y\r\nz|a", malformed},
	{"line end behind a known name", get + "|host\r\n|h", malformed},
	{"NUL in a name", get + "|x\x00|a", malformed},
	{"other than ASCII in a name", get + "|\xc3\xa9|a", malformed},
	{"transfer coding", get + "|transfer-encoding|chunked", malformed},
	{"transfer coding of another case", get + "|Transfer-Encoding|chunked", malformed},
	{"connection options", get + "|connection|close", malformed},
	{"options that nominate", get + "|connection|x-forwarded-for", malformed},
	{"keep-alive", get + "|keep-alive|timeout=5", malformed},
	{"proxy-connection", get + "|proxy-connection|keep-alive", malformed},
	{"upgrade", get + "|upgrade|websocket", malformed},
	{"codings that are taken", get + "|te|gzip", malformed},
	{"trailers and codings that are taken", get + "|te|trailers, gzip", malformed},
	{"trailers that are taken", get + "|te|trailers", accepted},
	{"length with a sign", get + "|content-length|+5", malformed},
	{"length of a list", get + "|content-length|5, 5", malformed},
	{"length twice", get + "|content-length|5|content-length|5", malformed},
	{"lengths that differ", get + "|content-length|5|content-length|6", malformed},
	{"empty length", get + "|content-length|", malformed},
	{"length out of range", get + "|content-length|9223372036854775808", malformed},
	{"length", get + "|content-length|5", accepted},
	{"no method", ":scheme|https|:authority|h|:path|/", malformed},
	{"no scheme", ":method|GET|:authority|h|:path|/", malformed},
	{"no path", ":method|GET|:scheme|https|:authority|h", malformed},
	{"no authority", ":method|GET|:scheme|https|:path|/", malformed},
	{"authority in Host", ":method|GET|:scheme|https|:path|/|host|h", accepted},
	{"method twice", get + "|:method|POST", malformed},
	{"path twice", get + "|:path|/", malformed},
	{"authority twice", get + "|:authority|h", malformed},
	{"scheme twice", get + "|:scheme|https", malformed},
	{"pseudo-header field behind others", ":method|GET|:scheme|https|:authority|h|x|y|:path|/", malformed},
	{"unknown pseudo-header field", ":x|y|" + get, malformed},
	{"pseudo-header field of responses", ":status|200|" + get, malformed},
	{"method with a space", ":method|GET /admin HTTP/1.1|:scheme|https|:authority|h|:path|/", malformed},
	{"method with a line end", ":method|GET\r\n|:scheme|https|:authority|h|:path|/", malformed},
	{"empty method", ":method||:scheme|https|:authority|h|:path|/", malformed},
	{"path with a space", ":method|GET|:scheme|https|:authority|h|:path|/a HTTP/1.1", malformed},
	{"path with a line end", ":method|GET|:scheme|https|:authority|h|:path|/ HTTP/1.1\r\nx: y", malformed},
	{"path with a tab", ":method|GET|:scheme|https|:authority|h|:path|/\t", malformed},
	{"path with NUL", ":method|GET|:scheme|https|:authority|h|:path|/\x00", malformed},
	{"path with other than ASCII", ":method|GET|:scheme|https|:authority|h|:path|/\xe9", malformed},
	{"path with a fragment", ":method|GET|:scheme|https|:authority|h|:path|/#x", malformed},
	{"path without a slash", ":method|GET|:scheme|https|:authority|h|:path|admin", malformed},
	{"absolute path", ":method|GET|:scheme|https|:authority|h|:path|http://other/", malformed},
	{"path of an authority", ":method|GET|:scheme|https|:authority|h|:path|@other/", malformed},
	{"empty path", ":method|GET|:scheme|https|:authority|h|:path|", malformed},
	{"asterisk of GET", ":method|GET|:scheme|https|:authority|h|:path|*", malformed},
	{"asterisk of OPTIONS", ":method|OPTIONS|:scheme|https|:authority|h|:path|*", accepted},
	{"bad percent in the path", ":method|GET|:scheme|https|:authority|h|:path|/%zz", answered4},
	{"encoded NUL in the path", ":method|GET|:scheme|https|:authority|h|:path|/%00", answered4},
	{"authority with user information", ":method|GET|:scheme|https|:authority|u@h|:path|/", malformed},
	{"list of authorities", ":method|GET|:scheme|https|:authority|h,i|:path|/", malformed},
	{"authority with a path", ":method|GET|:scheme|https|:authority|h/admin|:path|/", malformed},
	{"authority with a space", ":method|GET|:scheme|https|:authority|h i|:path|/", malformed},
	{"authority with a line end", ":method|GET|:scheme|https|:authority|h\r\nx: y|:path|/", malformed},
	{"empty authority", ":method|GET|:scheme|https|:authority||:path|/", malformed},
	{"port out of range", ":method|GET|:scheme|https|:authority|h:65536|:path|/", malformed},
	{"another Host", get + "|host|i", malformed},
	{"Host twice", get + "|host|h|host|h", malformed},
	{"the same Host", get + "|host|H", accepted},
	{"empty Host", get + "|host|", malformed},
	{"another scheme", ":method|GET|:scheme|file|:authority|h|:path|/", malformed},
	{"scheme with a line", ":method|GET|:scheme|https://h/ HTTP/1.1\r\n|:authority|h|:path|/", malformed},
	{"CONNECT with a path", ":method|CONNECT|:scheme|https|:authority|h:1|:path|/", malformed},
	{"protocol without CONNECT", get + "|:protocol|websocket", malformed},
	{"protocol that is none", ":method|CONNECT|:scheme|https|:authority|h|:path|/|:protocol|a b", malformed},
}

// What could become another request on its way to HTTP/1.1 does not set out (RFC 9113 section 10.3).
func TestSmuggling(t *testing.T) {
	for _, c := range tricks {
		end := !strings.Contains(c.text, "content-length")
		p := asked(c.text, end)
		got := malformed
		switch {
		case p.head != nil:
			got = accepted
			checkRequest1(t, p.head)
		case p.refused != nil && p.refused.Status/100 == 4:
			got = answered4
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Content that is not as long as was said does not become the next request (RFC 9113 section 8.1.1).
func TestContentLengthIsKept(t *testing.T) {
	for _, c := range []struct {
		name   string
		pieces []string // content, the last one with END_STREAM
		whole  bool
	}{
		{"as said", []string{"he", "llo"}, true},
		{"shorter", []string{"he", "ll"}, false},
		{"nothing", []string{""}, false},
		{"longer", []string{"hello", "GET / HTTP/1.1\r\n\r\n"}, false},
		{"longer at once", []string{"hello GET / HTTP/1.1\r\n\r\n"}, false},
	} {
		p := asked(get+"|content-length|5", false)
		if p.head == nil || p.head.Framing != codec.ByLength || p.head.Length != 5 {
			t.Fatalf("%s: the head is %+v", c.name, p.head)
		}
		p.hear(frames(c.pieces))
		if whole := p.end && p.failed == nil; whole != c.whole || len(p.content) > 5 || !c.whole && p.failed == nil {
			t.Errorf("%s: whole %v, failed %v, content %q", c.name, whole, p.failed, p.content)
		}
	}
}

// frames is content of stream 1 in DATA frames, the last of which ends it.
func frames(pieces []string) []byte {
	var wire bytes.Buffer
	framer := http2.NewFramer(&wire, nil)
	for i, p := range pieces {
		framer.WriteData(1, i == len(pieces)-1, []byte(p))
	}
	return wire.Bytes()
}
