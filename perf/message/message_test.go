package message

import (
	"errors"
	"strings"
	"testing"
)

var requests = []struct {
	name, in       string
	method, target string
	length         int64
	last           bool
	err            error
}{
	{"get", "GET /128 HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/128", 0, false, nil},
	{"no fields", "HEAD / HTTP/1.1\r\n\r\n", "HEAD", "/", 0, false, nil},
	{"content", "POST /5 HTTP/1.1\r\ncontent-LENGTH:  17 \r\n\r\n", "POST", "/5", 17, false, nil},
	{"close", "GET / HTTP/1.1\r\nconnection: Close\r\n\r\n", "GET", "/", 0, true, nil},
	{"older version", "GET / HTTP/1.0\r\n\r\n", "GET", "/", 0, true, nil},
	{"chunked", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "", "", 0, false, ErrFraming},
	{"negative length", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "", "", 0, false, ErrSyntax},
	{"long length", "POST / HTTP/1.1\r\nContent-Length: 1234567890123456\r\n\r\n", "", "", 0, false, ErrSyntax},
	{"no version", "GET /\r\n\r\n", "", "", 0, false, ErrSyntax},
	{"other protocol", "GET / SIP/2.0\r\n\r\n", "", "", 0, false, ErrSyntax},
}

// TestParseRequest feeds each head whole, with bytes behind it, and in every shorter piece.
func TestParseRequest(t *testing.T) {
	for _, c := range requests {
		t.Run(c.name, func(t *testing.T) {
			for _, tail := range []string{"", "GET", "\r\n\r\n"} {
				r, n, err := ParseRequest([]byte(c.in + tail))
				if !errors.Is(err, c.err) {
					t.Fatalf("with tail %q: error %v, want %v", tail, err, c.err)
				}
				if c.err != nil {
					continue
				}
				if n != len(c.in) || string(r.Method) != c.method || string(r.Target) != c.target || r.Length != c.length || r.Last != c.last {
					t.Errorf("with tail %q: %d bytes, %s %s, length %d, last %v", tail, n, r.Method, r.Target, r.Length, r.Last)
				}
			}
			for i := range len(c.in) {
				if _, n, err := ParseRequest([]byte(c.in[:i])); n != 0 || err != nil {
					t.Fatalf("%d of %d bytes: n %d, error %v, want more", i, len(c.in), n, err)
				}
			}
		})
	}
}

var responses = []struct {
	name, in string
	want     Response
	err      error
}{
	{"ok", "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 128\r\n\r\n", Response{200, 128, false, false}, nil},
	{"no reason", "HTTP/1.1 204\r\ncontent-length: 0\r\n\r\n", Response{204, 0, false, false}, nil},
	{"close", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1\r\nConnection: close\r\n\r\n", Response{502, 1, true, false}, nil},
	{"older version", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", Response{200, 1, true, false}, nil},
	{"no length", "HTTP/1.1 200 OK\r\n\r\n", Response{}, ErrFraming},
	{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", Response{200, 0, false, true}, nil},
	{"other coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Response{}, ErrFraming},
	{"interim", "HTTP/1.1 100 Continue\r\n\r\n", Response{}, ErrSyntax},
	{"bad status", "HTTP/1.1 2x0 OK\r\nContent-Length: 1\r\n\r\n", Response{}, ErrSyntax},
	{"bad length", "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", Response{}, ErrSyntax},
	{"short line", "HTTP/1.1 20\r\n\r\n", Response{}, ErrSyntax},
}

func TestParseResponse(t *testing.T) {
	for _, c := range responses {
		t.Run(c.name, func(t *testing.T) {
			r, n, err := ParseResponse([]byte(c.in + "content"))
			if !errors.Is(err, c.err) || c.err == nil && (n != len(c.in) || r != c.want) {
				t.Fatalf("%+v, %d bytes, error %v; want %+v, %v", r, n, err, c.want, c.err)
			}
			for i := range len(c.in) {
				if _, n, err := ParseResponse([]byte(c.in[:i])); n != 0 || err != nil {
					t.Fatalf("%d of %d bytes: n %d, error %v, want more", i, len(c.in), n, err)
				}
			}
		})
	}
}

func TestEndlessHead(t *testing.T) {
	b := []byte("GET / HTTP/1.1\r\nX: " + strings.Repeat("x", MaxHead))
	if _, _, err := ParseRequest(b); !errors.Is(err, ErrSyntax) {
		t.Errorf("a request head over the limit: %v", err)
	}
	if _, _, err := ParseResponse(b); !errors.Is(err, ErrSyntax) {
		t.Errorf("a response head over the limit: %v", err)
	}
}

func TestDecimal(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "007": 7, "123456789012345": 123456789012345, "": -1, "+1": -1, "1 ": -1,
		"0x1": -1, "1234567890123456": -1} {
		if got := Decimal([]byte(in)); got != want {
			t.Errorf("Decimal(%q) is %d, want %d", in, got, want)
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	request, response := []byte(requests[2].in), []byte(responses[0].in)
	n := testing.AllocsPerRun(100, func() {
		_, _, err := ParseRequest(request)
		_, _, err2 := ParseResponse(response)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParse holds that a head once whole is read the same whatever follows it, and that sizes are never negative.
func FuzzParse(f *testing.F) {
	for _, c := range requests {
		f.Add([]byte(c.in))
	}
	for _, c := range responses {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, n, err := ParseRequest(b)
		if n < 0 || n > len(b) || r.Length < 0 || err != nil && n != 0 {
			t.Fatalf("request: n %d, length %d, error %v", n, r.Length, err)
		}
		if n > 0 {
			again, m, err := ParseRequest(append(b[:n:n], "tail"...))
			if m != n || err != nil || again.Length != r.Length || again.Last != r.Last || string(again.Target) != string(r.Target) {
				t.Fatalf("request read again: %+v, %d, %v; before %+v, %d", again, m, err, r, n)
			}
		}
		a, n, err := ParseResponse(b)
		if n < 0 || n > len(b) || a.Length < 0 || err != nil && n != 0 || n > 0 && (a.Status < 200 || a.Status > 999) {
			t.Fatalf("response: n %d, %+v, error %v", n, a, err)
		}
	})
}
