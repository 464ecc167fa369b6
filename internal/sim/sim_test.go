package sim

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"traffic_management/engine/reactor"
)

// seeds is how many seeds each property is tried with.
const seeds = 20

var (
	tcpAddress  = reactor.Addr{TCP: netip.MustParseAddrPort("192.0.2.1:80")}
	unixAddress = reactor.Addr{Path: "/run/server"}
)

// peer is a sink that notes what it hears and fails the test when a sentence of reactor.Sink is broken.
type peer struct {
	t      testing.TB
	name   string
	conn   reactor.Conn
	got    []byte // what it consumed
	heard  []string
	drains int
	err    error // of OnClosed

	onData    func() // instead of consuming all
	onDrained func()

	calling bool
}

func newPeer(t testing.TB, name string) *peer { return &peer{t: t, name: name} }

// enter begins a call of the sink, leave ends it.
func (p *peer) enter(what string) {
	p.t.Helper()
	switch {
	case p.calling:
		p.t.Fatalf("%s: %s inside another call", p.name, what)
	case p.err != nil:
		p.t.Fatalf("%s: %s after OnClosed", p.name, what)
	}
	p.heard = append(p.heard, what)
	p.calling = true
}

func (p *peer) leave() { p.calling = false }

func (p *peer) OnData() {
	p.enter("data")
	defer p.leave()
	if p.onData != nil {
		p.onData()
		return
	}
	p.takeAll()
}

func (p *peer) takeAll() {
	in := p.conn.In()
	p.got = append(p.got, in...)
	p.conn.Consume(len(in))
}

func (p *peer) OnDrained() {
	p.enter("drained")
	defer p.leave()
	p.drains++
	if p.onDrained != nil {
		p.onDrained()
	}
}

func (p *peer) OnClosed(err error) {
	if err == nil {
		p.t.Fatalf("%s: OnClosed without an error", p.name)
	}
	p.enter("closed")
	p.calling = false
	p.err = err
}

func (p *peer) count(what string) (n int) {
	for _, h := range p.heard {
		if h == what {
			n++
		}
	}
	return n
}

// pair connects two peers.
func pair(t testing.TB, l *Loop) (a, b *peer) {
	a, b = newPeer(t, "a"), newPeer(t, "b")
	a.conn, b.conn = l.Pipe(a, b)
	return a, b
}

// dialled connects a peer that dialled to one that accepted, and runs until both are open.
func dialled(t testing.TB, l *Loop, at reactor.Addr) (client, server *peer) {
	client, server = newPeer(t, "client"), newPeer(t, "server")
	l.Listen(at, func(c reactor.Conn) reactor.Sink {
		server.conn = c
		return server
	})
	client.conn = l.Dial(at, client)
	l.Run()
	return client, server
}

// eachSeed runs a property with a loop for each of many seeds.
func eachSeed(t *testing.T, f func(t *testing.T, l *Loop)) {
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { f(t, NewLoop(seed)) })
	}
}

// content is n bytes in which no part is like another.
func content(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: %d bytes that are not the %d sent", what, len(got), len(want))
	}
}

func wantReset(t *testing.T, p *peer) {
	t.Helper()
	if !errors.Is(p.err, unix.ECONNRESET) {
		t.Fatalf("%s heard %v, want a reset", p.name, p.err)
	}
}
