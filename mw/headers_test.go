package mw

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// must is a filter whose options are right.
func must[F exchange.Filter](t testing.TB) func(F, error) exchange.Filter {
	return func(f F, err error) exchange.Filter {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
}

func headers(t testing.TB, o HeadersOptions) exchange.Filter {
	t.Helper()
	return must[*Headers](t)(NewHeaders(o))
}

// received is the values of a field, as one text, and the request line of the last request that the server got.
func (b *bed) received(name string) (line string, values string) {
	b.t.Helper()
	if len(b.requests) == 0 {
		b.t.Fatal("the server got nothing")
	}
	lines := strings.Split(b.requests[len(b.requests)-1], "\r\n")
	var all []string
	for _, l := range lines[1:] {
		if n, v, ok := strings.Cut(l, ": "); ok && strings.EqualFold(n, name) {
			all = append(all, v)
		}
	}
	return lines[0], strings.Join(all, " | ")
}

func TestRequestFieldsAreSet(t *testing.T) {
	eachVersion(t, func(t *testing.T, v codec.Version) {
		b := newBed(t, headers(t, HeadersOptions{Request: []FieldOption{{"X-New", "new"}, {"X-User", "nobody"}, {"User-Agent", ""},
			{"X-Secret", ""}, {"X-Empty", "${client_cert_subject}"}, {"Host", "inner.test:8080"}, {"X-Was", "${host}"}}}))
		b.ask(v, "GET", "/", "User-Agent: curl", "X-USER: admin", "x-user: root", "X_User: admin", "X.user: admin", "X-Secret: s",
			"x_secret: s", "X-Userx: stays", "Accept: */*")
		for name, want := range map[string]string{"X-New": "new", "X-User": "nobody", "User-Agent": "", "X-Secret": "", "X-Empty": "",
			"X_User": "", "X.User": "", "x_secret": "", "X-Userx": "stays", "Accept": "*/*", "Host": "inner.test:8080",
			"X-Was": "example.org", "X-Forwarded-Host": "example.org"} {
			if _, got := b.received(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
	})
}

func TestAliasesAreKeptWhereTheEntryPointSaysSo(t *testing.T) {
	b := newBed(t, headers(t, HeadersOptions{Request: []FieldOption{{"X-User", "nobody"}, {"Accept", "text/html"}}}))
	b.env.Alias = exchange.AliasKeep
	b.ask(codec.HTTP11, "GET", "/", "X_User: admin", "x-user: admin", "Accept: */*")
	for name, want := range map[string]string{"X_User": "admin", "X-User": "nobody", "Accept": "text/html"} {
		if _, got := b.received(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestResponseFieldsAreSet(t *testing.T) {
	eachVersion(t, func(t *testing.T, v codec.Version) {
		b := newBed(t, headers(t, HeadersOptions{Response: []FieldOption{{"Server", ""}, {"X-Powered-By", ""}, {"Cache-Control", "no-store"},
			{"X-Request", "${method} ${path}"}}}))
		b.answer = func(*http.Request) string {
			return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer: old\r\nX-Powered-By: a\r\nx-powered-by: b\r\nCache-Control: public\r\nVia: x\r\n\r\n"
		}
		c := b.ask(v, "PUT", "/a%20b?c")
		for name, want := range map[string]string{"Server": "", "X-Powered-By": "", "Cache-Control": "no-store", "Via": "x",
			"X-Request": "PUT /a%20b"} {
			if got := c.field(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
	})
}

// Lines are added beside those of the message and those that are set, and only where there is something to say.
func TestLinesAreAppended(t *testing.T) {
	eachVersion(t, func(t *testing.T, v codec.Version) {
		b := newBed(t, headers(t, HeadersOptions{
			Request: []FieldOption{{"X-Set", "set"}},
			RequestAppend: []FieldOption{{"X-Tag", "ours ${method}"}, {"X-Set", "more"}, {"Via", "1.1 edge"}, {"X-Mute", "${client_cert_subject}"},
				{"Accept", "text/css"}},
			ResponseAppend: []FieldOption{{"Set-Cookie", "id=${request_id}"}, {"X-New", "new"}},
		}))
		b.answer = func(*http.Request) string {
			return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: a=b\r\n\r\n"
		}
		c := b.ask(v, "PUT", "/", "X-Request-Id: id-1", "X-Tag: theirs", "x-tag: again", "X-Set: forged", "Accept: */*")
		for name, want := range map[string]string{"X-Tag": "theirs | again | ours PUT", "X-Set": "set | more", "Via": "1.1 edge", "X-Mute": "",
			"Accept": "*/* | text/css"} {
			if _, got := b.received(name); got != want {
				t.Errorf("%s: the server got %q, want %q", name, got, want)
			}
		}
		if strings.Contains(b.requests[len(b.requests)-1], "X-Mute") {
			t.Errorf("a line without a value: %q", b.requests[len(b.requests)-1])
		}
		var cookies []string
		for _, f := range c.fields {
			if codec.EqualFold(f.Name, "Set-Cookie") {
				cookies = append(cookies, string(f.Value))
			}
		}
		if !slices.Equal(cookies, []string{"a=b", "id=id-1"}) || c.field("X-New") != "new" {
			t.Errorf("the client got the cookies %q and X-New %q", cookies, c.field("X-New"))
		}
	})
}

// The proxy's own answers have the fields, too.
func TestLocalErrorsHaveResponseFields(t *testing.T) {
	b := newBed(t, headers(t, HeadersOptions{Response: []FieldOption{{"X-Served-By", "proxy"}}}))
	b.answer = func(*http.Request) string {
		b.servers[len(b.servers)-1].conn.Abort()
		return ""
	}
	if c := b.ask(codec.HTTP11, "POST", "/"); c.status != 502 || c.field("X-Served-By") != "proxy" {
		t.Errorf("%d %q", c.status, c.fields)
	}
}

func TestVariables(t *testing.T) {
	var request []FieldOption
	for _, name := range Variables() {
		request = append(request, FieldOption{"V-" + strings.ReplaceAll(name, "_", "-"), "<${" + name + "}>"})
	}
	b := newBed(t, headers(t, HeadersOptions{Request: request}))
	b.tls = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: "alice", Organization: []string{"a,b"}}}}}}
	eachVersion(t, func(t *testing.T, v codec.Version) {
		b.ask(v, "PATCH", "/caf%C3%A9?q", "X-Request-Id: id-1")
		for name, want := range map[string]string{"V-client-cert-subject": `<CN=alice,O=a\,b>`, "V-client-ip": "<198.51.100.7>", "V-host": "<example.org>",
			"V-method": "<PATCH>", "V-path": "</caf%C3%A9>", "V-request-id": "<id-1>"} {
			if _, got := b.received(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		_, first := b.received("V-uuid")
		_, stamp := b.received("V-timestamp")
		if at, err := time.Parse("<2006-01-02T15:04:05.000Z>", stamp); err != nil || time.Since(at).Abs() > time.Hour {
			t.Errorf("the time is %s: %v", stamp, err)
		}
		b.ask(v, "GET", "/")
		_, second := b.received("V-uuid")
		form := regexp.MustCompile(`^<[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}>$`)
		if !form.MatchString(first) || !form.MatchString(second) || first == second {
			t.Errorf("the UUIDs are %s and %s", first, second)
		}
	})
}

// A certificate may have anything in it: a value with what no value can have is not sent at all, and neither is the
// client's field of that name.
func TestVariablesInjectNothing(t *testing.T) {
	for _, subject := range []string{"a\r\nX-Admin: 1", "a\nX-Admin: 1", "a\rb", "a\x00b", "a\x7fb"} {
		o := FieldOption{"X-Subject", "${client_cert_subject}"}
		b := newBed(t, headers(t, HeadersOptions{Request: []FieldOption{o, {"Host", "${client_cert_subject}"}}, Response: []FieldOption{o}}))
		b.tls = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: subject}}}}}
		eachVersion(t, func(t *testing.T, v codec.Version) {
			c := b.ask(v, "GET", "/", "X-Subject: forged")
			if _, got := b.received("X-Subject"); got != "" || c.field("X-Subject") != "" || c.status != 200 {
				t.Errorf("%q: the server got %q, the client %q", subject, got, c.field("X-Subject"))
			}
			if _, got := b.received("X-Admin"); got != "" || strings.Contains(b.requests[len(b.requests)-1], "Admin") {
				t.Errorf("%q: the server got %q", subject, b.requests[len(b.requests)-1])
			}
			if _, host := b.received("Host"); host != "example.org" {
				t.Errorf("%q: the host is %q", subject, host)
			}
		})
	}
}

