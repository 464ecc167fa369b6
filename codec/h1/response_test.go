package h1

import (
	"fmt"
	"strings"
	"testing"

	"traffic_management/codec"
)

func TestResponseHeads(t *testing.T) {
	for _, c := range []struct {
		request codec.Method
		in      string // before the empty line
		want    string // version, status, reason, framing, length, options
	}{
		{codec.MethodGet, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", `HTTP/1.1 200 "OK" content-length 5 0`},
		{codec.MethodGet, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", `HTTP/1.1 200 "OK" no content 0 0`},
		{codec.MethodGet, "HTTP/1.1 200 \r\nTransfer-Encoding: Chunked\r\n", `HTTP/1.1 200 "" chunked -1 0`},
		{codec.MethodGet, "HTTP/1.1 200\r\n", `HTTP/1.1 200 "" until close -1 0`},
		{codec.MethodGet, "HTTP/1.0 404 Not \xe9 Found\t\r\nConnection: keep-alive\r\n",
			"HTTP/1.0 404 \"Not \\xe9 Found\\t\" until close -1 2"},
		{codec.MethodGet, "HTTP/1.7 999  x\r\n", `HTTP/1.1 999 " x" until close -1 0`},
		{codec.MethodHead, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", `HTTP/1.1 200 "OK" no content 5 0`},
		{codec.MethodHead, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", `HTTP/1.1 200 "OK" no content -1 0`},
		{codec.MethodHead, "HTTP/1.1 200 OK\r\n", `HTTP/1.1 200 "OK" no content -1 0`},
		{codec.MethodGet, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n", `HTTP/1.1 304 "Not Modified" no content 5 0`},
		{codec.MethodGet, "HTTP/1.1 204 No Content\r\n", `HTTP/1.1 204 "No Content" no content -1 0`},
		{codec.MethodPost, "HTTP/1.1 100 Continue\r\n", `HTTP/1.1 100 "Continue" no content -1 0`},
		{codec.MethodGet, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\n", `HTTP/1.1 101 "Switching" no content -1 4`},
		{codec.MethodConnect, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", `HTTP/1.1 200 "OK" no content 5 0`},
		{codec.MethodConnect, "HTTP/1.1 403 No\r\nContent-Length: 5\r\n", `HTTP/1.1 403 "No" content-length 5 0`},
		{codec.MethodGet, "HTTP/1.1 200 OK\r\nHost: a\r\nHost: @\r\nContent-Length: 1\r\n", `HTTP/1.1 200 "OK" content-length 1 0`},
	} {
		in := c.in + "\r\n"
		h, n, err := feed(t, responseParser(c.request, &testLimits), []byte(in))
		got := fmt.Sprintf("%v %d %q %v %d %d", h.Version, h.Status, h.Reason, h.Framing, h.Length, h.Options)
		if n != len(in) || err != nil || got != c.want || h.Method != c.request {
			t.Errorf("%q: %d %s, got %s, want %s", in, n, nameOf(err), got, c.want)
		}
	}
}

func TestResponseFaults(t *testing.T) {
	for _, c := range []struct {
		in   string
		want fault
	}{
		{"\r\nHTTP/1.1", faultVersion},
		{"http/1.1", faultVersion},
		{"HTTP/1,1", faultVersion},
		{"SSH-2.0", faultVersion},
		{"HTTP/2.0 200 OK", faultMajor},
		{"HTTP/1.1  200", faultStatus},
		{"HTTP/1.1\t200", faultStatus},
		{"HTTP/1.1 099", faultStatus},
		{"HTTP/1.1 20\r\n", faultStatus},
		{"HTTP/1.1 2x0", faultStatus},
		{"HTTP/1.1 2000", faultStatus},
		{"HTTP/1.1 200\n", faultLineEnd},
		{"HTTP/1.1 200\rx", faultLineEnd},
		{"HTTP/1.1 200 a\x00", faultReason},
		{"HTTP/1.1 200 a\n", faultLineEnd},
		{"HTTP/1.1 200 OK\r\na\r\n", faultName},
		{"HTTP/1.1 200 OK\r\nA: b\r\n c", faultFold},
		{"HTTP/1.1 200 OK\r\nA : b\r\n", faultNameSpace},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n", faultLengthTwice},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n", faultLength},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n", faultLengthAndCoding},
		{"HTTP/1.1 204 OK\r\nContent-Length: x\r\n", faultLength},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n", faultCodingUnknown},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n", faultCoding},
		{"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n", faultCodingOld},
		{"HTTP/1.1 200 OK\r\n" + strings.Repeat("a:\r\n", 9), faultFields},
		{"HTTP/1.1 200 " + strings.Repeat("a", 1024), faultHeadLong},
	} {
		_, _, err := feed(t, responseParser(codec.MethodGet, &testLimits), []byte(c.in))
		checkFault(t, c.in, err, upstreamErrors[c.want], 502)
		if e, ok := err.(*codec.Error); ok && e.Side != codec.Upstream {
			t.Errorf("%q: side %v", c.in, e.Side)
		}
	}
}
