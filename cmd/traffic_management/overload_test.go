package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// A process that needs more memory than it may use refuses requests, says so, and serves again when it may use more.
func TestShortOfMemory(t *testing.T) {
	s := newServer(t, greet)
	configuration := site{server: s, sections: "limits: {memory_bytes: 1000000}\nreload: {watch: false}\n"}
	p := start(t, configuration)
	eventually(t, "requests are refused", func() bool { return strings.Contains(p.log.String(), `"level":"refuse"`) })
	s.forget()
	for _, request := range []string{field("A: refused"), post("Content-Length: 7", "refused")} {
		c := p.connect(t)
		c.send(request)
		a := c.receive("GET")
		if a.StatusCode != 503 || a.Header.Get("Retry-After") == "" || !a.Close {
			t.Errorf("status %d, %v, Connection: close %v", a.StatusCode, a.Header, a.Close)
		}
		if !c.isClosed() {
			t.Error("the connection stays open")
		}
	}
	if got := p.metric("traffic_entrypoint_refused_requests_total"); got != 2 {
		t.Errorf("%v requests were counted", got)
	}
	if got := s.received(); got != "" {
		t.Errorf("the server received %q", got)
	}
	configuration.sections = strings.Replace(configuration.sections, "1000000", "1000000000", 1)
	if err := os.WriteFile(p.cmd.Args[2], []byte(configuration.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	eventually(t, "requests are served again", func() bool {
		c := p.connect(t)
		return c.isServed()
	})
	if !strings.Contains(p.log.String(), `"level":"normal","before":"refuse"`) {
		t.Error("the log does not tell that it is over")
	}
}
