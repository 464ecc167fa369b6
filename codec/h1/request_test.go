package h1

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"traffic_management/codec"
)

func TestRequestTargets(t *testing.T) {
	for _, c := range []struct {
		line, host string
		form       codec.TargetForm
		want       string // scheme, authority, path, query
	}{
		{"GET /", "a", codec.OriginForm, `"" "a" "/" -`},
		{"GET /a/b?c=d&e", "a:80", codec.OriginForm, `"" "a:80" "/a/b" "c=d&e"`},
		{"GET /?", "a", codec.OriginForm, `"" "a" "/" ""`},
		{"GET /a?b?c", "", codec.OriginForm, `"" "" "/a" "b?c"`},
		{"GET /%41%2f?%zz", "a", codec.OriginForm, `"" "a" "/%41%2f" "%zz"`},
		{"GET //evil/..", "a", codec.OriginForm, `"" "a" "//evil/.." -`},
		{"OPTIONS /*", "a", codec.OriginForm, `"" "a" "/*" -`},
		{"OPTIONS *", "a", codec.AsteriskForm, `"" "a" "*" -`},
		{"GET http://a.b", "A.B", codec.AbsoluteForm, `"http" "a.b" "" -`},
		{"GET HTTPS://a.b:8443/c?d", "a.b:8443", codec.AbsoluteForm, `"https" "a.b:8443" "/c" "d"`},
		{"OPTIONS http://a?b", "a", codec.AbsoluteForm, `"http" "a" "" "b"`},
		{"GET http://[::1]:80/", "[::1]:80", codec.AbsoluteForm, `"http" "[::1]:80" "/" -`},
		{"CONNECT a.b:443", "a.b:443", codec.AuthorityForm, `"" "a.b:443" "" -`},
		{"CONNECT a.b:443", "A.b", codec.AuthorityForm, `"" "a.b:443" "" -`},
		{"CONNECT [2001:db8::1]:443", "[2001:DB8::1]", codec.AuthorityForm, `"" "[2001:db8::1]:443" "" -`},
	} {
		in := c.line + " HTTP/1.1\r\nHost: " + c.host + "\r\n\r\n"
		h, n, err := feed(t, requestParser(&testLimits), []byte(in))
		if n != len(in) || err != nil {
			t.Errorf("%q: %d %s", in, n, nameOf(err))
			continue
		}
		query := "-"
		if h.Query != nil {
			query = fmt.Sprintf("%q", h.Query)
		}
		got := fmt.Sprintf("%q %q %q %s", h.Scheme, h.Authority, h.Path, query)
		method, target, _ := strings.Cut(c.line, " ")
		if got != c.want || h.Form != c.form || string(h.Target) != target || string(h.MethodName) != method {
			t.Errorf("%q: got %s, form %d, want %s, form %d", in, got, h.Form, c.want, c.form)
		}
	}
}

func TestRequestHeads(t *testing.T) {
	for _, c := range []struct {
		in   string // after the request line of "POST /" in HTTP/1.1 and Host, before the empty line
		want string
	}{
		{"", "no content -1 0"},
		{"Content-Length: 0\r\n", "no content 0 0"},
		{"Content-Length: 0005\r\n", "content-length 5 0"},
		{"content-LENGTH:\t9223372036854775807 \t\r\n", "content-length 9223372036854775807 0"},
		{"Transfer-Encoding: chunked\r\n", "chunked -1 0"},
		{"transfer-encoding:CHUNKED\r\n", "chunked -1 0"},
		{"Connection: close\r\n", "no content -1 1"},
		{"Connection: Keep-Alive, Upgrade,,TE\r\n", "no content -1 14"},
		{"Connection: close\r\nConnection: x-y\r\n", "no content -1 17"},
		{"Connection: \"no token\"\r\n", "no content -1 0"},
		{"X:\r\nY: \t \r\nZ: a \t b\x80\xff\r\n", "no content -1 0 X= Y= Z=a \t b\x80\xff"},
	} {
		in := "POST / HTTP/1.1\r\nHost: a\r\n" + c.in + "\r\n"
		h, n, err := feed(t, requestParser(&testLimits), []byte(in))
		got := fmt.Sprintf("%v %d %d", h.Framing, h.Length, h.Options)
		for _, f := range h.Fields {
			if f.ID == codec.FieldOther {
				got += fmt.Sprintf(" %s=%s", f.Name, f.Value)
			}
		}
		if n != len(in) || err != nil || got != c.want {
			t.Errorf("%q: %d %s, got %s, want %s", c.in, n, nameOf(err), got, c.want)
		}
	}
}

