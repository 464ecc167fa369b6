package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// gated is a server whose answers to /slow wait until the gate is opened.
func gated(t *testing.T) (s *server, open func()) {
	t.Helper()
	gate := make(chan struct{})
	s = newServer(t, func(c *serverConn) {
		for {
			request, err := readHead(c)
			if err != nil {
				return
			}
			if request.URL.Path == "/slow" {
				<-gate
			}
			if _, err := io.WriteString(c, greeting); err != nil {
				return
			}
		}
	})
	opened := false
	open = func() {
		if !opened {
			opened = true
			close(gate)
		}
	}
	t.Cleanup(open) // runs before the server waits for its scripts
	return s, open
}

// busy is a client whose request is at the server.
func (p *proxy) busy(t *testing.T, s *server) *client {
	t.Helper()
	c := p.connect(t)
	c.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n")
	eventually(t, "the server has the request", func() bool { return strings.Contains(s.received(), "/slow") })
	return c
}

// refusesClients reports whether nobody listens any more.
func (p *proxy) refusesClients() bool {
	conn, err := net.DialTimeout("tcp", p.web, patience)
	if err == nil {
		conn.Close()
	}
	return err != nil
}

func TestDrain(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			server, open := gated(t)
			// With one loop, an idle connection that was closed tells that the others drain too.
			p := start(t, site{server: server, sections: "shutdown: {drain_timeout_seconds: 60, idle_close_seconds: 0}\n"}, "--loops", "1")
			idle := p.connect(t)
			if !idle.isServed() {
				t.Fatal("a client was not served")
			}
			busy := p.busy(t, server)
			p.signal(s)
			if !idle.isClosed() {
				t.Error("the idle connection stays open")
			}
			eventually(t, "nothing listens", p.refusesClients)
			if p.hasEnded() {
				t.Error("the process did not wait for the request")
			}
			open()
			a := busy.receive("GET")
			if a.StatusCode != 200 || a.body != "hello\n" || !a.Close {
				t.Errorf("status %d %q, Connection: close %v", a.StatusCode, a.body, a.Close)
			}
			if !busy.isClosed() {
				t.Error("the connection stays open")
			}
			if code := p.exitCode(); code != exitOK {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// A request that comes over an idle connection while others are being closed is answered, whatever its method.
func TestDrainAnswersIdleConnections(t *testing.T) {
	s := newServer(t, greet)
	p := start(t, site{server: s, sections: "shutdown: {drain_timeout_seconds: 60, idle_close_seconds: 60}\n"})
	clients := []*client{p.connect(t), p.connect(t), p.connect(t)}
	for _, c := range clients {
		if !c.isServed() {
			t.Fatal("a client was not served")
		}
	}
	p.signal(syscall.SIGTERM)
	eventually(t, "draining", func() bool { return p.logged("draining") })
	for _, c := range clients {
		c.send(post("Content-Length: 5", "hello"))
		if a := c.receive("POST"); a.StatusCode != 200 || !a.Close {
			t.Errorf("status %d, Connection: close %v", a.StatusCode, a.Close)
		}
		if !c.isClosed() {
			t.Error("the connection stays open")
		}
	}
	if code := p.exitCode(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// Content that is under way when draining begins arrives whole.
func TestDrainLetsContentEnd(t *testing.T) {
	s := newServer(t, greet)
	p := start(t, site{server: s, sections: "shutdown: {drain_timeout_seconds: 60, idle_close_seconds: 0}\n"})
	c := p.connect(t)
	c.send(post("Content-Length: 10", "hello"))
	eventually(t, "the server has a part", func() bool { return strings.HasSuffix(s.received(), "hello") })
	p.signal(syscall.SIGTERM)
	eventually(t, "draining", func() bool { return p.logged("draining") })
	c.send("world")
	if a := c.receive("POST"); a.StatusCode != 200 {
		t.Errorf("status %d", a.StatusCode)
	}
	if code := p.exitCode(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if got := s.received(); !strings.HasSuffix(got, "\r\n\r\nhelloworld") {
		t.Errorf("the server received %q", got)
	}
}

// cutOff checks that a request that ran was cut off and the process ended in good order.
func (p *proxy) cutOff(t *testing.T, busy *client) {
	t.Helper()
	if code := p.exitCode(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if a, err := busy.tryReceive("GET"); err == nil {
		t.Errorf("status %d to a request that was cut off", a.StatusCode)
	}
}

func TestSecondSignalEndsTheDrain(t *testing.T) {
	s, _ := gated(t)
	p := start(t, site{server: s, sections: "shutdown: {drain_timeout_seconds: 60, idle_close_seconds: 0}\n"})
	busy := p.busy(t, s)
	p.signal(syscall.SIGTERM)
	eventually(t, "draining", func() bool { return p.logged("draining") })
	if p.hasEnded() {
		t.Error("the process did not wait for the request")
	}
	p.signal(syscall.SIGTERM)
	p.cutOff(t, busy)
}

func TestDrainTimeout(t *testing.T) {
	s, _ := gated(t)
	p := start(t, site{server: s, sections: "shutdown: {drain_timeout_seconds: 1, idle_close_seconds: 0}\n"})
	busy := p.busy(t, s)
	began := time.Now()
	p.signal(syscall.SIGTERM)
	p.cutOff(t, busy)
	if took := time.Since(began); took < time.Second {
		t.Errorf("the process waited for %v only", took)
	}
}

func TestQuitStopsNow(t *testing.T) {
	s, _ := gated(t)
	p := start(t, site{server: s, sections: "shutdown: {drain_timeout_seconds: 60, idle_close_seconds: 0}\n"})
	busy := p.busy(t, s)
	p.signal(syscall.SIGQUIT)
	p.cutOff(t, busy)
	if strings.Contains(p.log.String(), "goroutine ") {
		t.Error("the process wrote its stacks")
	}
}

// SIGUSR1: lines written after it are in a new file of the same name.
func TestReopenOfTheAccessLog(t *testing.T) {
	dir := t.TempDir()
	file := dir + "/access.log"
	s := newServer(t, greet)
	p := start(t, site{server: s, sections: "access_log: {file: " + file + "}\n"})
	ask := func(path string) {
		c := p.connect(t)
		c.send("GET " + path + " HTTP/1.1\r\nHost: a.test\r\n\r\n")
		if a := c.receive("GET"); a.StatusCode != 200 {
			t.Fatalf("status %d", a.StatusCode)
		}
	}
	has := func(file, path string) func() bool {
		return func() bool {
			content, err := os.ReadFile(file)
			return err == nil && strings.Contains(string(content), `"path":"`+path+`"`)
		}
	}
	ask("/before")
	eventually(t, "the first line is written", has(file, "/before"))
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGUSR1)
	eventually(t, "the file is there again", func() bool {
		_, err := os.Stat(file)
		return err == nil
	})
	ask("/after")
	eventually(t, "the second line is written", has(file, "/after"))
	if has(file, "/before")() || has(file+".1", "/after")() {
		t.Error("a line is in the wrong file")
	}
}

// SIGTTIN: the state is written beside the log, also of a proxy that drains, and changes nothing.
func TestDumpOfTheState(t *testing.T) {
	s, open := gated(t)
	p := start(t, site{server: s, sections: "shutdown: {drain_timeout_seconds: 60}\n"})
	p.signal(syscall.SIGTTIN)
	eventually(t, "the state is written", func() bool { return strings.Contains(p.log.String(), "goroutine profile: total") })
	if log := p.log.String(); !strings.Contains(log, "http://"+s.address) || !strings.Contains(log, "ready true") {
		t.Errorf("the state is %s", log)
	}
	c := p.busy(t, s)
	p.signal(syscall.SIGTERM)
	eventually(t, "the state is written while the proxy drains", func() bool {
		p.signal(syscall.SIGTTIN)
		return strings.Contains(p.log.String(), "ready false")
	})
	if strings.Contains(p.log.String(), "does not answer") {
		t.Errorf("a loop gave no answer: %s", p.log.String())
	}
	open()
	if a := c.receive("GET"); a.StatusCode != 200 {
		t.Errorf("status %d", a.StatusCode)
	}
}

// A signal that means nothing yet must not end a proxy that serves.
func TestProxyServesBesideItsSignals(t *testing.T) {
	s := newServer(t, greet)
	p := start(t, site{server: s})
	p.signal(syscall.SIGUSR1) // without an access log there is nothing to reopen
	p.signal(syscall.SIGPIPE)
	if c := p.connect(t); !c.isServed() {
		t.Error("a client was not served")
	}
	client := http.Client{Timeout: patience}
	response, err := client.Get("http://" + p.metrics + "/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 404 {
		t.Errorf("the metrics' listener serves %d at /", response.StatusCode)
	}
}
