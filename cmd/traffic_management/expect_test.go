package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// refuseEarly is the script of a server that answers before it reads any content, and would take what follows for the
// next request.
func refuseEarly(c *serverConn) {
	for {
		if _, err := readHead(c); err != nil {
			return
		}
		if _, err := io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"); err != nil {
			return
		}
	}
}

// askContinue is the script of a server that asks for the content of a request that expects to be asked.
func askContinue(c *serverConn) {
	for {
		request, err := readHead(c)
		if err != nil {
			return
		}
		if request.Header.Get("Expect") != "" {
			if _, err := io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
				return
			}
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return
		}
		if _, err := io.WriteString(c, greeting); err != nil {
			return
		}
	}
}

// A server that answered before it got all of the content may see the rest as a request: its connection is not used
// again, whatever is in the rest.
func TestEarlyAnswerEndsTheServersConnection(t *testing.T) {
	for name, sent := range map[string]string{
		"content of POST":        post("Content-Length: 80", ""),
		"content of GET":         "GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 80\r\n\r\n",
		"chunks":                 post("Transfer-Encoding: chunked", "28\r\n"),
		"expectation":            post("Expect: 100-continue\r\nContent-Length: 80", ""),
		"expectation of GET":     "GET / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 80\r\n\r\n",
		"expectation and chunks": post("Expect: 100-Continue\r\nTransfer-Encoding: chunked", ""),
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, refuseEarly)
			p := start(t, site{server: s}, "--loops", "1")
			c := p.connect(t)
			c.send(sent)
			if a := c.receive("POST"); a.StatusCode != 403 {
				t.Fatalf("status %d", a.StatusCode)
			}
			c.send(smuggled + smuggled)
			other := p.connect(t)
			other.send("GET /mine HTTP/1.1\r\nHost: a.test\r\n\r\n")
			if a := other.receive("GET"); a.StatusCode != 403 {
				t.Errorf("status %d to the next client", a.StatusCode)
			}
			conns := s.connections()
			if len(conns) != 2 {
				t.Fatalf("%d connections to the server, want one for each request", len(conns))
			}
			eventually(t, "the first connection to the server ends", func() bool {
				_, ended := conns[0].received()
				return ended
			})
			if got := s.received(); strings.Contains(got, "smuggled") {
				t.Errorf("the server received %q", got)
			}
		})
	}
}

// RFC 9110 section 10.1.1.
func TestExpectations(t *testing.T) {
	s, bystanders := newServer(t, askContinue), newServer(t, greet)
	p := start(t, site{server: s, bystander: bystanders})
	const head = "POST /attack HTTP/1.1\r\nHost: a.test\r\n"
	for _, a := range []attack{
		{"another one", post("Expect: 200-ok\r\nContent-Length: 5", "hello"), 417, closes, ""},
		{"two in a list", post("Expect: 100-continue, x\r\nContent-Length: 5", "hello"), 417, closes, ""},
		{"obfuscated", post("Expect: y 100-continue\r\nContent-Length: 5", "hello"), 417, closes, ""},
		{"empty", post("Expect:\r\nContent-Length: 5", "hello"), 417, closes, ""},
		{"second line", post("Expect: 100-continue\r\nExpect: x\r\nContent-Length: 5", "hello"), 417, closes, ""},
		{"content that is a request", post("Expect: x\r\nContent-Length: 40", smuggled), 417, closes, ""},
		{"content of unknown size", post("Expect: x\r\nTransfer-Encoding: chunked", "28\r\n"+smuggled), 417, closes, ""},
		{"nothing to wait for", post("Expect: 100-continue", ""), 200, keeps, head + "\r\n"},
		{"HTTP/1.0", "POST /attack HTTP/1.0\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", 200, closes,
			head + "Content-Length: 5\r\n\r\nhello"},
		{"HTTP/1.0, another one", "POST /attack HTTP/1.0\r\nHost: a.test\r\nExpect: x\r\nContent-Length: 5\r\n\r\nhello", 417, closes, ""},
	} {
		t.Run(a.name, func(t *testing.T) { p.suffer(t, s, a) })
	}
	t.Run("met", func(t *testing.T) {
		s.forget()
		c := p.connect(t)
		c.send(post("Expect: 100-continue\r\nContent-Length: 5", ""))
		if a := c.receive("POST"); a.StatusCode != http.StatusContinue {
			t.Fatalf("status %d", a.StatusCode)
		}
		c.send("hello")
		if a := c.receive("POST"); a.StatusCode != 200 || a.body != "hello\n" {
			t.Errorf("status %d %q", a.StatusCode, a.body)
		}
		if !c.isOpen() {
			t.Error("the connection was closed")
		}
		if got, want := forwarded(t, s.settled(t)), head+"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"; got != want {
			t.Errorf("the server received\n%q, want\n%q", got, want)
		}
	})
}
