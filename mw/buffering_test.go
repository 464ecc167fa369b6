package mw

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
)

func buffering(t testing.TB, request, response int64) *Buffering {
	t.Helper()
	return made[*Buffering](t)(NewBuffering(BufferingOptions{MaxRequestBody: request, MaxResponseBody: response}))
}

// A server sees a request when it is whole, or not at all.
func TestBufferingRequests(t *testing.T) {
	eachVersion(t, func(t *testing.T, v codec.Version) {
		for _, c := range []struct {
			what   string
			length int64
			size   int
			status int
		}{
			{"none", 0, 0, 200},
			{"as long as allowed", 10, 10, 200},
			{"as long as allowed, which it does not say", unknown, 10, 200},
			{"of no length after all", unknown, 0, 200},
			{"it says that it is longer", 11, 0, 413},
			{"it is longer", unknown, 11, 413},
		} {
			b := newBed(t, buffering(t, 10, 0))
			got := b.begin(v, "POST", "/", c.length)
			content := strings.Repeat("x", c.size)
			if c.size > 1 {
				for i := range content[1:] {
					if got.over {
						break
					}
					got.send(content[i:i+1], false)
					if len(b.requests) != 0 || len(b.servers) != 0 {
						t.Errorf("%s: a server was asked after %d bytes", c.what, i)
					}
				}
			}
			if c.length != 0 && !got.over {
				got.send(content[max(len(content)-1, 0):], true)
			}
			if got.status != c.status || !got.over {
				t.Errorf("%s: %d, over %v", c.what, got.status, got.over)
			}
			if c.status != 200 {
				if len(b.requests) != 0 || got.err.Kind != codec.KindTooLarge {
					t.Errorf("%s: the server got %q, observed %v", c.what, b.requests, got.err)
				}
				continue
			}
			length := fmt.Sprintf("\r\nContent-Length: %d\r\n", c.size)
			if c.length != 0 && (!strings.Contains(b.requests[0], length) || !strings.HasSuffix(b.requests[0], "\r\n\r\n"+content)) {
				t.Errorf("%s: the server got %q", c.what, b.requests)
			}
		}
	})
}

// A client sees a response when it is whole, or another one.
func TestBufferingResponses(t *testing.T) {
	eachVersion(t, func(t *testing.T, v codec.Version) {
		for _, c := range []struct {
			what, method string
			pieces       []string // of the server's answer
			status       int
			body         string
		}{
			{"in pieces", "GET", []string{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "01234", "56789"}, 200, "0123456789"},
			{"in chunks", "GET", []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\n01234\r\n", "0\r\n\r\n"}, 200,
				"01234"},
			{"until the end", "GET", []string{"HTTP/1.1 200 OK\r\n\r\n", "0123", "end"}, 200, "0123"},
			{"none", "GET", []string{"HTTP/1.1 204 No Content\r\n\r\n"}, 204, ""},
			{"HEAD", "HEAD", []string{"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"}, 200, ""},
			{"it says that it is longer", "GET", []string{"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", "0"}, 502, "may be kept"},
			{"it is longer", "GET", []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "a\r\n0123456789\r\n",
				"1\r\n0\r\n"}, 502, "may be kept"},
			{"cut short", "POST", []string{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "01234", "end"}, 502, ""},
			{"it stops", "POST", []string{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "01234"}, 504, ""},
		} {
			b := newBed(t, buffering(t, 0, 10))
			b.answer = says("")
			got := b.begin(v, c.method, "/", 0)
			for i, piece := range c.pieces {
				if got.status != 0 {
					t.Errorf("%s: the client saw a head after %d pieces", c.what, i)
				}
				if piece == "end" {
					b.servers[0].closes()
				} else {
					b.servers[0].says(piece)
				}
			}
			if c.status == 504 {
				b.advance(5 * time.Second)
			}
			if got.status != c.status || !strings.Contains(got.body, c.body) || !got.complete || !got.over {
				t.Errorf("%s: %d %q, over %v", c.what, got.status, got.body, got.over)
			}
		}
	})
}

// Trailers come behind what was kept.
func TestBufferingKeepsTrailers(t *testing.T) {
	b := newBed(t, buffering(t, 0, 10))
	b.answer = says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n0\r\nX-Sum: 1\r\n\r\n")
	got := b.ask(codec.HTTP2, "GET", "/")
	if got.body != "01234" || len(got.trailers) != 1 || string(got.trailers[0].Value) != "1" {
		t.Errorf("%q, then %q", got.body, got.trailers)
	}
}

// A request that is kept for the client's server waits for another filter first, and is kept when that is done.
func TestBufferingBehindAFilterThatWaits(t *testing.T) {
	b := newBed(t, forwardAuth(t, nil), buffering(t, 10, 10))
	auth := b.beside(says(""))
	got := b.begin(codec.HTTP11, "POST", "/", 4)
	got.send("body", true)
	if got.sent {
		t.Error("content was taken before it was decided about the request")
	}
	auth.servers[0].says("HTTP/1.1 204 No Content\r\n\r\n")
	if got.status != 200 || len(b.requests) != 1 || !strings.HasSuffix(b.requests[0], "\r\n\r\nbody") {
		t.Errorf("%d; the server got %q", got.status, b.requests)
	}
}

func TestBufferingOptions(t *testing.T) {
	for _, o := range []BufferingOptions{{-1, 0}, {0, -1}} {
		if _, err := NewBuffering(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
