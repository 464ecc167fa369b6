package engine_test

import (
	"strings"
	"testing"
)

// closeAll ends every connection, without a response, when it has received something.
func (b *backend) closeAll() {
	go func() {
		for c := range b.accepted {
			go func() {
				defer c.Close()
				_, _ = c.Read(make([]byte, 1))
			}()
		}
	}()
}

// TestRetryPolicy puts a server that answers nothing beside one that does: with a policy every GET is answered. What
// may not be repeated fails with and without one.
func TestRetryPolicy(t *testing.T) {
	dumb, alive := listen(t), listen(t)
	dumb.closeAll()
	alive.serve("alive")
	for _, c := range []struct{ name, retry, request, statuses string }{
		{"no policy", "", get, "200 502"},
		{"policy", "attempts: 1, initial_interval_ms: 1", get, "200"},
		{"policy, not idempotent", "attempts: 1, initial_interval_ms: 1", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
			"200 502"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := site{servers: []string{dumb.address, alive.address}, retry: c.retry}.start(t)
			seen := map[string]int{}
			for range 20 {
				status, _ := p.ask(t, c.request)
				seen[status]++
			}
			for status := range seen {
				if !strings.Contains(c.statuses, status) {
					t.Errorf("answers by status: %v, want only %s", seen, c.statuses)
				}
			}
			if len(seen) != len(strings.Fields(c.statuses)) {
				t.Errorf("answers by status: %v, want %s", seen, c.statuses)
			}
		})
	}
}

// TestBreakerOfAllLoops opens a breaker by failures on any loop: it is open on every one.
func TestBreakerOfAllLoops(t *testing.T) {
	dumb := listen(t)
	dumb.closeAll()
	p := site{servers: []string{dumb.address}, loops: 3, breaker: "failure_threshold: 6, recovery_timeout_seconds: 3600"}.start(t)
	for i := range 30 {
		status, content := p.ask(t, get)
		refused := status == "503" && strings.Contains(content, "circuit breaker")
		if refused != (i >= 6) {
			t.Fatalf("request %d got %s %q", i+1, status, content)
		}
	}
}
