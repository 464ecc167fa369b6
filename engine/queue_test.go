package engine_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestQueueInOrder lets many requests wait for the only connection of a server: they come one at a time, in the order
// in which they were sent, and over that connection.
func TestQueueInOrder(t *testing.T) {
	const waiting = 20
	b := listen(t)
	p := site{servers: []string{b.address},
		service: "pool: {max_connections_per_server: 1}, timeouts: {queue_ms: 60000}"}.start(t)
	var clients []*peer
	var server *peer
	for i := range waiting {
		c := p.dial(t)
		c.say(fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i))
		clients = append(clients, c)
		if i == 0 {
			server = b.accept(t)
		}
		p.settled(t)
	}
	for i, c := range clients {
		if path := pathOf(server.answer()); path != fmt.Sprintf("/%d", i) {
			t.Fatalf("request %d was %s", i, path)
		}
		c.hear(response(fmt.Sprintf("/%d ", i)))
	}
	b.expectNoMore(t)
}

// settled returns when a proxy of one loop has read what was sent before: it has answered something sent later.
func (p *proxy) settled(t testing.TB) {
	t.Helper()
	c := p.dial(t)
	defer c.close()
	c.say("bad\r\n\r\n")
	if head := c.head(); head[:len("HTTP/1.1 400")] != "HTTP/1.1 400" {
		t.Fatalf("got %q for what is no request", head)
	}
}

// TestQueueAcrossLoops has clients on two loops share the only connection that a server takes. All are served, at
// about the same pace, and the server never has two connections.
func TestQueueAcrossLoops(t *testing.T) {
	for _, closes := range []bool{false, true} {
		t.Run(fmt.Sprintf("server closes %t", closes), func(t *testing.T) {
			const clients, requests = 32, 100
			b := listen(t)
			b.serveOneConnection(t, closes)
			p := site{servers: []string{b.address}, loops: 2,
				service: "pool: {max_connections_per_server: 1}, timeouts: {queue_ms: 60000}"}.start(t)
			var running sync.WaitGroup
			var done [clients]atomic.Int64
			var slowest atomic.Int64 // what the slowest client had done when the first was through
			slowest.Store(-1)
			for i := range clients {
				c := p.dial(t)
				running.Go(func() {
					for j := range requests {
						path := fmt.Sprintf("/%d/%d", i, j)
						c.say("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
						if head, content := c.response(); content != path+" " {
							t.Errorf("client %d, request %d: got %q with %q", i, j, head, content)
							return
						}
						done[i].Add(1)
					}
					least := int64(requests)
					for k := range done {
						least = min(least, done[k].Load())
					}
					slowest.CompareAndSwap(-1, least)
				})
			}
			running.Wait()
			if n := slowest.Load(); n < requests/20 {
				t.Errorf("a client had %d of its %d requests answered when another had all", n, requests)
			}
		})
	}
}

// serveOneConnection answers requests with their path, on one connection at a time: one that is opened beside another is
// not answered, so that who uses it is heard to wait in vain.
func (b *backend) serveOneConnection(t *testing.T, closes bool) {
	ended := make(chan struct{})
	t.Cleanup(func() { <-ended })
	t.Cleanup(func() { b.listener.Close() })
	go func() {
		defer close(ended)
		for c := range b.accepted {
			serveConnection(c, closes)
		}
	}()
}

// serveConnection answers requests until the connection ends, or with closes after the first.
func serveConnection(c net.Conn, closes bool) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		out := response(r.URL.Path + " ")
		if closes {
			out = strings.Replace(out, "\r\n", "\r\nConnection: close\r\n", 1)
		}
		if _, err := c.Write([]byte(out)); err != nil || closes {
			return
		}
	}
}
