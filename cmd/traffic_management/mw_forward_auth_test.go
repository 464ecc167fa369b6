package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// answers is the script of a server that gives each request what answer says, and says no more when that is empty.
func answers(answer func(r *http.Request) string) func(c *serverConn) {
	return func(c *serverConn) {
		for {
			r, err := http.ReadRequest(c.r)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			text := answer(r)
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
			if text == "" {
				_, _ = c.r.ReadByte() // until the proxy leaves
				return
			}
		}
	}
}

// decide is an answer to a question about a request, by its path.
func decide(r *http.Request) string {
	switch path := r.Header.Get("X-Forwarded-Uri"); path {
	case "/allowed":
		return "HTTP/1.1 200 OK\r\nX-User: ann\r\nContent-Length: 2\r\n\r\nok"
	case "/unknown":
		return "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 4\r\n\r\nwho?"
	case "/login":
		return "HTTP/1.1 302 Found\r\nLocation: https://login.test/?to=" + path + "\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n" +
			"Content-Length: 0\r\n\r\n"
	case "/large":
		return "HTTP/1.1 403 Forbidden\r\nContent-Length: 3000000\r\n\r\n" + strings.Repeat("x", 3000000)
	case "/garbage":
		return "garbage\r\n\r\n" + strings.Repeat("x", 100000)
	case "/endless":
		return "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100000)
	}
	return ""
}

// TestForwardAuthConforms has a server decide by the path of a request.
func TestForwardAuthConforms(t *testing.T) {
	s, auth := newServer(t, greet), newServer(t, answers(decide))
	login := "login: {forward_auth: {address: 'http://" + auth.address + "/check?a=b', response_headers: [X-User], timeout_ms: 100}}"
	conform(t, site{server: s}, login, "login", func(t *testing.T, w *way) {
		s.forget()
		auth.forget()
		r := request{method: "POST", target: "/allowed", content: "content", fields: []string{"Authorization: Basic YQ==",
			"X-User: root", "x_user: root", "X-Other: 1", "X-Forwarded-Uri: /elsewhere", "X-Forwarded-Method: GET"}}
		if a := w.ask(t, r); a.StatusCode != 200 || a.body != "hello\n" {
			t.Fatalf("%d %q", a.StatusCode, a.body)
		}
		head, body, _ := strings.Cut(s.settled(t), "\r\n\r\n")
		lines := strings.Split(head, "\r\n")
		if values(lines, "X-User") != "ann" || values(lines, "x_user") != "" || values(lines, "X-Other") != "1" || body != "content" {
			t.Errorf("the server received %q and %q", head, body)
		}
		lines = headOf(t, auth.settled(t))
		if lines[0] != "GET /check?a=b HTTP/1.1" || values(lines, "Host") != auth.address || values(lines, "X-Other") != "" ||
			values(lines, "Authorization") != "Basic YQ==" || values(lines, "X-Forwarded-Method") != "POST" ||
			values(lines, "X-Forwarded-Host") != "a.test" || values(lines, "X-Forwarded-Proto") != "https" ||
			values(lines, "X-Forwarded-For") != "127.0.0.1" {
			t.Errorf("the server that decides received %q", lines)
		}
		s.forget()
		for _, c := range []struct {
			target string
			status int
			body   string
			fields map[string]string
		}{
			{"/unknown", 401, "who?", map[string]string{"Www-Authenticate": "Basic realm=x"}},
			{"/login", 302, "", map[string]string{"Location": "https://login.test/?to=/login", "Set-Cookie": "a=1 | b=2"}},
			{"/large", 403, strings.Repeat("x", 3000000), nil},
			{"/garbage", 503, "gave no answer", nil},
			{"/endless", 503, "gave no answer", nil},
			{"/hangs", 503, "gave no answer", nil},
			{"/hangs/./../login", 302, "", nil}, // the path is the one that is forwarded
			{"/allowed/..%2f..", 503, "gave no answer", nil},
		} {
			a := w.ask(t, request{target: c.target})
			if a.StatusCode != c.status || c.status != 503 && a.body != c.body || !strings.Contains(a.body, c.body) {
				t.Errorf("%s: %d and %d bytes, %.80q", c.target, a.StatusCode, len(a.body), a.body)
			}
			for name, want := range c.fields {
				if got := strings.Join(a.Header.Values(name), " | "); got != want {
					t.Errorf("%s: %s: %s", c.target, name, got)
				}
			}
		}
		if got := s.received(); got != "" {
			t.Errorf("the server received %q", got)
		}
		if a := w.ask(t, request{method: "HEAD", target: "/unknown"}); a.StatusCode != 401 || a.body != "" {
			t.Errorf("HEAD: %d %q", a.StatusCode, a.body)
		}
	})
}

// TestForwardAuthOfClientsThatLeave has the server that decides say nothing while clients come and go: each takes its
// question with it, and others are served.
func TestForwardAuthOfClientsThatLeave(t *testing.T) {
	s, auth := newServer(t, greet), newServer(t, answers(decide))
	here := site{server: s, bystander: newServer(t, greet), router: "middlewares: [login]", sections: "middlewares: {login: " +
		"{forward_auth: {address: 'http://" + auth.address + "/', timeout_ms: 60000}}}\n"}
	p := start(t, here, "--loops", "1")
	b := p.bystand()
	for range 20 {
		c := p.connect(t)
		c.send("GET /hangs HTTP/1.1\r\nHost: a.test\r\n\r\n")
		eventually(t, "the server is asked", func() bool { return strings.Contains(auth.received(), "/hangs") })
		c.Close()
		auth.wasLeft(t)
		auth.forget()
	}
	b.unharmed(t)
	c := p.connect(t)
	c.send("GET /unknown HTTP/1.1\r\nHost: a.test\r\n\r\n")
	if a := c.receive("GET"); a.StatusCode != 401 {
		t.Errorf("then: %d", a.StatusCode)
	}
	if got := s.received(); got != "" {
		t.Errorf("the server received %q", got)
	}
}
