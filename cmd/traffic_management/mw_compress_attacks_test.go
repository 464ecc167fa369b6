package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// bomb is little content that two decoders of gzip, one behind the other, make 128 MB of.
var bomb = sync.OnceValue(func() string {
	var inner, outer bytes.Buffer
	w := gzip.NewWriter(&inner)
	for range 128 {
		_, _ = w.Write(make([]byte, 1<<20)) // to memory
	}
	_ = w.Close()
	w = gzip.NewWriter(&outer)
	_, _ = w.Write(inner.Bytes())
	_ = w.Close()
	return outer.String()
})

// TestDecompressionBombs sends content that is small until somebody decodes it, in both directions, through middlewares that
// keep, compress and copy content. It passes as it is, and the process stays small.
func TestDecompressionBombs(t *testing.T) {
	const coded = "Content-Encoding: gzip, gzip"
	s := newServer(t, answers(func(*http.Request) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n%s\r\nContent-Length: %d\r\n\r\n%s", coded, len(bomb()), bomb())
	}))
	middlewares := `small: {compress: {min_response_body_bytes: 0}}, whole: {buffering: {max_request_body_bytes: 1000000,
		max_response_body_bytes: 1000000}}, pages: {error_pages: {status: [404], service: main, path: /}}`
	conform(t, site{server: s}, middlewares, "small, whole, pages", func(t *testing.T, w *way) {
		for _, accept := range []string{"gzip", "identity", "br, zstd"} {
			s.forget()
			a := w.ask(t, request{method: "POST", fields: []string{coded, "Accept-Encoding: " + accept}, content: bomb()})
			if a.StatusCode != 200 || a.body != bomb() || a.Header.Get("Content-Encoding") != "gzip, gzip" {
				t.Errorf("%s: %d, %d bytes of the bomb's %d, coding %q", accept, a.StatusCode, len(a.body), len(bomb()), a.Header.Get("Content-Encoding"))
			}
			if head, content, _ := strings.Cut(s.settled(t), "\r\n\r\n"); content != bomb() || !strings.Contains(head, "\r\n"+coded) {
				t.Errorf("%s: the server got %d bytes of the bomb's %d, behind %q", accept, len(content), len(bomb()), head)
			}
		}
		w.proxy.heldAtMost(64 << 20)
	})
}

// TestSecretsInCompressedPages guesses a secret of a page that repeats the query, by the length of what comes (BREACH). On a
// plain page the right guess is shorter, which shows that the attack is one. A page that sets a cookie is not
// compressed, where exclude_set_cookie says so, and tells nothing.
func TestSecretsInCompressedPages(t *testing.T) {
	const secret, wrong = "token=8f3b21c7d95e40a6", "token=qZxWvUtSrQpOnMlK"
	page := func(r *http.Request) string {
		cookie := ""
		if r.URL.Path == "/session" {
			cookie = "Set-Cookie: id=1\r\n"
		}
		body := "<p>" + r.URL.RawQuery + "</p>" + sayings(3000) + "<a href=/?" + secret + ">"
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n%sContent-Length: %d\r\n\r\n%s", cookie, len(body), body)
	}
	s := newServer(t, answers(page))
	conform(t, site{server: s}, "small: {compress: {exclude_set_cookie: true}}", "small", func(t *testing.T, w *way) {
		length := func(target, coding string) int {
			a := w.ask(t, request{target: target, fields: []string{"Accept-Encoding: " + coding}})
			if compressed := a.Header.Get("Content-Encoding") == coding; compressed != strings.HasPrefix(target, "/plain") {
				t.Errorf("%s: coding %q", target, a.Header.Get("Content-Encoding"))
			}
			return len(a.body)
		}
		for _, coding := range []string{"gzip", "br", "zstd"} {
			if right, other := length("/plain?"+secret, coding), length("/plain?"+wrong, coding); right >= other {
				t.Errorf("%s: the attack is none: %d bytes for the right guess, %d for a wrong one", coding, right, other)
			}
			if right, other := length("/session?"+secret, coding), length("/session?"+wrong, coding); right != other {
				t.Errorf("%s: %d bytes for the right guess, %d for a wrong one", coding, right, other)
			}
		}
	})
}

// TestBombIsOne shows what TestDecompressionBombs is about.
func TestBombIsOne(t *testing.T) {
	inner, err := gzip.NewReader(strings.NewReader(bomb()))
	if err != nil {
		t.Fatal(err)
	}
	outer, err := gzip.NewReader(inner)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, outer)
	if err != nil || n != 128<<20 || len(bomb()) > 4096 {
		t.Errorf("%d bytes become %d: %v", len(bomb()), n, err)
	}
}