func TestHeadersOptionsAreChecked(t *testing.T) {
	type fields = []FieldOption
	for _, c := range []struct {
		o    HeadersOptions
		want string
	}{
		{HeadersOptions{Request: fields{{"X Y", "a"}}}, "request_headers.X Y: expected a field name"},
		{HeadersOptions{Request: fields{{"X:", "a"}}}, "request_headers.X:: expected a field name"},
		{HeadersOptions{Response: fields{{"", "a"}}}, "response_headers.: expected a field name"},
		{HeadersOptions{Request: fields{{"X", "a\r\nb"}}}, "request_headers.X: expected a field's value, without control characters"},
		{HeadersOptions{Request: fields{{"X", "${method}\n"}}}, "request_headers.X: expected a field's value, without control characters"},
		{HeadersOptions{Request: fields{{"X", "${nobody}"}}}, `request_headers.X: "${nobody}" is no variable, expected ${name} with one of ` +
			"client_cert_subject, client_ip, host, method, path, request_id, timestamp, uuid"},
		{HeadersOptions{Request: fields{{"X", "${host"}}}, `request_headers.X: "${host" is no variable, expected ${name} with one of ` +
			"client_cert_subject, client_ip, host, method, path, request_id, timestamp, uuid"},
		{HeadersOptions{Request: fields{{"Host", ""}}}, "request_headers.Host: expected a host with or without a port"},
		{HeadersOptions{Request: fields{{"host", "a/b"}}}, "request_headers.host: expected a host with or without a port"},
		{HeadersOptions{Request: fields{{"Host", "user@a"}}}, "request_headers.Host: expected a host with or without a port"},
		{HeadersOptions{Security: &SecurityOptions{PermissionsPolicy: "a\r\nb"}},
			"security.permissions_policy: expected a field's value, without control characters"},
	} {
		if _, err := NewHeaders(c.o); err == nil || err.Error() != c.want {
			t.Errorf("%+v\n got %v\nwant %s", c.o, err, c.want)
		}
	}
	for _, name := range []string{"Connection", "Content-Length", "Transfer-Encoding", "TE", "Trailer", "Upgrade", "Expect", "Keep-Alive",
		"Proxy-Connection", "HTTP2-Settings", "Proxy-Authorization", "content-length"} {
		const want = ": the proxy sets this field itself"
		for _, value := range []string{"", "x"} {
			f := fields{{name, value}}
			if _, err := NewHeaders(HeadersOptions{Request: f}); err == nil || err.Error() != "request_headers."+name+want {
				t.Errorf("%s in requests: %v", name, err)
			}
			if _, err := NewHeaders(HeadersOptions{Response: f}); err == nil || err.Error() != "response_headers."+name+want {
				t.Errorf("%s in responses: %v", name, err)
			}
		}
	}
	for name, why := range map[string]string{"Content-Length": "the proxy sets this field itself", "Connection": "the proxy sets this field itself",
		"Host": "a message has one line", "authorization": "a message has one line", "Cookie": "a message has one line",
		"Content-Type": "a message has one line", "ETag": "a message has one line", "Location": "a message has one line",
		"strict-transport-security": "a message has one line", "Access-Control-Allow-Origin": "a message has one line",
		"X-Forwarded-For": "the proxy says in this field", "x-forwarded-user": "the proxy says in this field",
		"Forwarded": "the proxy says in this field", "X-Real-IP": "the proxy says in this field", "X-Request-Id": "the proxy says in this field",
		"a b": "expected a field name"} {
		_, err := NewHeaders(HeadersOptions{RequestAppend: fields{{name, "x"}}})
		if err == nil || !strings.HasPrefix(err.Error(), "request_headers_append."+name+": "+why) {
			t.Errorf("a line more of %s in requests: %v", name, err)
		}
		if _, err = NewHeaders(HeadersOptions{ResponseAppend: fields{{name, "x"}}}); err == nil {
			t.Errorf("a line more of %s in responses is taken", name)
		}
	}
	if _, err := NewHeaders(HeadersOptions{ResponseAppend: fields{{"X", ""}}}); err == nil {
		t.Error("an empty line is taken")
	}
	if _, err := NewHeaders(HeadersOptions{Response: fields{{"Host", "a"}}}); err == nil {
		t.Error("Host is taken in responses")
	}
}

