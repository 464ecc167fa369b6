package mw

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"traffic_management/codec"
)

func prefixes(networks ...string) (all []netip.Prefix) {
	for _, n := range networks {
		all = append(all, netip.MustParsePrefix(n))
	}
	return all
}

func TestOrigins(t *testing.T) {
	for _, c := range []struct {
		allowed, origin string
		want            bool
	}{
		{"https://a.test", "https://a.test", true},
		{"https://A.test", "https://a.test", true},
		{"https://a.test:443", "https://a.test", true},
		{"http://a.test:80", "http://a.test", true},
		{"https://a.test:8443", "https://a.test:8443", true},
		{"https://a.test", "https://a.test:8443", false},
		{"https://a.test:8443", "https://a.test", false},
		{"https://a.test", "http://a.test", false},
		{"https://a.test", "https://b.a.test", false},
		{"https://a.test", "https://a.test.evil", false},
		{"https://a.test", "https://evila.test", false},
		{"https://a.test", "null", false},
		{"https://a.test", "", false},
		{"https://*.a.test", "https://b.a.test", true},
		{"https://*.a.test:8443", "https://b-1.a.test:8443", true},
		{"https://*.a.test", "https://a.test", false},
		{"https://*.a.test", "https://.a.test", false},
		{"https://*.a.test", "https://b.c.a.test", false},
		{"https://*.a.test", "https://evil/.a.test", false},
		{"https://*.a.test", "https://evil:80.a.test", false},
		{"https://*.a.test", "https://evil#.a.test", false},
		{"https://*.a.test", "https://evil@b.a.test", false},
		{"https://*.a.test", "https://b.a.test.evil", false},
		{"https://*.a.test", "https://ba.test", false},
		{"https://*.a.test", "https://a.tes", false},
		{"*", "https://anything.test", true},
		{"*", "null", true},
	} {
		p, err := newCORS(&CORSOptions{AllowOrigins: []string{"https://other.test", c.allowed}})
		if err != nil {
			t.Errorf("%s: %v", c.allowed, err)
		} else if got := p.allows([]byte(c.origin)); got != c.want {
			t.Errorf("%s allows %q: %v", c.allowed, c.origin, got)
		}
	}
}

func TestCORSOptionsAreChecked(t *testing.T) {
	const want = `: expected "*", or an origin such as https://example.com or https://*.example.com`
	for _, origin := range []string{"", "a.test", "null", "ftp://a.test", "https://", "https://a.test/", "https://u@a.test", "https://a b",
		"https://*", "https://*.", "https://a.*.test", "https://*a.test", "https://*.*.test", "https://*.127.0.0.1", "*.a.test", "https://a.test\r\n"} {
		if _, err := newCORS(&CORSOptions{AllowOrigins: []string{origin}}); err == nil || err.Error() != "cors.allow_origins[0]"+want {
			t.Errorf("%q: %v", origin, err)
		}
	}
	star, a := []string{"*"}, []string{"https://a.test"}
	for _, c := range []struct {
		o    CORSOptions
		want string
	}{
		{CORSOptions{}, "cors.allow_origins: expected at least one origin"},
		{CORSOptions{AllowOrigins: star, AllowCredentials: true},
			`cors.allow_origins[0]: "*" does not go with allow_credentials: any site could act as the user`},
		{CORSOptions{AllowOrigins: a, AllowHeaders: star, AllowCredentials: true},
			`cors.allow_headers[0]: "*" means nothing together with allow_credentials`},
		{CORSOptions{AllowOrigins: a, AllowMethods: []string{"PUT", "A B"}}, "cors.allow_methods[1]: expected a name"},
		{CORSOptions{AllowOrigins: a, ExposeHeaders: []string{"a\r\nb"}}, "cors.expose_headers[0]: expected a name"},
	} {
		if _, err := newCORS(&c.o); err == nil || err.Error() != c.want {
			t.Errorf("%+v\n got %v\nwant %s", c.o, err, c.want)
		}
	}
}

