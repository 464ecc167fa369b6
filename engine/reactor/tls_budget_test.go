package reactor

import (
	"crypto/tls"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// soonEnough asks on the loop, turn after turn, until something is true.
func soonEnough(t testing.TB, l *EventLoop, what string, is func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for reached := false; !reached; on(t, l, func() { reached = is() }) {
		if time.Now().After(end) {
			t.Fatal("never ", what)
		}
	}
}

func (g *gate) counts() (free, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.free, g.waiting.Len()
}

func waitQueued(t testing.TB, l *EventLoop, g *gate, n int) {
	t.Helper()
	soonEnough(t, l, "queued", func() bool { _, waiting := g.counts(); return waiting == n })
}

func waitFree(t testing.TB, l *EventLoop, g *gate, n int) {
	t.Helper()
	soonEnough(t, l, "free", func() bool { free, _ := g.counts(); return free == n })
}

// waitState waits until the handshake over raw, which has begun, is in this state.
func waitState(t testing.TB, l *EventLoop, raw Conn, s shakeState) {
	t.Helper()
	soonEnough(t, l, s.String(), func() bool {
		h := raw.(*socket).sink.(*tlsConn).shake
		return h.job != nil && h.state == s
	})
}

// TestHandshakesAreBounded: so many compute, so many wait, the newest is shed; dials are not in their way, nor are
// clients that keep the server waiting.
func TestHandshakesAreBounded(t *testing.T) {
	h := NewHandshakes(2, 3)
	l := startLoop(t, Config{Handshakes: h})
	other := startLoop(t, Config{Handshakes: h})
	var computing, most atomic.Int32
	config, begun, goOn := serverConfig(), make(chan struct{}, 100), make(chan struct{})
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		n := computing.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		begun <- struct{}{}
		<-goOn
		computing.Add(-1)
		return nil, nil
	}
	var outcomes []chan outcome
	begin := func(l *EventLoop) {
		out, fd := tcpPair(t)
		_, o := acceptTLS(t, l, fd, config, func(s *sink) { s.echo() })
		outcomes = append(outcomes, o)
		go func() {
			if tls.Client(out, clientConfig()).Handshake() == nil {
				out.Read(make([]byte, 1))
			}
		}()
	}
	for range 3 { // these wait for their clients, and take no place
		_, fd := tcpPair(t)
		acceptTLS(t, l, fd, config, nil)
	}
	begin(l)
	begin(other)
	await(t, begun)
	await(t, begun)
	for i, on := range []*EventLoop{l, other, l} {
		begin(on)
		waitQueued(t, l, &h.accepts, i+1)
	}
	begin(other)
	if e, ok := errors.AsType[*HandshakeError](await(t, outcomes[5]).err); !ok || e.Reason != HandshakeShed {
		t.Errorf("one too many: %v", e)
	}
	addr := tlsServer(t, serverConfig(), func(c *tls.Conn) { c.Handshake(); c.Read(make([]byte, 1)) })
	s, err := dialTLS(t, l, addr, clientConfig(), nil)
	if err != nil {
		t.Errorf("a dial meanwhile: %v", err)
	}
	on(t, l, func() { s.conn.Abort() })
	close(goOn)
	for _, o := range outcomes[:5] {
		if o := await(t, o); o.err != nil {
			t.Error(o)
		}
	}
	if most.Load() != 2 {
		t.Errorf("%d computed at once", most.Load())
	}
	waitFree(t, l, &h.accepts, 2)
	waitFree(t, l, &h.dials, 2)
}

// TestBegunHandshakesGoFirst: one whose client has answered is not shed, and comes before those that have not begun.
func TestBegunHandshakesGoFirst(t *testing.T) {
	h := NewHandshakes(1, 1)
	l := startLoop(t, Config{Handshakes: h})
	out, fd := tcpPair(t)
	cork := &corked{Conn: out}
	raw, first := acceptTLS(t, l, fd, serverConfig(), (*sink).echo)
	client := tls.Client(cork, clientConfig())
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	waitState(t, l, raw, shakeAwaiting)
	config, begun := stuck()
	second, fd := tcpPair(t)
	rawSecond, _ := acceptTLS(t, l, fd, config, nil)
	go tls.Client(second, clientConfig()).Handshake()
	await(t, begun)
	third, fd := tcpPair(t)
	rawThird, _ := acceptTLS(t, l, fd, config, nil)
	go tls.Client(third, clientConfig()).Handshake()
	waitQueued(t, l, &h.accepts, 1)
	out.Write(cork.kept)
	waitQueued(t, l, &h.accepts, 2)
	on(t, l, rawSecond.Abort)
	if o := await(t, first); o.err != nil {
		t.Error(o)
	}
	await(t, begun) // the third
	on(t, l, rawThird.Abort)
	waitFree(t, l, &h.accepts, 1)
}

// TestDefaultHandshakes: without numbers something is bounded, and something goes through.
func TestDefaultHandshakes(t *testing.T) {
	h := NewHandshakes(0, 0)
	if h.accepts.free < 1 || h.accepts.room != DefaultWaitingHandshakes || h.dials.free != h.accepts.free {
		t.Errorf("accepts %d and %d, dials %d", h.accepts.free, h.accepts.room, h.dials.free)
	}
}