func TestSecurityFields(t *testing.T) {
	f := headers(t, HeadersOptions{Security: &SecurityOptions{HSTSMaxAge: time.Hour, HSTSIncludeSubdomains: true, HSTSPreload: true,
		FrameOptions: "DENY", NoSniff: true, ReferrerPolicy: "no-referrer", PermissionsPolicy: "camera=()"}})
	const hsts = "max-age=3600; includeSubDomains; preload"
	for _, c := range []struct {
		what    string
		secure  bool
		trusted bool
		fields  []string
		want    string
	}{
		{"over TLS", true, false, nil, hsts},
		{"in clear text", false, false, nil, ""},
		{"a client that says it is TLS", false, false, []string{"X-Forwarded-Proto: https"}, ""},
		{"a trusted proxy that says it is TLS", false, true, []string{"X-Forwarded-Proto: https"}, hsts},
		{"a trusted proxy that says it is not", true, true, []string{"X-Forwarded-Proto: http"}, ""},
	} {
		b := newBed(t, f)
		if c.secure {
			b.tls = new(tls.ConnectionState)
		}
		if c.trusted {
			b.env.Trusted = prefixes("0.0.0.0/0")
		}
		a := b.ask(codec.HTTP11, "GET", "/", c.fields...)
		if got := a.field("Strict-Transport-Security"); got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, got, c.want)
		}
		for name, want := range map[string]string{"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "no-referrer", "Permissions-Policy": "camera=()"} {
			if got := a.field(name); got != want {
				t.Errorf("%s: %s is %q, want %q", c.what, name, got, want)
			}
		}
	}
	b := newBed(t, f, headers(t, HeadersOptions{Security: new(SecurityOptions)}))
	b.answer = func(*http.Request) string {
		return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nx-frame-options: SAMEORIGIN\r\n\r\n"
	}
	if got := b.ask(codec.HTTP2, "GET", "/").field("X-Frame-Options"); got != "SAMEORIGIN" {
		t.Errorf("the server's own field is %q", got)
	}
}

