package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// flood is the script of a server that answers without end.
func flood(c *serverConn) {
	if _, err := readHead(c); err != nil {
		return
	}
	if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	for block := strings.Repeat("x", 64<<10); ; {
		if _, err := io.WriteString(c, block); err != nil {
			return
		}
	}
}

// A client that does not read what it asked for holds little memory, and not for long.
func TestSlowReaders(t *testing.T) {
	n := crowd(200)
	s, bystanders := newServer(t, flood), newServer(t, greet)
	p := start(t, site{server: s, bystander: bystanders, http: impatient})
	b := p.bystand()
	stop := make(chan struct{})
	var reading sync.WaitGroup
	for i := range n {
		c := p.connect(t)
		if err := c.Conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		c.send(field("A: b"))
		if i%2 == 0 {
			reading.Go(func() { sip(c, stop) })
		}
	}
	eventually(t, "the server answers all", func() bool { return len(s.connections()) == n })
	eventually(t, "all are cut off", func() bool {
		return p.metric("traffic_entrypoint_open_connections") <= 1 // the bystander's
	})
	close(stop)
	reading.Wait()
	b.unharmed(t)
	s.wasLeft(t)
	p.heldAtMost(64<<20 + n*(192<<10))
	if got := p.metric("traffic_client_errors_total", `kind="timeout"`); got != float64(n) {
		t.Errorf("%v clients were counted, want %d", got, n)
	}
}

// sip reads a byte now and then, so little that the kernel never opens its window.
func sip(c *client, stop <-chan struct{}) {
	tick := time.NewTicker(trickleEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			return
		}
	}
}

// A client that reads slowly, but does, gets everything.
func TestSlowButSteadyReaderIsServed(t *testing.T) {
	const size = 24 << 20
	s := newServer(t, func(c *serverConn) {
		if _, err := readHead(c); err == nil {
			_, _ = io.WriteString(c, content(size))
		}
	})
	p := start(t, site{server: s, http: "write_timeout_ms: 600"})
	c := p.connect(t)
	c.send(field("A: b"))
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	began, got := time.Now(), int64(0)
	for got < size {
		<-tick.C
		n, err := io.CopyN(io.Discard, response.Body, 256<<10)
		got += n
		if err != nil && err != io.EOF {
			t.Fatalf("after %v: %d bytes: %v", time.Since(began), got, err)
		}
	}
	p.heldAtMost(48 << 20)
}

// Requests without end, of which no answer is read: reading stops, and then the connection.
func TestPipelineThatIsNotReadIsCutOff(t *testing.T) {
	s := newServer(t, func(c *serverConn) {
		for {
			if _, err := readHead(c); err != nil {
				return
			}
			if _, err := io.WriteString(c, content(16<<10)); err != nil {
				return
			}
		}
	})
	bystanders := newServer(t, greet)
	p := start(t, site{server: s, bystander: bystanders, http: impatient})
	b := p.bystand()
	c := p.connect(t)
	sent, err := 0, error(nil)
	for err == nil {
		var n int
		n, err = io.WriteString(c, strings.Repeat(field("A: b"), 100))
		sent += n
	}
	if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Errorf("the connection stays open after %d bytes", sent)
	}
	b.unharmed(t)
	p.heldAtMost(memoryBound)
}

// Pipelined requests are answered in order and never mixed up with what is refused.
func TestPipelinedAttack(t *testing.T) {
	s := newServer(t, greet)
	p := start(t, site{server: s})
	c := p.connect(t)
	c.send(field("A: 1") + field("A: 2") + post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n") + smuggled)
	for i, want := range []int{200, 200, 400} {
		if a := c.receive("GET"); a.StatusCode != want {
			t.Errorf("answer %d: status %d, want %d", i, a.StatusCode, want)
		}
	}
	if !c.isClosed() {
		t.Error("the connection stays open")
	}
	if got := s.settled(t); strings.Count(got, "HTTP/1.1") != 2 || strings.Contains(got, "smuggled") {
		t.Errorf("the server received %q", got)
	}
}

// A client that goes on sending after its connection was given up is listened to for a moment only.
func TestRefusedClientGoesOnSending(t *testing.T) {
	s, bystanders := newServer(t, greet), newServer(t, greet)
	p := start(t, site{server: s, bystander: bystanders})
	b := p.bystand()
	for name, sent := range map[string]string{
		"a byte at a time":  "a",
		"as fast as it can": strings.Repeat("a", 64<<10),
	} {
		t.Run(name, func(t *testing.T) {
			c := p.connect(t)
			c.send(field("X : a"))
			tick := time.NewTicker(trickleEvery)
			defer tick.Stop()
			var err error
			for err == nil {
				if len(sent) == 1 {
					<-tick.C
				}
				_, err = io.WriteString(c, sent)
			}
			if e, ok := err.(net.Error); ok && e.Timeout() {
				t.Error("the connection stays open")
			}
		})
	}
	b.unharmed(t)
	p.heldAtMost(memoryBound)
}

// Whatever a connection is at, it has a deadline.
func TestDeadlinesOfSpecialPaths(t *testing.T) {
	never := func(c *serverConn) { _, _ = io.Copy(io.Discard, c) }
	says := func(text string) func(c *serverConn) {
		return func(c *serverConn) {
			_, _ = readHead(c)
			_, _ = io.WriteString(c, text)
			_, _ = io.Copy(io.Discard, c)
		}
	}
	for _, v := range []struct {
		name   string
		server func(c *serverConn)
		way    slow
	}{
		{"early answer, content does not follow", refuseEarly,
			slow{sent: post("Content-Length: 100", "a"), answers: []int{403}, after: bodyTime}},
		{"early answer, content is trickled", refuseEarly,
			slow{sent: post("Content-Length: 1000", "a"), trickle: "a", answers: []int{403}, after: bodyTime}},
		{"expectation refused, content does not follow", greet,
			slow{sent: post("Expect: x\r\nContent-Length: 100", ""), answers: []int{417}}},
		{"server never answers", never, slow{sent: field("A: b"), answers: []int{504}, after: idleTime}},
		{"server never answers content", never,
			slow{sent: post("Content-Length: 1", "a"), answers: []int{504}, after: idleTime}},
		{"server never ends its head", says("HTTP/1.1 200 OK\r\nX: "), slow{sent: field("A: b"), answers: []int{504}}},
		{"server stops in its content", says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
			slow{sent: field("A: b"), answers: []int{200}}},
		{"server sends interim responses only", says(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 65)),
			slow{sent: "GET / HTTP/1.0\r\n\r\n", answers: []int{502}}},
		{"server switches protocols", says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
			slow{sent: "GET / HTTP/1.0\r\n\r\n", answers: []int{502}}},
	} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, site{server: newServer(t, v.server), http: impatient,
				main: "timeouts: {request_ms: 500, response_idle_ms: 500}"})
			if err := v.way.hold(p.web); err != nil {
				t.Error(err)
			}
			eventually(t, "no connection is left", func() bool {
				return p.metric("traffic_entrypoint_open_connections") == 0
			})
		})
	}
}
