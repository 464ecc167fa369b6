package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
)

// Through a tunnel the client sends smallContent bytes and the server as many. Then the server ends its direction, and
// the client sends the same once more.

// serveTunnel is a server's side, which fails half way through what it sends, or does not.
func (x *cell) serveTunnel(c *serverConn, n int, fails bool) {
	x.mu.Lock()
	attempt := x.attempts
	x.mu.Unlock()
	_, err := fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nX-Tag: %s\r\nX-Attempt: %d\r\nConnection: Upgrade\r\n"+
		"Upgrade: websocket\r\n\r\n", x.tag(n), attempt)
	if err != nil || !x.read(c.r, n, 0, smallContent) {
		return
	}
	content := contentOf("from "+x.tag(n), smallContent)
	if fails && x.act != halfFinish {
		_, _ = io.WriteString(c, content[:firstPart])
		if x.act == reset {
			x.awaitClient()
		}
		x.fail(c, "")
		return
	}
	_, _ = io.WriteString(c, content)
	_ = c.Conn.(*net.TCPConn).CloseWrite()
	if x.read(c.r, n, smallContent, 2*smallContent) {
		close(x.through)
	}
}

// useTunnel is the client's side, from the 101 response on.
func (c *caller) useTunnel(n int, r *http.Response) (ending, error) {
	if c.kind != tunnelled || n != c.kind.served() || r.Header.Get("X-Tag") != c.tag(n) {
		return none, fmt.Errorf("%s got a 101 response with X-Tag %q", c.tag(n), r.Header.Get("X-Tag"))
	}
	sent, want := contentOf("to "+c.tag(n), 2*smallContent), contentOf("from "+c.tag(n), smallContent)
	c.say(sent[:smallContent])
	first := make([]byte, firstPart)
	got, err := io.ReadFull(c.r, first)
	close(c.heard)
	text := string(first[:got])
	if err == nil {
		var rest []byte
		rest, err = io.ReadAll(c.r)
		text += string(rest)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return none, fmt.Errorf("after %d bytes of a tunnel: %w", len(text), err)
	case !strings.HasPrefix(want, text):
		return none, fmt.Errorf("through the tunnel of %s came %q", c.tag(n), text)
	case text != want:
		return cutShort, nil
	}
	c.say(sent[smallContent:])
	if err := c.await(c.through); err != nil {
		return none, err
	}
	if r.Header.Get("X-Attempt") != "1" {
		return elsewhere, nil
	}
	return whole, nil
}