func TestHeadersAllocateNothing(t *testing.T) {
	all := HeadersOptions{
		Request: []FieldOption{{"X-A", "a"}, {"User-Agent", ""}, {"Host", "b.test"}, {"X-T", "${client_ip} ${host} ${method} ${path} " +
			"${request_id} ${timestamp} ${uuid} ${client_cert_subject}"}},
		Response:       []FieldOption{{"X-B", "b"}, {"Content-Type", ""}, {"X-U", "${uuid}"}},
		RequestAppend:  []FieldOption{{"X-A", "b"}, {"X-V", "${client_ip}"}},
		ResponseAppend: []FieldOption{{"Set-Cookie", "a=${uuid}"}, {"X-B", "c"}},
		Security:       &SecurityOptions{HSTSMaxAge: time.Hour, NoSniff: true},
		CORS:           &CORSOptions{AllowOrigins: []string{"https://*.example.com"}, AllowCredentials: true, ExposeHeaders: []string{"X-B"}},
	}
	fields := []string{"User-Agent: curl", "Accept: */*", "Origin: https://a.example.com"}
	eachVersion(t, func(t *testing.T, v codec.Version) {
		if n := allocs(t, v, "GET", "/a/b?c", fields, headers(t, all)); n != 0 {
			t.Errorf("%v allocations", n)
		}
		preflight := append(slices.Clone(fields), "Access-Control-Request-Method: PUT")
		if n := allocs(t, v, "OPTIONS", "/a/b?c", preflight, headers(t, all)); n != 0 {
			t.Errorf("%v allocations for a preflight", n)
		}
	})
}
