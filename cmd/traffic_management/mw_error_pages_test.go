package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// fail answers with the status that is the path, and with content of its own.
func fail(r *http.Request) string {
	return "HTTP/1.1 " + r.URL.Path[1:] + " No\r\nContent-Type: text/plain\r\nContent-Encoding: x\r\nX-Kept: 1\r\n" +
		"Content-Length: 3\r\n\r\nold"
}

// TestErrorPagesConforms has a service with pages for some statuses, which fails for others.
func TestErrorPagesConforms(t *testing.T) {
	const large = 2_000_000
	pages := newServer(t, answers(func(r *http.Request) string {
		switch r.URL.Path {
		case "/404.html":
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s", large, strings.Repeat("p", large))
		case "/500.html":
			return "HTTP/1.1 500 No\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npage\r\n0\r\n\r\n"
		case "/501.html":
			return "garbage\r\n\r\n"
		case "/502.html":
			return "HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nno!"
		}
		return "" // and never anything more
	}))
	here := site{server: newServer(t, answers(fail)), bystander: pages}
	conform(t, here, "pages: {error_pages: {status: [404, 500-599], service: bystander, path: '/{status}.html'}}", "pages",
		func(t *testing.T, w *way) {
			for _, c := range []struct {
				status            int
				contentType, body string
			}{
				{200, "text/plain", "old"},
				{403, "text/plain", "old"},
				{404, "text/html", strings.Repeat("p", large)},
				{500, "text/html", "page"},
				{501, "text/plain; charset=utf-8", "501 Not Implemented\n"},
				{502, "text/plain; charset=utf-8", "502 Bad Gateway\n"},
			} {
				pages.forget()
				a := w.ask(t, request{method: "POST", target: fmt.Sprintf("/%d", c.status), content: "content", fields: []string{"Cookie: a=1"}})
				if a.StatusCode != c.status || a.body != c.body || a.Header.Get("Content-Type") != c.contentType ||
					a.Header.Get("X-Kept") != "1" || c.body != "old" && a.Header.Get("Content-Encoding") != "" {
					t.Errorf("%d: %d %v and %d bytes, %.80q", c.status, a.StatusCode, a.Header, len(a.body), a.body)
				}
				if got := pages.received(); strings.Contains(got, "Cookie") || (got == "") != (c.body == "old") {
					t.Errorf("%d: the service received %q", c.status, got)
				}
			}
			if a := w.ask(t, request{method: "HEAD", target: "/500"}); a.StatusCode != 500 || a.body != "" {
				t.Errorf("HEAD: %d %q", a.StatusCode, a.body)
			}
		})
}
