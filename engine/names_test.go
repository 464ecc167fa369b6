package engine_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"traffic_management/engine"
)

// nameServer answers lookups with what a test says, once for each time that it lets pass.
type nameServer struct {
	answers chan string   // addresses; the lookup of "" fails
	passed  chan struct{} // the time until the next lookup
}

func (n *nameServer) lookup(ctx context.Context, _ string) ([]netip.Addr, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case a := <-n.answers:
		if a == "" {
			return nil, errors.New("no answer")
		}
		return []netip.Addr{netip.MustParseAddr(a)}, nil
	}
}

// sleep lasts until the test answers the next lookup.
func (n *nameServer) sleep(ctx context.Context, _ time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-n.passed:
		return nil
	}
}

// say has the name looked up once more, with this result.
func (n *nameServer) say(addr string) {
	n.answers <- addr
	n.passed <- struct{}{}
}

// TestNameMoves has a server's name change its address while requests run, and then lookups that fail: new requests go
// to the new address, one that runs ends where it began, and what is known stays in use.
func TestNameMoves(t *testing.T) {
	old := listen(t)
	_, port, _ := strings.Cut(old.address, ":")
	next := listenAt(t, "127.0.0.2:"+port)
	next.serve("new")

	n := &nameServer{answers: make(chan string, 1), passed: make(chan struct{})}
	n.answers <- "127.0.0.1"
	p := run(t, site{servers: []string{"moving.test:" + port}}.String(),
		engine.Options{Loops: 1}.Looking(n.lookup, n.sleep), 0)
	client := p.dial(t)
	client.say(get)
	server := old.accept(t)
	server.head()
	server.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nold")
	client.hear("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nold")

	n.say("127.0.0.2")
	n.say("127.0.0.2") // is asked for when the first answer has come into force
	if status, content := p.ask(t, get); status != "200" || content != "new" {
		t.Errorf("got %s %q after the name moved", status, content)
	}
	server.say("end")
	client.hear("end")
	for range 3 {
		n.say("")
		if status, content := p.ask(t, get); status != "200" || content != "new" {
			t.Errorf("got %s %q while the name has no address", status, content)
		}
	}
}
