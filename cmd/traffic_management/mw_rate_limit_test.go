package main

import (
	"strconv"
	"strings"
	"testing"
)

// TestRateLimitConforms has clients behind a trusted proxy, each of which may send two requests an hour.
func TestRateLimitConforms(t *testing.T) {
	s := newServer(t, greet)
	here := site{server: s, entry: "forwarded_headers: {trusted_ips: [127.0.0.0/8]}, "}
	conform(t, here, "two: {rate_limit: {average: 2, period_seconds: 3600}}", "two", func(t *testing.T, w *way) {
		from := func(address string) request {
			return request{method: "POST", content: "content", fields: []string{"X-Forwarded-For: " + address}}
		}
		for i := range 2 {
			if a := w.ask(t, from("192.0.2.1")); a.StatusCode != 200 || a.body != "hello\n" {
				t.Fatalf("request %d: %d %q", i, a.StatusCode, a.body)
			}
		}
		s.forget()
		a := w.ask(t, from("192.0.2.1"))
		if a.StatusCode != 429 || !strings.Contains(a.body, "rate limit") || s.received() != "" {
			t.Errorf("one too many: %d %q; the server received %q", a.StatusCode, a.body, s.received())
		}
		wait, err := strconv.Atoi(a.Header.Get("Retry-After"))
		if err != nil || wait < 1700 || wait > 1800 {
			t.Errorf("Retry-After: %q", a.Header.Get("Retry-After"))
		}
		if got := a.Header.Get("Ratelimit-Policy"); got != `"two";q=2;w=3600` {
			t.Errorf("RateLimit-Policy: %s", got)
		}
		if got, want := a.Header.Get("Ratelimit"), `"two";r=0;t=`+strconv.Itoa(wait); got != want {
			t.Errorf("RateLimit: %s, want %s", got, want)
		}
		// The same client, whatever it says of itself.
		for _, forged := range []string{"192.0.2.9, 192.0.2.1", "127.0.0.1, 192.0.2.1", "unknown,,192.0.2.1", "192.0.2.1:4711",
			"::ffff:192.0.2.1", "192.0.2.1,", "[192.0.2.9], 192.0.2.1, 127.0.0.1", "192.0.2.1\r\nX-Forwarded-For: 127.0.0.2"} {
			r := from("")
			r.fields = nil
			for value := range strings.SplitSeq(forged, "\r\nX-Forwarded-For: ") {
				r.fields = append(r.fields, "X-Forwarded-For: "+value)
			}
			if a := w.ask(t, r); a.StatusCode != 429 {
				t.Errorf("as %q: %d", forged, a.StatusCode)
			}
		}
		if a := w.ask(t, from("192.0.2.2")); a.StatusCode != 200 {
			t.Errorf("another client: %d", a.StatusCode)
		}
		eventually(t, "nine refusals are counted", func() bool {
			return w.proxy.metric("traffic_requests_total", `router="main"`, `code="4xx"`) == 9
		})
	})
}