func TestRequestVersionsAndEmptyLines(t *testing.T) {
	for in, want := range map[string]codec.Version{
		"GET / HTTP/1.0\r\n\r\n":                            codec.HTTP10,
		"GET / HTTP/1.0\r\nHost: a\r\n\r\n":                 codec.HTTP10,
		"GET / HTTP/1.9\r\nHost: a\r\n\r\n":                 codec.HTTP11,
		"\r\n\r\nM-SEARCH / HTTP/1.1\r\nHost: \r\n\r\n":     codec.HTTP11,
		"\r\nget /index.html HTTP/1.1\r\nhOST:[::]\r\n\r\n": codec.HTTP11,
	} {
		h, n, err := feed(t, requestParser(&testLimits), []byte(in))
		if n != len(in) || err != nil || h.Version != want {
			t.Errorf("%q: %d %s %v", in, n, nameOf(err), h.Version)
		}
	}
}

var longText = strings.Repeat("x", testLimits.HeadBytes)

var requestFaults = []struct {
	in     string
	want   fault
	status int
}{
	{"\r\n\r\n\r\nGET", faultEmptyLines, 400},
	{"\rGET", faultLineEnd, 400},
	{"\nGET", faultMethod, 400},
	{" GET", faultMethod, 400},
	{"G@T", faultMethod, 400},
	{"GET\t/", faultMethod, 400},
	{"GET\r\n", faultMethod, 400},
	{"\x16\x03\x01\x02", faultMethod, 400},
	{"GET  /", faultTarget, 400},
	{"GET /\x00", faultTarget, 400},
	{"GET /\x7f", faultTarget, 400},
	{"GET /12345678\x80", faultTarget, 400},
	{"GET /\t", faultTarget, 400},
	{"GET /a#b", faultFragment, 400},
	{"GET /a?b#c", faultFragment, 400},
	{"GET /%4 ", faultPercent, 400},
	{"GET /%gg ", faultPercent, 400},
	{"GET /a%00 ", faultPercent, 400},
	{"GET http://a/% ", faultPercent, 400},
	{"GET * HTTP/1.1", faultForm, 400},
	{"CONNECT / ", faultForm, 400},
	{"CONNECT * ", faultForm, 400},
	{"CONNECT a ", faultAuthority, 400},
	{"CONNECT a: ", faultAuthority, 400},
	{"CONNECT http://a:80/ ", faultAuthority, 400},
	{"GET a:80 ", faultScheme, 400},
	{"GET index.html ", faultScheme, 400},
	{"OPTIONS *a ", faultScheme, 400},
	{"GET ftp://a/ ", faultScheme, 400},
	{"GET http:/a ", faultScheme, 400},
	{"GET http:/// ", faultAuthority, 400},
	{"GET http://u@a/ ", faultAuthority, 400},
	{"GET http://a:65536/ ", faultAuthority, 400},
	{"GET /\r\n", faultVersion, 400},
	{"GET /\n", faultVersion, 400},
	{"GET / \r\n", faultVersion, 400},
	{"GET / http/1.1", faultVersion, 400},
	{"GET / HTTP/1.x", faultVersion, 400},
	{"GET / HTTP/11", faultVersion, 400},
	{"GET /  HTTP/1.1", faultVersion, 400},
	{"GET / HTTP/1.1 ", faultLineEnd, 400},
	{"GET / HTTP/1.10", faultLineEnd, 400},
	{"GET / HTTP/1.1\n", faultLineEnd, 400},
	{"GET / HTTP/1.1\rH", faultLineEnd, 400},
	{"GET / HTTP/2.0", faultMajor, 505},
	{"GET / HTTP/0.9", faultMajor, 505},
	{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", faultMajor, 505},
	{"PRI * HTTP/1.1", faultForm, 400},
	{longText, faultTargetLong, 414},
	{"GET /" + longText, faultTargetLong, 414},
	{"GET / HTTP/1.1\r\nHost: " + longText, faultHeadLong, 431},
	{"GET / HTTP/1.1\r\nHost: a" + strings.Repeat("\r\na:", 8), faultFields, 431},
	{"GET / HTTP/1.1\r\nConnection: ,,,,,,,,\r\n", faultOptions, 431},
	{"GET / HTTP/1.1\r\nConnection: ,,,\r\nConnection: a,b,c,d,e\r\n", faultOptions, 431},
}

func TestRequestFaults(t *testing.T) {
	for _, c := range requestFaults {
		_, _, err := feed(t, requestParser(&testLimits), []byte(c.in))
		checkFault(t, c.in, err, clientErrors[c.want], c.status)
	}
}

var fieldFaults = []struct {
	in     string // after the request line
	want   fault
	status int
}{
	{"\r\n", faultHostMissing, 400},
	{"A: b\r\n\r\n", faultHostMissing, 400},
	{"Host: a\r\nHost: a\r\n", faultHostTwice, 400},
	{"Host: a, b\r\n", faultHost, 400},
	{"Host: u@a\r\n", faultHost, 400},
	{"Host: a b\r\n", faultHost, 400},
	{"Host: a/b\r\n", faultHost, 400},
	{"Host: a:\x80\r\n", faultHost, 400},
	{"Host: a:8x\r\n", faultHost, 400},
	{"Host: a:65536\r\n", faultHost, 400},
	{"Host: a:1:2\r\n", faultHost, 400},
	{"Host: ::1\r\n", faultHost, 400},
	{"Host: :80\r\n", faultHost, 400},
	{"Host: [::1\r\n", faultHost, 400},
	{"Host: ::1]\r\n", faultHost, 400},
	{"Host: [::1]a\r\n", faultHost, 400},
	{"Host: [[::1]]\r\n", faultHost, 400},
	{"Host: []\r\n", faultHost, 400},
	{"Host: [::1]:80]\r\n", faultHost, 400},
	{"Host: a[::1]\r\n", faultHost, 400},
	{"Host: a%zz\r\n", faultHost, 400},
	{": a", faultName, 400},
	{"a", faultNone, 0},
	{"a\r\n", faultName, 400},
	{"a\n", faultName, 400},
	{"\n", faultName, 400},
	{"\ra", faultLineEnd, 400},
	{"a\x00", faultName, 400},
	{"\xc3\xa9:", faultName, 400},
	{"a(b:", faultName, 400},
	{"a : b", faultNameSpace, 400},
	{"Host\t: b", faultNameSpace, 400},
	{"Content-Length : 5", faultNameSpace, 400},
	{"A: b\r\n c: d", faultFold, 400},
	{"A: b\r\n\tc", faultFold, 400},
	{" Host: a", faultFold, 400},
	{"A: b\x00", faultValue, 400},
	{"A: \x01", faultValue, 400},
	{"A: 12345678\x7f", faultValue, 400},
	{"A: \t\t\x1b", faultValue, 400},
	{"A: b\n", faultLineEnd, 400},
	{"A: b\rc", faultLineEnd, 400},
	{"A: b\r\r\n", faultLineEnd, 400},
	{"A:\n", faultLineEnd, 400},
	{"Content-Length:\r\n", faultLength, 400},
	{"Content-Length: +5\r\n", faultLength, 400},
	{"Content-Length: -5\r\n", faultLength, 400},
	{"Content-Length: 0x5\r\n", faultLength, 400},
	{"Content-Length: 5 5\r\n", faultLength, 400},
	{"Content-Length: 5, 5\r\n", faultLength, 400},
	{"Content-Length: 9223372036854775808\r\n", faultLength, 400},
	{"Content-Length: 99999999999999999999\r\n", faultLength, 400},
	{"Content-Length: 5\r\ncontent-length: 5\r\n", faultLengthTwice, 400},
	{"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", faultLengthAndCoding, 400},
	{"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", faultLengthAndCoding, 400},
	{"Transfer-Encoding:\r\n", faultCoding, 400},
	{"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", faultCoding, 400},
	{"Transfer-Encoding: chunked, chunked\r\n", faultCoding, 400},
	{"Transfer-Encoding: chunked, gzip\r\n", faultCoding, 400},
	{"Transfer-Encoding: chunked;a=b\r\n", faultCoding, 400},
	{"Transfer-Encoding: \x0bchunked\r\n", faultValue, 400},
	{"Transfer-Encoding: \"chunked\"\r\n", faultCoding, 400},
	{"Transfer-Encoding: chunked,\r\n", faultCoding, 400},
	{"Transfer-Encoding: gzip, chunked\r\n", faultCodingUnknown, 501},
	{"Transfer-Encoding: gzip;q=1\r\n", faultCodingUnknown, 501},
	{"Transfer-Encoding: xchunked\r\n", faultCodingUnknown, 501},
	{"Transfer-Encoding: identity\r\n", faultCodingUnknown, 501},
}

func TestFieldFaults(t *testing.T) {
	for _, c := range fieldFaults {
		in := "GET / HTTP/1.1\r\n" + c.in
		_, n, err := feed(t, requestParser(&testLimits), []byte(in))
		if c.want == faultNone {
			if n != 0 || err != nil {
				t.Errorf("%q: %d %s", in, n, nameOf(err))
			}
			continue
		}
		checkFault(t, in, err, clientErrors[c.want], c.status)
	}
}

func TestRequestFaultsAcrossLines(t *testing.T) {
	for in, want := range map[string]fault{
		"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n":     faultCodingOld,
		"GET http://a/ HTTP/1.1\r\nHost: b\r\n":                faultHostDiffers,
		"GET http://a/ HTTP/1.1\r\nHost: a:80\r\n":             faultHostDiffers,
		"GET http://a/ HTTP/1.1\r\nHost:\r\n":                  faultHostDiffers,
		"GET http://a/ HTTP/1.1\r\nX: y\r\n\r\n":               faultHostMissing,
		"CONNECT a:1 HTTP/1.1\r\nHost: a:2\r\n":                faultHostDiffers,
		"CONNECT a:1 HTTP/1.1\r\nHost: b\r\n":                  faultHostDiffers,
		"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n":             faultHostTwice,
		"POST / HTTP/1.0\r\nContent-Length: 1\r\nX : y\r\n":    faultNameSpace,
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\n\r\n": faultLineEnd,
	} {
		_, _, err := feed(t, requestParser(&testLimits), []byte(in))
		checkFault(t, in, err, clientErrors[want], 400)
	}
}

func checkFault(t *testing.T, in string, err error, want *codec.Error, status int) {
	t.Helper()
	if err != error(want) {
		t.Errorf("%q: got %s, want %s", in, nameOf(err), nameOf(want))
	}
	if want.Status != status {
		t.Errorf("%q: status %d, want %d", in, want.Status, status)
	}
}

// TestLimitsAreExact: a head of exactly HeadBytes and Fields passes, one byte or one line more does not.
func TestLimitsAreExact(t *testing.T) {
	in := []byte("GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n")
	for _, c := range []struct {
		limits Limits
		want   error
	}{
		{Limits{len(in), 2}, nil},
		{Limits{len(in) - 1, 2}, clientErrors[faultHeadLong]},
		{Limits{len(in), 1}, clientErrors[faultFields]},
		{Limits{16, 2}, clientErrors[faultHeadLong]},
		{Limits{15, 2}, clientErrors[faultTargetLong]},
	} {
		if _, n, err := feed(t, requestParser(&c.limits), in); err != c.want || err == nil && n != len(in) {
			t.Errorf("%+v: %d %s", c.limits, n, nameOf(err))
		}
	}
}

func TestParsedHeadPointsIntoTheBytes(t *testing.T) {
	b := []byte("GET /a?b HTTP/1.1\r\nHost: c\r\nD: e\r\n\r\nrest")
	var h codec.Head
	if _, err := ParseRequestHead(b, &h, &testLimits); err != nil {
		t.Fatal(err)
	}
	for _, s := range [][]byte{h.MethodName, h.Target, h.Path, h.Query, h.Authority, h.Fields[1].Name, h.Fields[1].Value} {
		i := bytes.Index(b, s)
		if &b[i] != &s[0] || cap(s) != len(s) {
			t.Errorf("%q: not at its place, or with room behind it (%d)", s, cap(s))
		}
	}
}
