package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestBufferingConforms has a limit of ten bytes in each direction.
func TestBufferingConforms(t *testing.T) {
	s := newServer(t, answers(func(r *http.Request) string {
		size := len(strings.TrimPrefix(r.URL.Path, "/"))
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", size, r.URL.Path[1:])
	}))
	conform(t, site{server: s}, "whole: {buffering: {max_request_body_bytes: 10, max_response_body_bytes: 10}}", "whole",
		func(t *testing.T, w *way) {
			for _, c := range []struct {
				target, content string
				status          int
			}{
				{"/a", "", 200},
				{"/0123456789", "0123456789", 200},
				{"/a", "0123456789a", 413},
				{"/0123456789a", "", 502},
			} {
				s.forget()
				a := w.ask(t, request{method: "POST", target: c.target, content: c.content})
				if a.StatusCode != c.status {
					t.Errorf("%s, %q: %d %q", c.target, c.content, a.StatusCode, a.body)
				}
				switch got := s.settled(t); {
				case c.status == 413 && got != "":
					t.Errorf("the server received %q", got)
				case c.status == 200 && (a.body != c.target[1:] || a.Header.Get("Content-Length") != fmt.Sprint(len(a.body)) ||
					!strings.HasSuffix(got, "\r\n\r\n"+c.content)):
					t.Errorf("%v %q; the server received %q", a.Header, a.body, got)
				}
			}
		})
}

// TestBufferingWaits has a client send all but the last of its content: no server hears of it before that.
func TestBufferingWaits(t *testing.T) {
	s := newServer(t, greet)
	p := start(t, site{server: s, router: "middlewares: [whole]",
		sections: "middlewares: {whole: {buffering: {max_request_body_bytes: 100}}}\n"}, "--loops", "1")
	c := p.connect(t)
	c.send("POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
	if a := c.receive("POST"); a.StatusCode != 100 {
		t.Fatalf("the first answer is %d", a.StatusCode)
	}
	c.send("5\r\nhello\r\n0\r\n")
	other := p.connect(t) // what it gets says that the first one's content was read
	other.send("GET /other HTTP/1.1\r\nHost: a.test\r\n\r\n")
	other.receive("GET")
	if got := s.settled(t); strings.Contains(got, "POST") {
		t.Errorf("the server received %q", got)
	}
	c.send("\r\n")
	if a := c.receive("POST"); a.StatusCode != 200 {
		t.Errorf("the last answer is %d", a.StatusCode)
	}
	if got := s.settled(t); !strings.Contains(got, "\r\nContent-Length: 5\r\n") || !strings.HasSuffix(got, "\r\n\r\nhello") {
		t.Errorf("the server received %q", got)
	}
}
