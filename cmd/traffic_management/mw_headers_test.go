package main

import (
	"strings"
	"testing"
)

// gets is the lines of the head that the server received.
func (s *server) gets(t *testing.T) []string {
	t.Helper()
	head, _, _ := strings.Cut(s.settled(t), "\r\n\r\n")
	return strings.Split(head, "\r\n")
}

func TestHeadersConform(t *testing.T) {
	s := newServer(t, greet)
	conform(t, site{server: s}, `edit: {headers: {
		request_headers: {X-User: "nobody", X-Seen: "${client_ip} ${method} ${path} ${host}", Host: inner.test, Cookie: ""},
		request_headers_append: {X-User: "more", X-Tag: "${method}"},
		response_headers: {X-Served-By: "proxy ${request_id}", Content-Type: ""},
		response_headers_append: {X-Served-By: "again", Set-Cookie: "seen=1; Path=${path}"},
		security: {hsts_max_age_seconds: 60, permissions_policy: "camera=()"}}}`, "edit", func(t *testing.T, w *way) {
		for _, c := range []struct {
			what   string
			r      request
			fields map[string]string // what the server gets
		}{
			{"nothing of it", request{fields: []string{"Accept: */*"}}, map[string]string{"X-User": "nobody | more", "Accept": "*/*",
				"X-Seen": "127.0.0.1 GET / a.test", "Host": "inner.test", "X-Forwarded-Host": "a.test"}},
			{"forged", request{fields: []string{"X-User: admin", "x-user: root", "X_User: admin", "X.USER: admin"}},
				map[string]string{"X-User": "nobody | more", "X_User": "", "X.USER": ""}},
			{"a line more", request{fields: []string{"X-Tag: a", "x-tag: b"}}, map[string]string{"X-Tag": "a | b | GET"}},
			{"to be removed", request{fields: []string{"Cookie: a=b", "Cookie: c=d"}}, map[string]string{"Cookie": ""}},
			{"content", request{method: "POST", target: "/x?y", content: strings.Repeat("content", 100)},
				map[string]string{"X-Seen": "127.0.0.1 POST /x a.test", "Content-Length": "700"}},
			{"line breaks in the path", request{target: "/a%0d%0aX-Admin:1"},
				map[string]string{"X-Seen": "127.0.0.1 GET /a%0D%0AX-Admin:1 a.test", "X-Admin": ""}},
		} {
			s.forget()
			a := w.ask(t, request{c.r.method, c.r.target, c.r.host, append(c.r.fields, "X-Request-Id: id-1"), c.r.content})
			lines := s.gets(t)
			for name, want := range c.fields {
				if got := values(lines, name); got != want {
					t.Errorf("%s: the server got %s %q, want %q", c.what, name, got, want)
				}
			}
			for name, want := range map[string]string{"X-Served-By": "proxy id-1", "Content-Type": "", "X-Frame-Options": "SAMEORIGIN",
				"Strict-Transport-Security": "max-age=60", "X-Content-Type-Options": "nosniff",
				"Referrer-Policy": "strict-origin-when-cross-origin", "Permissions-Policy": "camera=()"} {
				if got := a.Header.Get(name); got != want || a.StatusCode != 200 {
					t.Errorf("%s: %d, the client got %s %q, want %q", c.what, a.StatusCode, name, got, want)
				}
			}
			if got := a.Header["X-Served-By"]; len(got) != 2 || got[1] != "again" || !strings.HasPrefix(a.Header.Get("Set-Cookie"), "seen=1; Path=/") {
				t.Errorf("%s: lines that were to be added: %q", c.what, a.Header)
			}
		}
	})
}

func TestCORSConforms(t *testing.T) {
	s := newServer(t, greet)
	conform(t, site{server: s}, `share: {headers: {cors: {allow_origins: ["https://a.test", "https://*.b.test"], allow_methods: [PUT],
		allow_headers: [X-One], expose_headers: [X-Two], allow_credentials: true, max_age_seconds: 60}}}`, "share", func(t *testing.T, w *way) {
		const asks = "Access-Control-Request-Method: PUT"
		for _, c := range []struct {
			method string
			fields []string
			status int
			want   string // allow-origin, -credentials, -methods, -headers, max-age, expose-headers, vary
		}{
			{"OPTIONS", []string{"Origin: https://x.b.test", asks}, 204, "https://x.b.test,true,PUT,X-One,60,,Origin"},
			{"OPTIONS", []string{"Origin: https://evil.test", asks}, 204, ",,,,,,Origin"},
			{"OPTIONS", []string{"Origin: https://x.y.b.test", asks}, 204, ",,,,,,Origin"},
			{"GET", []string{"Origin: https://a.test"}, 200, "https://a.test,true,,,,X-Two,Origin"},
			{"GET", []string{"Origin: https://a.test.evil"}, 200, ",,,,,,Origin"},
			{"GET", nil, 200, ",,,,,,Origin"},
		} {
			s.forget()
			a := w.ask(t, request{method: c.method, fields: c.fields})
			var got []string
			for _, name := range []string{"Allow-Origin", "Allow-Credentials", "Allow-Methods", "Allow-Headers", "Max-Age", "Expose-Headers"} {
				got = append(got, a.Header.Get("Access-Control-"+name))
			}
			text := strings.Join(append(got, a.Header.Get("Vary")), ",")
			if text != c.want || a.StatusCode != c.status || (s.received() == "") != (c.status == 204) {
				t.Errorf("%s %q: %d %s, want %d %s; the server got %q", c.method, c.fields, a.StatusCode, text, c.status, c.want, s.received())
			}
		}
	})
}
