package main

import (
	"strings"
	"sync/atomic"
	"testing"
)

// TestChainConforms has a chain of the two kinds that are the exchange's own, inside another, at the entry point: a server
// that is never there is tried again, and then no more.
func TestChainConforms(t *testing.T) {
	var asked atomic.Int32
	s := newServer(t, func(c *serverConn) {
		for {
			if _, err := readHead(c); err != nil {
				return
			}
			asked.Add(1)
			if _, err := c.Write([]byte("HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nbusy\n")); err != nil {
				return
			}
		}
	})
	here := site{server: s, entry: "middlewares: [all], "}
	conform(t, here, "all: {chain: {middlewares: [again, inner]}}, inner: {chain: {middlewares: [guard]}}, "+
		"again: {retry: {attempts: 2, initial_interval_ms: 1, on_status: [503]}}, "+
		"guard: {circuit_breaker: {failure_threshold: 1, status_codes: [503]}}", "", func(t *testing.T, w *way) {
		asked.Store(0)
		if a := w.ask(t, request{}); a.StatusCode != 503 {
			t.Errorf("the first answer is %d %q", a.StatusCode, a.body)
		}
		before := asked.Load()
		a := w.ask(t, request{method: "POST", content: "content"})
		if a.StatusCode != 503 || !strings.Contains(a.body, "circuit breaker") || a.Header.Get("Retry-After") == "" {
			t.Errorf("the second answer is %d %q", a.StatusCode, a.body)
		}
		if before < 1 || asked.Load() != before {
			t.Errorf("the server was asked %d and then %d times", before, asked.Load())
		}
	})
}

// TestWays shows that each way carries what it is given, without any middleware.
func TestWays(t *testing.T) {
	s := newServer(t, greet)
	conform(t, site{server: s}, "", "", func(t *testing.T, w *way) {
		s.forget()
		content := strings.Repeat("content ", 100)
		a := w.ask(t, request{method: "PUT", target: "/a?b=c", fields: []string{"X-Test: 1", "x-test: 2"}, content: content})
		if a.StatusCode != 200 || a.body != "hello\n" || a.Header.Get("Content-Length") != "6" {
			t.Errorf("%d %v %q", a.StatusCode, a.Header, a.body)
		}
		head, got, _ := strings.Cut(s.settled(t), "\r\n\r\n")
		lines := strings.Split(head, "\r\n")
		if lines[0] != "PUT /a?b=c HTTP/1.1" || values(lines, "Host") != "a.test" || values(lines, "X-Test") != "1 | 2" || got != content {
			t.Errorf("the server received %q and %q", head, got)
		}
	})
}
