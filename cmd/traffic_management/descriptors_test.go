package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// fewDescriptors is a limit that leaves room for some sixty connections.
const fewDescriptors = 128

// descriptors is how many the process has open.
func (p *proxy) descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// isServed sends a request over an open connection and reports whether it was answered as it should be.
func (c *client) isServed() bool {
	c.t.Helper()
	c.send(field("A: b"))
	a, err := c.tryReceive("GET")
	return err == nil && a.StatusCode == 200 && a.body == "hello\n"
}

// wasClosed reports whether the proxy has closed a connection from which nothing more is expected.
func (c *client) wasClosed() bool {
	c.t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		c.t.Fatal(err)
	}
	_, err := c.r.ReadByte()
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// More clients than the process may have connections: each is served, and room is made by closing those that have been
// idle for longest.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	s := newServer(t, greet)
	p := startWithin(t, fewDescriptors, site{server: s, main: "pool: {max_idle_per_server: 4}"}, "--loops", "1")
	active := p.connect(t)
	var idle []*client
	for i := range 200 {
		c := p.connect(t)
		if !c.isServed() {
			t.Fatalf("client %d was not served", i)
		}
		idle = append(idle, c)
		if !active.isServed() {
			t.Fatalf("with %d clients more the active one is not served", i)
		}
		if n := p.descriptors(t); n > fewDescriptors {
			t.Fatalf("%d descriptors", n)
		}
	}
	open := 0
	for i, c := range idle {
		switch {
		case c.wasClosed() && open > 0:
			t.Errorf("connection %d was closed before one that was idle for longer", i)
		case !c.wasClosed():
			open++
		}
	}
	if open < 40 {
		t.Errorf("%d connections were kept", open)
	}
	if got := p.metric("traffic_loop_shed_connections_total"); got < float64(200-open) {
		t.Errorf("%v closed connections were counted, want %d", got, 200-open)
	}
	for _, c := range idle {
		c.Close()
	}
	for range 40 { // as many as before are taken again, and nobody has to go
		if c := p.connect(t); !c.isServed() {
			t.Fatal("a client after them was not served")
		}
	}
	if !active.isServed() {
		t.Error("the active client was not served")
	}
}

// More clients in the middle of a request head than there may be connections: a request that runs is not given up for
// them, and the next client has its turn.
func TestUnfinishedHeadsDoNotLockOthersOut(t *testing.T) {
	released := make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	defer release() // a failure must not leave the server's script, and so the test, waiting
	s := newServer(t, func(c *serverConn) {
		for {
			request, err := readHead(c)
			if err != nil {
				return
			}
			if strings.HasPrefix(request.URL.Path, "/wait") {
				<-released
			}
			if _, err := io.WriteString(c, greeting); err != nil {
				return
			}
		}
	})
	p := startWithin(t, fewDescriptors, site{server: s, http: "header_timeout_ms: 500"}, "--loops", "1")
	running := p.connect(t)
	running.send("GET /wait HTTP/1.1\r\nHost: a.test\r\n\r\n")
	eventually(t, "the server has the request", func() bool { return strings.Contains(s.received(), "/wait") })
	for range 100 {
		p.connect(t).send("GET / HTTP/1.1\r\nHost: ")
	}
	eventually(t, "accepting pauses", func() bool { return p.metric("traffic_loop_accept_pauses_total") > 0 })
	if n := p.descriptors(t); n > fewDescriptors {
		t.Errorf("%d descriptors", n)
	}
	release()
	if a := running.receive("GET"); a.StatusCode != 200 {
		t.Errorf("status %d to the running request", a.StatusCode)
	}
	if late := p.connect(t); !late.isServed() {
		t.Error("the next client was not served")
	}
}

// max_connections of an entry point: the next client waits, and is served when there is room.
func TestConnectionsAboveTheLimitWait(t *testing.T) {
	s := newServer(t, greet)
	p := start(t, site{server: s, entry: "max_connections: 2"}, "--loops", "1")
	first, second := p.connect(t), p.connect(t)
	if !first.isServed() || !second.isServed() {
		t.Fatal("the first two clients were not served")
	}
	third := p.connect(t)
	third.send(field("A: third"))
	for range 10 {
		if !first.isServed() {
			t.Fatal("the first client is not served any more")
		}
	}
	if strings.Contains(s.received(), "third") {
		t.Error("the third client was served beside two others")
	}
	second.Close()
	if a := third.receive("GET"); a.StatusCode != 200 {
		t.Errorf("status %d", a.StatusCode)
	}
}

// Idle connections to servers make room for clients before anybody has to wait.
func TestIdleConnectionsToServersMakeRoom(t *testing.T) {
	const kept = 20
	var together sync.WaitGroup
	together.Add(kept)
	s := newServer(t, func(c *serverConn) {
		first := true
		for {
			if _, err := readHead(c); err != nil {
				return
			}
			if first {
				first = false
				together.Done()
				together.Wait() // so that each needs a connection of its own
			}
			if _, err := io.WriteString(c, greeting); err != nil {
				return
			}
		}
	})
	p := startWithin(t, fewDescriptors, site{server: s, http: "header_timeout_ms: 60000"}, "--loops", "1")
	clients := make([]*client, kept)
	for i := range clients {
		clients[i] = p.connect(t)
		clients[i].send(field("A: b"))
	}
	for _, c := range clients {
		if a := c.receive("GET"); a.StatusCode != 200 {
			t.Fatalf("status %d", a.StatusCode)
		}
		c.Close()
	}
	eventually(t, "they are gone", func() bool { return p.metric("traffic_entrypoint_open_connections") == 0 })
	for range 60 {
		p.connect(t).send("GET / HTTP/1.1\r\nHost: ")
	}
	eventually(t, "all clients are taken", func() bool {
		return p.metric("traffic_entrypoint_open_connections") == 60
	})
	if n := p.metric("traffic_loop_accept_pauses_total"); n > 0 {
		t.Errorf("accepting paused %v times", n)
	}
	if n := p.metric("traffic_loop_shed_upstream_connections_total"); n < 10 {
		t.Errorf("%v connections to servers were closed", n)
	}
	if n := p.metric("traffic_loop_shed_connections_total"); n > 0 {
		t.Errorf("%v clients were closed", n)
	}
}
