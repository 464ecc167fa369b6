package main

import (
	"strings"
	"testing"
)

// TestIPAllowListConforms has a client outside the list that says it is inside, directly and through a trusted proxy.
func TestIPAllowListConforms(t *testing.T) {
	s := newServer(t, greet)
	const list = "office: {ip_allow_list: {source_ranges: [192.0.2.0/24, '2001:db8::/32']}}"
	const trusted = "forwarded_headers: {trusted_ips: [127.0.0.0/8]}, "
	for _, c := range []struct {
		what, entry string
		inside      []string // X-Forwarded-For of those that are let through
		outside     []string
	}{
		{"a peer that is not trusted", "", nil, []string{"", "192.0.2.1", "192.0.2.1, 192.0.2.2", "2001:db8::1"}},
		{"a trusted proxy", trusted,
			[]string{"192.0.2.1", "198.51.100.7, 192.0.2.1", "[2001:db8::1]:443", "192.0.2.1, 127.0.0.9"},
			[]string{"", "198.51.100.7", "192.0.2.1, 198.51.100.7", "192.0.2.1, unknown", "192.0.2.1, 198.51.100.7, 127.0.0.9",
				"2001:db9::1", "192.0.2.1%eth0", "192.0.2.256", strings.Repeat("192.0.2.1, ", 900) + "198.51.100.7"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			conform(t, site{server: s, entry: c.entry}, list, "office", func(t *testing.T, w *way) {
				ask := func(forwarded string, want int) {
					t.Helper()
					s.forget()
					r := request{fields: []string{"Accept: application/json"}}
					if forwarded != "" {
						r.fields = append(r.fields, "X-Forwarded-For: "+forwarded)
					}
					a := w.ask(t, r)
					if a.StatusCode != want || (s.received() != "") != (want == 200) {
						t.Errorf("%.60q: %d %q; the server received %q", forwarded, a.StatusCode, a.body, s.received())
					}
					if want == 403 && !strings.Contains(a.body, `"reason":"the address of the client is not`) {
						t.Errorf("%.60q: %q", forwarded, a.body)
					}
				}
				for _, f := range c.inside {
					ask(f, 200)
				}
				for _, f := range c.outside {
					ask(f, 403)
				}
			})
		})
	}
}
