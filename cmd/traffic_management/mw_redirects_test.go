package main

import "testing"

// redirected is a request, the status it gets, and where that leads.
type redirected struct {
	r      request
	status int
	want   string
}

func redirects(t *testing.T, middleware string, cases []redirected) {
	t.Helper()
	s := newServer(t, greet)
	conform(t, site{server: s}, middleware, "m", func(t *testing.T, w *way) {
		for _, c := range cases {
			s.forget()
			a := w.ask(t, c.r)
			if got := a.Header.Get("Location"); a.StatusCode != c.status || got != c.want || (s.received() == "") != (c.status != 200) {
				t.Errorf("%+v: %d %q, want %d %q; the server got %q", c.r, a.StatusCode, got, c.status, c.want, s.received())
			}
		}
	})
}

func TestRedirectSchemeConforms(t *testing.T) {
	redirects(t, "m: {redirect_scheme: {scheme: http, port: 8080, permanent: true}}", []redirected{
		{request{target: "/a%20b?c"}, 301, "http://a.test:8080/a%20b?c"},
		{request{method: "POST", content: "content"}, 308, "http://a.test:8080/"},
		{request{host: "a.test:443", target: "//evil.test"}, 301, "http://a.test:8080/evil.test"},
		{request{fields: []string{"X-Forwarded-Proto: http", "X-Forwarded-Host: evil.test"}}, 301, "http://a.test:8080/"},
		{request{target: "/%0d%0aSet-Cookie:a=b?%0d%0a"}, 301, "http://a.test:8080/%0D%0ASet-Cookie:a=b?%0d%0a"},
	})
	redirects(t, "m: {redirect_scheme: {scheme: https}}", []redirected{
		{request{}, 200, ""},
		{request{fields: []string{"X-Forwarded-Proto: http"}}, 200, ""},
	})
}

func TestRedirectRegexConforms(t *testing.T) {
	redirects(t, `m: {redirect_regex: {regex: "^https://[^/]+/old(/?.*)", replacement: "$1"}}`, []redirected{
		{request{target: "/old/a?b"}, 302, "/a?b"},
		{request{method: "HEAD", target: "/old/a"}, 307, "/a"},
		{request{target: "/new/a"}, 200, ""},
		{request{target: "/old//evil.test"}, 302, "/evil.test"},
		{request{target: `/old/\evil.test`}, 302, "/evil.test"},
		{request{target: "/oldevil.test"}, 400, ""},
		{request{target: "/oldhttps:evil.test"}, 400, ""},
		{request{target: "/old/%0d%0aX:y"}, 302, "/%0D%0AX:y"},
	})
}
