package main

import (
	"strings"
	"testing"
)

// outcome is what becomes of the client's connection after the answer.
type outcome uint8

const (
	closes outcome = iota
	keeps
)

// attack is one hostile request: what a client sends, and what must come of it.
type attack struct {
	name    string
	sent    string
	status  int
	outcome outcome
	// What the server receives: nothing when empty, else everything up to and without the fields that the proxy adds
	// to every request (see forwarded), and the content.
	server string
}

// memoryBound is the most that the proxy may hold while it suffers a corpus, in bytes.
const memoryBound = 64 << 20

// carryOut sends each attack over a connection of its own, while another client is served.
func carryOut(t *testing.T, attacks []attack) {
	t.Helper()
	s, bystanders := newServer(t, greet), newServer(t, greet)
	p := start(t, site{server: s, bystander: bystanders})
	b := p.bystand()
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) { p.suffer(t, s, a) })
	}
	b.unharmed(t)
	p.heldAtMost(memoryBound)
	if n := p.metric("traffic_loop_panics_total"); n != 0 {
		t.Errorf("%v panics were contained", n)
	}
}

// suffer carries out one attack.
func (p *proxy) suffer(t *testing.T, s *server, a attack) {
	s.forget()
	c := p.connect(t)
	c.send(a.sent)
	method, _, _ := strings.Cut(strings.TrimLeft(a.sent, "\r\n"), " ")
	if got := c.receive(method); got.StatusCode != a.status {
		t.Errorf("status %d %q, want %d", got.StatusCode, got.body, a.status)
	}
	if a.outcome == keeps && !c.isOpen() {
		t.Error("the connection was closed")
	}
	if a.outcome == closes && !c.isClosed() {
		t.Error("the connection stays open")
	}
	if a.server == "" {
		if got := s.received(); got != "" {
			t.Errorf("the server received %q", got)
		}
		return
	}
	if got := forwarded(t, s.settled(t)); got != a.server {
		t.Errorf("the server received\n%q, want\n%q", got, a.server)
	}
}

// added are the fields that the proxy adds to every request of a client that nobody trusts.
var added = []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Request-Id"}

// forwarded is a request as the server received it, without the fields of added, each of which must be there once.
func forwarded(t *testing.T, text string) string {
	t.Helper()
	head, content, ok := strings.Cut(text, "\r\n\r\n")
	if !ok {
		t.Fatalf("the server received %q", text)
	}
	lines := strings.Split(head, "\r\n")
	for _, name := range added {
		n := 0
		for i := len(lines) - 1; i > 0; i-- {
			if got, _, _ := strings.Cut(lines[i], ":"); strings.EqualFold(got, name) {
				lines = append(lines[:i], lines[i+1:]...)
				n++
			}
		}
		if n != 1 && !(name == "X-Forwarded-Host" && n == 0) {
			t.Errorf("%d %s", n, name)
		}
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + content
}

// refused makes attacks that are all answered with the same status and reach no server.
func refused(status int, o outcome, requests map[string]string) []attack {
	var all []attack
	for name, text := range requests {
		all = append(all, attack{name: name, sent: text, status: status, outcome: o})
	}
	return all
}
