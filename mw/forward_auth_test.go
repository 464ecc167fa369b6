package mw

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
)

func forwardAuth(t testing.TB, change func(o *ForwardAuthOptions)) *ForwardAuth {
	t.Helper()
	o := ForwardAuthOptions{Service: besideService(), Authority: "auth.test:81", Path: "/check", Query: "a=b", Timeout: time.Second}
	if change != nil {
		change(&o)
	}
	return made[*ForwardAuth](t)(NewForwardAuth(o))
}

// What the server is told of a request, and of the client what it is to know.
func TestForwardAuthAsks(t *testing.T) {
	for _, c := range []struct {
		what    string
		change  func(o *ForwardAuthOptions)
		trusted bool
		tls     bool
		method  string
		target  string
		fields  []string
		want    []string
	}{
		{what: "what there is", method: "PUT", target: "/x/../a%20b?c=d", fields: []string{"Authorization: Basic YQ==",
			"Cookie: a=1", "User-Agent: u", "Accept: */*", "X-Requested-With: y", "Referer: z", "Proxy-Authorization: q",
			"X-Other: 1", "Connection: close", "Accept-Encoding: gzip", "If-None-Match: \"x\""},
			want: []string{"Accept: */*", "Authorization: Basic YQ==", "Cookie: a=1", "User-Agent: u", "X-Requested-With: y",
				"X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: http", "X-Forwarded-Host: example.org",
				"X-Forwarded-Method: PUT", "X-Forwarded-Uri: /a%20b?c=d"}},
		{what: "TLS, no query, a method of no meaning", tls: true, method: "PURGE", target: "/",
			want: []string{"X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: example.org",
				"X-Forwarded-Method: PURGE", "X-Forwarded-Uri: /"}},
		{what: "an empty query is one", method: "GET", target: "/?", want: []string{"X-Forwarded-For: 198.51.100.7",
			"X-Forwarded-Proto: http", "X-Forwarded-Host: example.org", "X-Forwarded-Method: GET", "X-Forwarded-Uri: /?"}},
		{what: "what a client makes up", change: func(o *ForwardAuthOptions) { o.TrustForwardHeader = true }, method: "GET",
			target: "/a", fields: []string{"X-Forwarded-Uri: /b", "X-Forwarded-Method: PUT", "X-Forwarded-For: 1.2.3.4",
				"X-Forwarded-Host: evil", "X-Forwarded-Proto: wss", "X_Forwarded_Uri: /c"},
			want: []string{"X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: http", "X-Forwarded-Host: example.org",
				"X-Forwarded-Method: GET", "X-Forwarded-Uri: /a"}},
		{what: "what a trusted peer says counts", change: func(o *ForwardAuthOptions) { o.TrustForwardHeader = true }, trusted: true,
			method: "GET", target: "/a", fields: []string{"X-Forwarded-Uri: /b", "X-Forwarded-Method: PUT",
				"X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: first", "X-Forwarded-Proto: https"},
			want: []string{"X-Forwarded-For: 1.2.3.4, 198.51.100.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: first",
				"X-Forwarded-Method: PUT", "X-Forwarded-Uri: /b"}},
		{what: "but not when it is not to", trusted: true, method: "GET", target: "/a", fields: []string{"X-Forwarded-Uri: /b",
			"X-Forwarded-Method: PUT", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: first", "X-Forwarded-Proto: https"},
			want: []string{"X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: http", "X-Forwarded-Host: example.org",
				"X-Forwarded-Method: GET", "X-Forwarded-Uri: /a"}},
		{what: "a list of its own", change: func(o *ForwardAuthOptions) { o.RequestHeaders = []string{"x-token", "Cookie"} },
			method: "GET", target: "/", fields: []string{"X-Token: 1", "x-token: 2", "Cookie: a", "Authorization: b"},
			want: []string{"X-Token: 1", "x-token: 2", "Cookie: a", "X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: http",
				"X-Forwarded-Host: example.org", "X-Forwarded-Method: GET", "X-Forwarded-Uri: /"}},
	} {
		b := newBed(t, forwardAuth(t, c.change))
		if c.trusted {
			b.env.Trusted = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
		}
		if c.tls {
			b.tls = new(tls.ConnectionState)
		}
		auth := b.beside(says("HTTP/1.1 204 No Content\r\n\r\n"))
		if a := b.ask(codec.HTTP11, c.method, c.target, c.fields...); a.status != 200 {
			t.Errorf("%s: status %d", c.what, a.status)
			continue
		}
		lines := strings.Split(strings.TrimSuffix(auth.requests[0], "\r\n\r\n"), "\r\n")
		got := lines[2:]
		slices.Sort(got)
		slices.Sort(c.want)
		if lines[0] != "GET /check?a=b HTTP/1.1" || lines[1] != "Host: auth.test:81" || !slices.Equal(got, c.want) {
			t.Errorf("%s: the server was asked\n%q\nwant\n%q", c.what, lines, c.want)
		}
	}
}

// An answer of 2xx lets the request pass, with the fields that are the server's alone to give.
func TestForwardAuthPasses(t *testing.T) {
	filter := forwardAuth(t, func(o *ForwardAuthOptions) { o.ResponseHeaders = []string{"X-User", "X-Group", "Authorization"} })
	eachVersion(t, func(t *testing.T, v codec.Version) {
		for _, c := range []struct{ answer, user, group string }{
			{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-User: ann\r\nX-Other: 1\r\n\r\nok", "ann", ""},
			{"HTTP/1.1 204 No Content\r\nx-user: ann\r\nX-GROUP: a\r\nX-Group: b\r\n\r\n", "ann", "a | b"},
			{"HTTP/1.1 299 Fine\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "", ""},
			{"HTTP/1.1 103 Early Hints\r\nX-User: bob\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", ""},
			{"HTTP/1.1 200 OK\r\nConnection: X-User, close\r\nX-User: ann\r\nContent-Length: 0\r\n\r\n", "", ""},
		} {
			b := newBed(t, filter)
			b.beside(says(c.answer))
			var user, group, auth, all string
			b.answer = func(r *http.Request) string {
				user, group, auth = strings.Join(r.Header.Values("X-User"), " | "), strings.Join(r.Header.Values("X-Group"), " | "),
					r.Header.Get("Authorization")
				return bedAnswer
			}
			got := b.begin(v, "POST", "/", 4, "X-User: root", "x_user: root", "X.Group: wheel", "x-gRoup: wheel",
				"Authorization: Basic YQ==")
			got.send("body", true)
			if len(b.requests) == 1 {
				all = strings.ToLower(b.requests[0])
			}
			if got.status != 200 || user != c.user || group != c.group || auth != "" || strings.Contains(all, "root") ||
				strings.Contains(all, "wheel") || !strings.HasSuffix(all, "\r\n\r\nbody") {
				t.Errorf("%q: status %d, the server got %q", c.answer, got.status, all)
			}
		}
	})
}

// Any other answer is the client's, and nothing reaches the server.
func TestForwardAuthRefuses(t *testing.T) {
	eachVersion(t, func(t *testing.T, v codec.Version) {
		for _, c := range []struct {
			answer, method string
			status         int
			body, fields   string
		}{
			{"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 4\r\n\r\nwho?", "GET", 401, "who?", "www-authenticate: Basic"},
			{"HTTP/1.1 302 Found\r\nLocation: http://login.test/\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n", "GET",
				302, "", "location: http://login.test/,set-cookie: a=1,set-cookie: b=2"},
			{"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnev\r\n2\r\ner\r\n0\r\n\r\n", "POST", 403, "never", ""},
			{"HTTP/1.1 401 No\r\nContent-Length: 4\r\n\r\nwho?", "HEAD", 401, "", ""},
			{"HTTP/1.1 500 No\r\nConnection: close\r\n\r\nbroken", "GET", 500, "broken", ""},
			{"HTTP/1.1 304 Not Modified\r\n\r\n", "GET", 304, "", ""},
		} {
			b := newBed(t, forwardAuth(t, nil))
			auth := b.beside(says(c.answer))
			got := b.begin(v, c.method, "/", 0)
			if strings.HasSuffix(c.answer, "broken") {
				auth.servers[0].closes()
			}
			var fields []string
			for _, f := range got.fields {
				name := strings.ToLower(string(f.Name))
				if name == "www-authenticate" || name == "location" || name == "set-cookie" {
					fields = append(fields, name+": "+string(f.Value))
				}
			}
			if got.status != c.status || got.body != c.body || strings.Join(fields, ",") != c.fields || !got.over || !got.complete {
				t.Errorf("%q: %d %q, %q; over %v", c.answer, got.status, got.body, fields, got.over)
			}
			if len(b.requests) != 0 || got.err != nil {
				t.Errorf("%q: the server got %q; %v", c.answer, b.requests, got.err)
			}
		}
	})
}

// Whatever goes wrong, a request that was not allowed does not pass.
func TestForwardAuthFails(t *testing.T) {
	for _, c := range []struct {
		what   string
		answer string // empty: none
		play   func(b, auth *bed)
		kind   codec.Kind
	}{
		{"nobody listens", "", func(b, _ *bed) { b.loop.Unlisten(besideAddr) }, codec.KindRefused},
		{"no answer", "", func(b, _ *bed) {}, codec.KindTimeout},
		{"half a head", "HTTP/1.1 200 OK\r\nX", func(b, _ *bed) {}, codec.KindTimeout},
		{"interim responses only", "HTTP/1.1 103 Early Hints\r\n\r\n", func(b, _ *bed) {}, codec.KindTimeout},
		{"garbage", "SSH-2.0-OpenSSH\r\n\r\n", func(b, _ *bed) {}, codec.KindSyntax},
		{"a status of none", "HTTP/1.1 20 OK\r\n\r\n", func(b, _ *bed) {}, codec.KindSyntax},
		{"another protocol", "HTTP/1.1 101 OK\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", func(b, _ *bed) {}, codec.KindSyntax},
		{"framing that means two things", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
			func(b, _ *bed) {}, codec.KindSyntax},
		{"a head that is too large", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 8192), func(b, _ *bed) {}, codec.KindTooLarge},
		{"an end", "HTTP/1.1 200 OK\r\n", func(_, auth *bed) { auth.servers[0].closes() }, codec.KindClosed},
	} {
		b := newBed(t, forwardAuth(t, nil))
		auth := b.beside(says(c.answer))
		if c.what == "nobody listens" {
			c.play(b, auth)
		}
		got := b.begin(codec.HTTP2, "GET", "/", 0)
		if c.what != "nobody listens" {
			c.play(b, auth)
		}
		b.advance(999 * time.Millisecond)
		if c.kind == codec.KindTimeout && got.over {
			t.Errorf("%s: over too early", c.what)
		}
		b.advance(time.Second)
		if got.status != 503 || !got.over || len(b.requests) != 0 {
			t.Errorf("%s: %d %q, over %v, the server got %q", c.what, got.status, got.body, got.over, b.requests)
			continue
		}
		if got.err == nil || got.err.Kind != c.kind || got.err.Side != codec.Upstream {
			t.Errorf("%s: observed %v, want %v", c.what, got.err, c.kind)
		}
	}
}

// A client that leaves takes its question with it; the content of what was decided already does not hold anybody up.
func TestForwardAuthEnds(t *testing.T) {
	b := newBed(t, forwardAuth(t, nil))
	auth := b.beside(says(""))
	gone := b.begin(codec.HTTP11, "GET", "/", 0)
	if gone.leave(); !gone.over || auth.servers[0].fate == "" {
		t.Errorf("the client left: over %v, the connection to the server: %q", gone.over, auth.servers[0].fate)
	}
	auth.answer = says("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
	slow := b.begin(codec.HTTP11, "GET", "/", 0)
	if !slow.over || slow.status != 200 || auth.servers[1].fate == "" {
		t.Errorf("the answer's content did not come: over %v, %d; %q", slow.over, slow.status, auth.servers[1].fate)
	}
	b.answer = says("") // the exchange goes on
	long := b.begin(codec.HTTP11, "GET", "/", 0)
	auth.servers[2].says(strings.Repeat("a", 2*mostDrained))
	if auth.servers[2].fate == "" || long.over {
		t.Errorf("the answer's content went on: %q; over %v", auth.servers[2].fate, long.over)
	}
}

func TestForwardAuthOptions(t *testing.T) {
	for _, change := range []func(o *ForwardAuthOptions){
		func(o *ForwardAuthOptions) { o.Path = "check" },
		func(o *ForwardAuthOptions) { o.RequestHeaders = []string{"X Y"} },
		func(o *ForwardAuthOptions) { o.RequestHeaders = []string{"x-forwarded-for"} },
		func(o *ForwardAuthOptions) { o.RequestHeaders = []string{"Content-Length"} },
		func(o *ForwardAuthOptions) { o.ResponseHeaders = []string{""} },
		func(o *ForwardAuthOptions) { o.ResponseHeaders = []string{"Transfer-Encoding"} },
		func(o *ForwardAuthOptions) { o.ResponseHeaders = []string{"host"} },
		func(o *ForwardAuthOptions) { o.ResponseHeaders = []string{"Connection"} },
	} {
		o := ForwardAuthOptions{Path: "/"}
		change(&o)
		if _, err := NewForwardAuth(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
