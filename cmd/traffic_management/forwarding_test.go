package main

import (
	"net"
	"strings"
	"testing"
)

// claims are fields by which a client could tell a server where its request came from.
const claims = "X-Forwarded-For: 1.2.3.4\r\nx-forwarded-for: 5.6.7.8\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: admin.test\r\n" +
	"X-Forwarded-Port: 443\r\nX-Forwarded-Server: s\r\nX-Real-IP: 1.2.3.4\r\nForwarded: for=1.2.3.4;host=admin.test\r\n" +
	"X-Forwarded-Prefix: /admin\r\nX-Forwarded-Uri: /admin\r\nX-FORWARDED-METHOD: DELETE\r\n" +
	"X-Forwarded-Tls-Client-Cert: MII\r\nX-Forwarded-Ssl: on"

// claimed are the names of claims, without those of added.
var claimed = []string{"X-Forwarded-Server", "X-Real-IP", "Forwarded", "X-Forwarded-Prefix", "X-Forwarded-Uri",
	"X-Forwarded-Method", "X-Forwarded-Tls-Client-Cert", "X-Forwarded-Ssl"}

// ask sends a GET with these field lines and returns the head that the server received.
func (p *proxy) ask(t *testing.T, s *server, fields string) []string {
	t.Helper()
	s.forget()
	c := p.connect(t)
	c.send(field(fields))
	if a := c.receive("GET"); a.StatusCode != 200 {
		t.Fatalf("status %d %q", a.StatusCode, a.body)
	}
	return headOf(t, s.settled(t))
}

// wants checks the values of a field of a received head.
func wants(t *testing.T, head []string, name, want string) {
	t.Helper()
	if got := values(head, name); got != want {
		t.Errorf("the server received %s: %q, want %q", name, got, want)
	}
}

func TestForgedOrigin(t *testing.T) {
	s := newServer(t, greet)
	p := start(t, site{server: s})
	_, port, _ := net.SplitHostPort(p.web)
	for name, fields := range map[string]string{
		"nothing claimed":                  "A: b",
		"claimed":                          claims,
		"claimed and nominated":            claims + "\r\nConnection: X-Forwarded-For, X-Forwarded-Host, Forwarded, close",
		"nominated":                        "Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Forwarded-Port",
		"nominated, other case, two lines": "Connection: keep-alive\r\nconnection: x-FORWARDED-for,x-forwarded-proto",
	} {
		t.Run(name, func(t *testing.T) {
			head := p.ask(t, s, fields)
			wants(t, head, "X-Forwarded-For", "127.0.0.1")
			wants(t, head, "X-Forwarded-Proto", "http")
			wants(t, head, "X-Forwarded-Host", "a.test")
			wants(t, head, "X-Forwarded-Port", port)
			wants(t, head, "Connection", "")
			for _, name := range claimed {
				wants(t, head, name, "")
			}
		})
	}
}

func TestTrustedOriginIsContinued(t *testing.T) {
	s := newServer(t, greet)
	p := start(t, site{server: s, entry: "forwarded_headers: {trusted_ips: [127.0.0.0/8]}"})
	head := p.ask(t, s, claims)
	wants(t, head, "X-Forwarded-For", "1.2.3.4 | 5.6.7.8, 127.0.0.1")
	wants(t, head, "X-Forwarded-Proto", "https")
	wants(t, head, "X-Forwarded-Host", "admin.test")
	wants(t, head, "X-Forwarded-Port", "443")
	wants(t, head, "X-Forwarded-Prefix", "/admin")
	wants(t, head, "X-Real-IP", "1.2.3.4")
	wants(t, head, "Forwarded", `for=1.2.3.4;host=admin.test, for=127.0.0.1;host="a.test";proto=http`)

	head = p.ask(t, s, "A: b")
	wants(t, head, "X-Forwarded-For", "127.0.0.1")
	wants(t, head, "X-Forwarded-Host", "a.test")
}

