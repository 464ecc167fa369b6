package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// TestRetryConforms has a server that fails twice before it does well.
func TestRetryConforms(t *testing.T) {
	var asked atomic.Int64
	s := newServer(t, func(c *serverConn) {
		answers(func(r *http.Request) string {
			switch {
			case asked.Add(1) > 2:
				return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(r.Method), r.Method)
			case r.URL.Path == "/gone":
				c.Close()
				return ""
			}
			return "HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nno\n"
		})(c)
	})
	again := "again: {retry: {attempts: 2, initial_interval_ms: 1, max_interval_ms: 1, on_status: [503]}}"
	conform(t, site{server: s}, again, "again", func(t *testing.T, w *way) {
		for _, c := range []struct {
			r      request
			status int
			asked  int64
		}{
			{request{}, 200, 3},
			{request{method: "PUT", content: strings.Repeat("content", 1000)}, 200, 3},
			{request{method: "POST", content: "content"}, 503, 1}, // may not be safe to repeat
			{request{method: "DELETE", target: "/gone"}, 200, 3},
			{request{method: "POST", target: "/gone", content: "content"}, 502, 1},
		} {
			asked.Store(0)
			s.forget()
			a := w.ask(t, c.r)
			if a.StatusCode != c.status || asked.Load() != c.asked || c.status == 200 && a.body != c.r.method && a.body != "GET" {
				t.Errorf("%s %s: %d %q after %d tries", c.r.method, c.r.target, a.StatusCode, a.body, asked.Load())
			}
			if got := strings.Count(s.received(), c.r.content); c.r.content != "" && got != int(c.asked) {
				t.Errorf("%s %s: the server received the content %d times", c.r.method, c.r.target, got)
			}
		}
	})
}

// TestCircuitBreakerConforms has a server that fails until the circuit breaker keeps requests away from it.
func TestCircuitBreakerConforms(t *testing.T) {
	s := newServer(t, answers(fail))
	fuse := "fuse: {circuit_breaker: {failure_threshold: 3, recovery_timeout_seconds: 3600, status_codes: [502-599]}}"
	conform(t, site{server: s}, fuse, "fuse", func(t *testing.T, w *way) {
		for i, status := range []int{502, 503, 500, 502, 404, 502, 502} { // what is in between did well
			target := fmt.Sprintf("/%d", status)
			if a := w.ask(t, request{target: target}); a.StatusCode != status || a.body != "old" {
				t.Fatalf("request %d: %d %q", i, a.StatusCode, a.body)
			}
		}
		if a := w.ask(t, request{target: "/504"}); a.StatusCode != 504 {
			t.Fatalf("the third failure in a row: %d", a.StatusCode)
		}
		s.forget()
		for _, r := range []request{{target: "/200"}, {method: "POST", target: "/200", content: "content"}} {
			if a := w.ask(t, r); a.StatusCode != 503 || a.body == "old" {
				t.Errorf("an open circuit breaker: %d %q", a.StatusCode, a.body)
			}
		}
		if got := s.received(); got != "" {
			t.Errorf("behind an open circuit breaker the server received %q", got)
		}
	})
}
