package mw

import (
	"crypto/tls"
	"strings"
	"testing"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

func redirectScheme(t testing.TB, o RedirectSchemeOptions) exchange.Filter {
	t.Helper()
	return must[*RedirectScheme](t)(NewRedirectScheme(o))
}

func redirectRegex(t testing.TB, o RedirectRegexOptions) exchange.Filter {
	t.Helper()
	return must[*RedirectRegex](t)(NewRedirectRegex(o))
}

func TestRedirectScheme(t *testing.T) {
	for _, c := range []struct {
		what    string
		o       RedirectSchemeOptions
		method  string
		target  string
		secure  bool
		trusted bool
		fields  []string
		status  int
		want    string
	}{
		{"GET", RedirectSchemeOptions{Scheme: "https"}, "GET", "/a%20b?c=d", false, false, nil, 302, "https://example.org/a%20b?c=d"},
		{"HEAD", RedirectSchemeOptions{Scheme: "https"}, "HEAD", "/", false, false, nil, 307, "https://example.org/"},
		{"POST", RedirectSchemeOptions{Scheme: "https"}, "POST", "/", false, false, nil, 307, "https://example.org/"},
		{"for good", RedirectSchemeOptions{"https", 0, Permanent}, "GET", "/", false, false, nil, 301, "https://example.org/"},
		{"for good, PUT", RedirectSchemeOptions{"https", 0, Permanent}, "PUT", "/", false, false, nil, 308, "https://example.org/"},
		{"a port", RedirectSchemeOptions{"https", 8443, Temporary}, "GET", "/", false, false, nil, 302, "https://example.org:8443/"},
		{"the scheme's own port", RedirectSchemeOptions{"https", 443, Temporary}, "GET", "/", false, false, nil, 302, "https://example.org/"},
		{"the other way", RedirectSchemeOptions{"http", 8080, Temporary}, "GET", "/x?", true, false, nil, 302, "http://example.org:8080/x?"},
		{"as it is to be", RedirectSchemeOptions{Scheme: "https"}, "GET", "/", true, false, nil, 200, ""},
		{"as it is to be", RedirectSchemeOptions{Scheme: "http"}, "GET", "/", false, false, nil, 200, ""},
		{"a client that says it is", RedirectSchemeOptions{Scheme: "https"}, "GET", "/", false, false,
			[]string{"X-Forwarded-Proto: https"}, 302, "https://example.org/"},
		{"a trusted proxy that says it is", RedirectSchemeOptions{Scheme: "https"}, "GET", "/", false, true,
			[]string{"X-Forwarded-Proto: https"}, 200, ""},
		{"a trusted proxy that says it is not", RedirectSchemeOptions{Scheme: "https"}, "GET", "/", true, true,
			[]string{"X-Forwarded-Proto: http"}, 302, "https://example.org/"},
		{"no other host", RedirectSchemeOptions{Scheme: "https"}, "GET", "//evil.test/a", false, false, nil, 302, "https://example.org/evil.test/a"},
		{"the whole server", RedirectSchemeOptions{Scheme: "https"}, "OPTIONS", "*", false, false, nil, 307, "https://example.org/"},
		{"odd bytes", RedirectSchemeOptions{Scheme: "https"}, "GET", "/a%0d%0aX:y?%0d%0a", false, false, nil, 302,
			"https://example.org/a%0D%0AX:y?%0d%0a"},
	} {
		b := newBed(t, redirectScheme(t, c.o))
		if c.secure {
			b.tls = new(tls.ConnectionState)
		}
		if c.trusted {
			b.env.Trusted = prefixes("0.0.0.0/0")
		}
		eachVersion(t, func(t *testing.T, v codec.Version) {
			b.requests = nil
			a := b.ask(v, c.method, c.target, c.fields...)
			if a.status != c.status || a.field("Location") != c.want || (a.status == 200) != (len(b.requests) == 1) {
				t.Errorf("%s: %d %q, want %d %q; the server got %q", c.what, a.status, a.field("Location"), c.status, c.want, b.requests)
			}
		})
	}
}

func TestRedirectSchemeNeedsAHost(t *testing.T) {
	b := newBed(t, hostless{}, redirectScheme(t, RedirectSchemeOptions{Scheme: "https"}))
	if a := b.ask(codec.HTTP11, "GET", "/"); a.status != 400 || len(b.requests) != 0 {
		t.Errorf("%d %q", a.status, a.body)
	}
}

// hostless makes requests those of HTTP/1.0 that name no host.
type hostless struct{}

func (hostless) Request(x *exchange.Exchange) exchange.Verdict {
	x.RequestHead.Authority = nil
	return exchange.Next
}

func TestRedirectSchemeKeepsAddresses(t *testing.T) {
	for host, want := range map[string]string{"[2001:db8::1]:8080": "https://[2001:db8::1]/", "192.0.2.7:80": "https://192.0.2.7/"} {
		b := newBed(t, headers(t, HeadersOptions{Request: []FieldOption{{"Host", host}}}),
			redirectScheme(t, RedirectSchemeOptions{Scheme: "https"}))
		if a := b.ask(codec.HTTP11, "GET", "/"); a.field("Location") != want {
			t.Errorf("%s leads to %q, want %q", host, a.field("Location"), want)
		}
	}
}

func TestRedirectRegex(t *testing.T) {
	for _, c := range []struct{ regex, replacement, target, want string }{
		{`^http://example\.org/(.*)`, "https://www.example.org/$1", "/a?b=c", "https://www.example.org/a?b=c"},
		{`^http://example\.org/old/(.*)$`, "https://example.org/new/${1}", "/other", ""},
		{`^(https?)://([^/]+)/x`, "$1://$2/y", "/x/z", "http://example.org/y/z"},
		{`/a`, "/a", "/a", ""},
		{`/a`, "/b", "/a/a", "http://example.org/b/b"},
		{`^http://[^/]+/old(.*)`, "/new$1", "/old/x?y", "/new/x?y"},
		{`^http://[^/]+/old(.*)`, "/new$1#there", "/old", "/new#there"},
		// Nothing that a client writes makes another host of a path.
		{`^http://[^/]+/old(.*)`, "$1", "/old//evil.test", "/evil.test"},
		{`^http://[^/]+/old(.*)`, "/$1", "/old/evil.test", "/evil.test"},
		{`^http://[^/]+/old(.*)`, "/$1", `/old\evil.test`, "/evil.test"},
		{`^http://[^/]+/old(.*)`, "/$1", `/old/\/\evil.test`, "/evil.test"},
		{`^http://[^/]+/old/(.*)`, "$1", "/old/https://evil.test", "400"},
		{`^http://[^/]+/old/(.*)`, "$1", "/old/javascript:alert(1)", "400"},
		{`^http://[^/]+/old/(.*)`, "$1", "/old/evil.test", "400"},
		{`^http://[^/]+/old/(.*)`, "$1", "/old/", "400"},
		{`^http://[^/]+/old(.*)`, "https://example.org$1", "/old@evil.test", "400"},
		{`^http://[^/]+/old(.*)`, "https://example.org$1", `/old\@evil.test`, `https://example.org\@evil.test`},
		{`^http://[^/]+/old(.*)`, "https:/x$1", "/old/evil.test", "400"},
		{`^http://[^/]+/old(.*)`, "/new$1", "/old%0d%0aX:%20y", "/new%0D%0AX:%20y"},
		{`.*`, "https://x.test/", "/" + strings.Repeat("a", maxSubject), "414"},
		{`(aaaa+)`, "$1$1$1$1$1$1", "/" + strings.Repeat("a", 4000), "414"},
		{`^`, "x", "*", ""},
	} {
		b := newBed(t, redirectRegex(t, RedirectRegexOptions{Regex: c.regex, Replacement: c.replacement}))
		eachVersion(t, func(t *testing.T, v codec.Version) {
			b.requests = nil
			method := "GET"
			if c.target == "*" {
				method = "OPTIONS"
			}
			a := b.ask(v, method, c.target)
			got := a.field("Location")
			if a.status >= 400 {
				got = a.body[:3]
			}
			if got != c.want || (c.want == "") != (len(b.requests) == 1) || got == "" && a.status != 200 {
				t.Errorf("%s %s: %s leads to %d %q, want %q", c.regex, c.replacement, c.target, a.status, got, c.want)
			}
		})
	}
}

func TestRedirectRegexStatus(t *testing.T) {
	for method, want := range map[string][2]int{"GET": {302, 301}, "HEAD": {307, 308}, "POST": {307, 308}, "FROB": {307, 308}} {
		for i, p := range []Permanence{Temporary, Permanent} {
			b := newBed(t, redirectRegex(t, RedirectRegexOptions{"^http:", "https:", p}))
			if a := b.ask(codec.HTTP11, method, "/"); a.status != want[i] || a.field("Location") != "https://example.org/" {
				t.Errorf("%s, %v: %d %q", method, p, a.status, a.field("Location"))
			}
		}
	}
}

func TestRedirectOptionsAreChecked(t *testing.T) {
	for _, c := range []struct {
		o    RedirectSchemeOptions
		want string
	}{
		{RedirectSchemeOptions{}, "scheme: expected http or https"},
		{RedirectSchemeOptions{Scheme: "ftp"}, "scheme: expected http or https"},
		{RedirectSchemeOptions{Scheme: "https", Port: 65536}, "port: expected a port"},
		{RedirectSchemeOptions{Scheme: "https", Port: -1}, "port: expected a port"},
	} {
		if _, err := NewRedirectScheme(c.o); err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v, want %s", c.o, err, c.want)
		}
	}
	if _, err := NewRedirectRegex(RedirectRegexOptions{Regex: "a", Replacement: "$2"}); err == nil {
		t.Error("a group that is not there is taken")
	}
}

func TestRedirectSchemeAllocatesNothing(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		eachVersion(t, func(t *testing.T, v codec.Version) {
			if n := allocs(t, v, "GET", "/a%20b?c", nil, redirectScheme(t, RedirectSchemeOptions{Scheme: scheme})); n != 0 {
				t.Errorf("%s: %v allocations", scheme, n)
			}
		})
	}
}