// RFC 9110 section 7.6.1, and its abuse.
func TestNominatedFields(t *testing.T) {
	s := newServer(t, greet)
	p := start(t, site{server: s})
	head := p.ask(t, s, "Connection: X-Mine, close, keep-alive\r\nX-Mine: 1\r\nX-Yours: 2\r\nKeep-Alive: timeout=5\r\n"+
		"TE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nProxy-Connection: keep-alive\r\n"+
		"Proxy-Authorization: Basic eDp5")
	wants(t, head, "X-Yours", "2")
	for _, name := range []string{"Connection", "X-Mine", "Keep-Alive", "TE", "Upgrade", "HTTP2-Settings", "Proxy-Connection",
		"Proxy-Authorization"} {
		wants(t, head, name, "")
	}
	t.Run("what servers decide by stays", func(t *testing.T) {
		head := p.ask(t, s, "Connection: Authorization, Cookie, Host, X-Request-Id, Cache-Control\r\n"+
			"Authorization: Basic eDp5\r\nCookie: a=b\r\nX-Request-Id: 7\r\nCache-Control: no-store")
		wants(t, head, "Authorization", "Basic eDp5")
		wants(t, head, "Cookie", "a=b")
		wants(t, head, "Host", "a.test")
		wants(t, head, "X-Request-Id", "7")
		wants(t, head, "Cache-Control", "no-store")
	})
}

// RFC 3875 section 4.1.18: servers that make variables of field names see "_" where "-" was.
func TestAliases(t *testing.T) {
	aliases := []string{"X_Forwarded_For", "X.Forwarded.For", "x_forwarded-FOR", "X-Forwarded_Proto", "X.Forwarded-Host",
		"X_Real_IP", "X-Real.IP", "X_Request_Id", "X_Forwarded_Prefix", "X.Forwarded.Tls.Client.Cert", "Content_Length",
		"Transfer.Encoding", "Content_Type", "Proxy_Authorization"}
	s := newServer(t, greet)
	p := start(t, site{server: s})
	for _, name := range aliases {
		t.Run("drop "+name, func(t *testing.T) {
			wants(t, p.ask(t, s, name+": 1"), name, "")
		})
	}
	for _, name := range []string{"X_Mine", "x.mine", "X_Forwarded", "User_Agent"} {
		t.Run("no alias "+name, func(t *testing.T) {
			wants(t, p.ask(t, s, name+": 1"), name, "1")
		})
	}
	strict := start(t, site{server: s, bystander: newServer(t, greet), http: "alias_headers: reject"})
	for _, name := range aliases {
		t.Run("reject "+name, func(t *testing.T) {
			strict.suffer(t, s, attack{sent: field(name + ": 1"), status: 400, outcome: keeps})
		})
	}
	lenient := start(t, site{server: s, http: "alias_headers: keep"})
	t.Run("keep", func(t *testing.T) {
		wants(t, lenient.ask(t, s, "X_Forwarded_For: 1"), "X_Forwarded_For", "1")
	})
}

// A CGI program takes the field Proxy for the variable HTTP_PROXY.
func TestProxyFieldIsDropped(t *testing.T) {
	s := newServer(t, greet)
	p := start(t, site{server: s})
	for _, line := range []string{"Proxy: http://evil.test", "pROXY: http://evil.test", "Proxy: a\r\nProxy: b"} {
		wants(t, p.ask(t, s, line), "Proxy", "")
	}
}

func TestRequestID(t *testing.T) {
	s := newServer(t, greet)
	p := start(t, site{server: s})
	for name, id := range map[string]string{
		"space": "a b", "long": strings.Repeat("a", 129), "beyond ASCII": "\u00e4", "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			got := values(p.ask(t, s, "X-Request-Id: "+id), "X-Request-Id")
			if got == id || len(got) != 32 {
				t.Errorf("X-Request-Id %q", got)
			}
		})
	}
	wants(t, p.ask(t, s, "X-Request-Id: abc-1"), "X-Request-Id", "abc-1")
}