func TestCORS(t *testing.T) {
	listed := &CORSOptions{AllowOrigins: []string{"https://a.test", "https://*.b.test"}, AllowMethods: []string{"PUT", "DELETE"},
		AllowHeaders: []string{"X-One", "X-Two"}, ExposeHeaders: []string{"X-Three"}, AllowCredentials: true, MaxAge: time.Minute}
	anyone := &CORSOptions{AllowOrigins: []string{"*"}}
	const asks = "Access-Control-Request-Method: PUT"
	for _, c := range []struct {
		what                                                     string
		o                                                        *CORSOptions
		method                                                   string
		fields                                                   []string
		status                                                   int
		vary, origin, credentials, methods, headers, expose, age string
	}{
		{"a preflight", listed, "OPTIONS", []string{"Origin: https://a.test", asks}, 204,
			"Origin", "https://a.test", "true", "PUT, DELETE", "X-One, X-Two", "", "60"},
		{"a preflight from a wildcard's", listed, "OPTIONS", []string{"Origin: https://x.b.test", asks}, 204,
			"Origin", "https://x.b.test", "true", "PUT, DELETE", "X-One, X-Two", "", "60"},
		{"a preflight of a stranger", listed, "OPTIONS", []string{"Origin: https://evil.test", asks}, 204, "Origin", "", "", "", "", "", ""},
		{"a preflight where all may", anyone, "OPTIONS", []string{"Origin: https://evil.test", asks}, 204, "", "*", "", "", "", "", ""},
		{"OPTIONS that is no preflight", listed, "OPTIONS", []string{"Origin: https://a.test"}, 200,
			"Accept, Origin", "https://a.test", "true", "", "", "X-Three", ""},
		{"OPTIONS of no page", listed, "OPTIONS", []string{asks}, 200, "Accept, Origin", "", "", "", "", "", ""},
		{"GET like a preflight", listed, "GET", []string{"Origin: https://a.test", asks}, 200,
			"Accept, Origin", "https://a.test", "true", "", "", "X-Three", ""},
		{"a request", listed, "POST", []string{"Origin: https://a.test"}, 200,
			"Accept, Origin", "https://a.test", "true", "", "", "X-Three", ""},
		{"a stranger's", listed, "POST", []string{"Origin: https://evil.test"}, 200, "Accept, Origin", "", "", "", "", "", ""},
		{"of the same origin", listed, "GET", nil, 200, "Accept, Origin", "", "", "", "", "", ""},
		{"where all may", anyone, "GET", []string{"Origin: null"}, 200, "Accept", "*", "", "", "", "", ""},
	} {
		// The field that the server gets is another one: the origin is what the client said.
		b := newBed(t, headers(t, HeadersOptions{CORS: c.o, Request: []FieldOption{{"Origin", "https://servers.test"}}}))
		b.answer = func(*http.Request) string {
			return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nVary: Accept\r\nAccess-Control-Allow-Origin: *\r\naccess-control-allow-credentials: true\r\n\r\n"
		}
		eachVersion(t, func(t *testing.T, v codec.Version) {
			b.requests = nil
			a := b.ask(v, c.method, "/", c.fields...)
			if a.status != c.status || (a.status == 204) != (len(b.requests) == 0) {
				t.Errorf("%s: %d, the server got %q", c.what, a.status, b.requests)
			}
			for name, want := range map[string]string{"Vary": c.vary, "Access-Control-Allow-Origin": c.origin,
				"Access-Control-Allow-Credentials": c.credentials, "Access-Control-Allow-Methods": c.methods,
				"Access-Control-Allow-Headers": c.headers, "Access-Control-Expose-Headers": c.expose, "Access-Control-Max-Age": c.age} {
				if got := a.field(name); got != want {
					t.Errorf("%s: %s is %q, want %q", c.what, name, got, want)
				}
			}
		})
	}
}

func TestVaryIsSaidOnce(t *testing.T) {
	for value, want := range map[string]string{"Accept, origin": "Accept, origin", "*": "*", "X-Origin": "X-Origin, Origin"} {
		b := newBed(t, headers(t, HeadersOptions{CORS: &CORSOptions{AllowOrigins: []string{"https://a.test"}}}))
		b.answer = func(*http.Request) string { return "HTTP/1.1 204 No Content\r\nVary: " + value + "\r\n\r\n" }
		if got := b.ask(codec.HTTP11, "GET", "/").field("Vary"); got != want {
			t.Errorf("%q becomes %q, want %q", value, got, want)
		}
	}
}
