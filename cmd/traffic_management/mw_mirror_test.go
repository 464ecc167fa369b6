package main

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// TestMirrorConforms has every request copied to a service that answers nonsense, and one that never answers.
func TestMirrorConforms(t *testing.T) {
	for name, script := range map[string]func(c *serverConn){
		"answers": answers(func(*http.Request) string { return "HTTP/1.1 500 No\r\nSet-Cookie: x\r\nContent-Length: 2\r\n\r\nno" }),
		"garbage": answers(func(*http.Request) string { return "garbage\r\n\r\n" }),
		"silence": func(c *serverConn) { _, _ = io.Copy(io.Discard, c.r) },
	} {
		t.Run(name, func(t *testing.T) {
			s, shadow := newServer(t, greet), newServer(t, script)
			conform(t, site{server: s, bystander: shadow}, "copy: {mirror: {service: bystander}}", "copy", func(t *testing.T, w *way) {
				for i, content := range []string{"", strings.Repeat("content ", 1000)} {
					s.forget()
					shadow.forget()
					a := w.ask(t, request{method: "PUT", target: "/a?b=c", content: content, fields: []string{"X-Test: 1"}})
					if a.StatusCode != 200 || a.body != "hello\n" || a.Header.Get("Set-Cookie") != "" {
						t.Fatalf("%d %v %q", a.StatusCode, a.Header, a.body)
					}
					want := s.settled(t)
					eventually(t, "the copy arrives", func() bool { return shadow.received() == want })
					eventually(t, "it is counted", func() bool {
						return w.proxy.metric("traffic_mirror_requests_total", `middleware="copy"`) == float64(i+1)
					})
				}
				if n := w.proxy.metric("traffic_mirror_shed_total", `middleware="copy"`); n != 0 {
					t.Errorf("%v copies were shed", n)
				}
			})
		})
	}
}

// TestMirrorDoesNotHoldUpTheEnd ends the proxy while a copy waits for its response.
func TestMirrorDoesNotHoldUpTheEnd(t *testing.T) {
	shadow := newServer(t, func(c *serverConn) { _, _ = io.Copy(io.Discard, c.r) })
	p := start(t, site{server: newServer(t, greet), bystander: shadow, router: "middlewares: [copy]",
		sections: "middlewares: {copy: {mirror: {service: bystander}}}\nshutdown: {drain_timeout_seconds: 3600}\n"})
	c := p.connect(t)
	c.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
	if a := c.receive("GET"); a.StatusCode != 200 {
		t.Fatalf("status %d", a.StatusCode)
	}
	eventually(t, "the copy arrives", func() bool { return strings.HasPrefix(shadow.received(), "GET / ") })
	p.signal(syscall.SIGTERM)
	if code := p.exitCode(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}
