package reactor

import (
	"bytes"
	"container/list"
	"context"
	"crypto/tls"
	"time"
)

// handshakeInput is about how much input is handed to a handshake at a time.
const handshakeInput = 64 << 10

// shakeState is what a handshake does, as its loop knows it.
type shakeState uint8

const (
	shakeAwaiting  shakeState = iota // the next record, which has not come; its goroutine, if begun, is parked
	shakeQueued                      // waits for a place to compute, with input at hand
	shakeComputing                   // its goroutine runs
	shakeEnded                       // it succeeded, failed or was given up
)

func (s shakeState) String() string {
	return [...]string{"awaiting", "queued", "computing", "ended"}[s]
}

// handshake computes the handshake of one connection on a goroutine, which begins when the first record is whole. The
// loop reads and writes the socket: it hands over whole records when the goroutine asks for more, and is posted what
// is to be sent. So bytes that come meanwhile stay with the socket, which bounds them.
type handshake struct {
	conn   *tlsConn
	gate   *gate                  // nil when handshakes are not bounded
	config *tls.Config            // immutable
	done   func(Conn, error) Sink // a server's; nil for a dial
	fed    chan []byte            // from the loop, when awaiting: records; none is the end of input

	// Owned by the loop.
	state shakeState
	job   *Job // nil until it begins

	place *list.Element // where it waits; guarded by the gate's lock

	// Owned by the goroutine once it has begun.
	ctx   context.Context
	in    []byte // whole records, not read yet
	slot  bool   // has a place to compute
	alert byte   // that left in clear text
}

// established is what a handshake's goroutine leaves behind.
type established struct {
	tls    *tls.Conn
	state  *tls.ConnectionState
	behind []byte // records that are no part of the handshake
}

func newHandshake(c *tlsConn, config *tls.Config, g *gate, done func(Conn, error) Sink) *handshake {
	return &handshake{conn: c, config: config, gate: g, done: done, fed: make(chan []byte, 1)}
}

// goOn makes the handshake compute, if it waits for input that has come. A client begins without input.
func (h *handshake) goOn() {
	if h.state != shakeAwaiting {
		return
	}
	raw := h.conn.raw
	if wholeRecord(raw.in) == 0 && !raw.EOF() && (h.done != nil || h.job != nil) {
		return
	}
	switch h.gate.enter(h) {
	case entryGranted:
		h.compute()
	case entryQueued:
		h.state = shakeQueued
	case entryShed:
		h.conn.refuse(&HandshakeError{HandshakeShed, errShed})
	}
}

// granted is posted by the gate: there is a place for one that was queued.
func (h *handshake) granted() {
	if h.state != shakeQueued {
		h.gate.leave() // it ended meanwhile
		return
	}
	h.compute()
}

// compute hands what has come to the goroutine.
func (h *handshake) compute() {
	h.state = shakeComputing
	raw := h.conn.raw
	n := wholeRecords(raw.in, handshakeInput)
	records := bytes.Clone(raw.in[:n])
	raw.Consume(n)
	if h.job != nil {
		h.fed <- records // it is parked, and takes it
		return
	}
	h.in, h.slot = records, true
	h.job = Go(h.conn.loop, h.work, h.ended)
}

// hungry is posted by the goroutine when it parks.
func (h *handshake) hungry() {
	if h.state == shakeComputing {
		h.state = shakeAwaiting
		h.goOn()
	}
}

// cancel gives the handshake up: its goroutine ends soon, ended is not called.
func (h *handshake) cancel() {
	if h.state == shakeQueued {
		h.gate.withdraw(h)
	}
	h.state = shakeEnded
	if h.job != nil {
		h.job.Cancel()
	}
}

// ended is the result of the goroutine.
func (h *handshake) ended(e established, err error) {
	h.state = shakeEnded
	if err != nil {
		h.conn.refuse(&HandshakeError{reasonOf(err, h.alert, h.done == nil), err})
		return
	}
	h.conn.establish(e)
}

// The methods below run on the goroutine.

func (h *handshake) work(ctx context.Context) (e established, err error) {
	ctx = context.WithValue(ctx, handshakeKey{}, h)
	h.ctx = ctx
	defer func() {
		if h.slot {
			h.gate.leave()
		}
	}()
	t := (*transport)(h.conn)
	if h.done == nil {
		e.tls = tls.Client(t, h.config)
	} else {
		e.tls = tls.Server(t, h.config)
	}
	if err := e.tls.HandshakeContext(ctx); err != nil {
		return established{}, err
	}
	state := e.tls.ConnectionState()
	e.state, e.behind = &state, h.in
	return e, nil
}

// handshakeKey is what a handshake is kept with in its context.
type handshakeKey struct{}

// yieldTime is how long a handshake lets others go first at most: a server that is near has answered by then.
const yieldTime = 200 * time.Microsecond

// Yield lets the loop of a handshake make a turn before the handshake goes on computing, and another when Config.Busy says
// that somebody waits for more than that: on a core that they share, a request would wait for all of the handshake, and
// its response for the next one. For callbacks of a tls.Config, which are given ctx with a tls.ClientHelloInfo; elsewhere
// it does nothing.
func Yield(ctx context.Context) {
	h, ok := ctx.Value(handshakeKey{}).(*handshake)
	if !ok {
		return
	}
	l, over := h.conn.loop, make(chan struct{})
	if !l.Post(func() { l.yielded = append(l.yielded, over) }) {
		return
	}
	longest := time.NewTimer(yieldTime)
	defer longest.Stop()
	select {
	case <-over:
	case <-longest.C:
	case <-ctx.Done():
	}
}

// maxYielded bounds the list of those that wait, in which those are, too, whose time was over.
const maxYielded = 64

// goOn lets handshakes that yielded go on. At the end of a turn.
func (l *EventLoop) goOn() {
	if len(l.yielded) == 0 || len(l.yielded) < maxYielded && l.config.Busy != nil && l.config.Busy() {
		return
	}
	for i, over := range l.yielded {
		close(over)
		l.yielded[i] = nil
	}
	l.yielded = l.yielded[:0]
}

// await returns when there is input. Its place to compute is another's meanwhile.
func (h *handshake) await() error {
	if len(h.in) > 0 {
		return nil
	}
	h.slot = false
	h.gate.leave()
	if !h.conn.loop.Post(h.hungry) {
		return ErrStopped
	}
	select {
	case h.in = <-h.fed:
		h.slot = true
		if len(h.in) == 0 {
			return errHungUp
		}
		return nil
	case <-h.ctx.Done():
		h.slot = len(h.fed) > 0 // it was granted one just before
		return h.ctx.Err()
	}
}

// send has the loop write records.
func (h *handshake) send(p []byte) (int, error) {
	records := bytes.Clone(p)
	for n := wholeRecord(p); n > 0; p, n = p[n:], wholeRecord(p[n:]) {
		if p[0] == recordAlert && n == recordHeader+2 {
			h.alert = p[recordHeader+1]
		}
	}
	if !h.conn.loop.Post(func() { h.conn.raw.Write(records) }) {
		return 0, ErrStopped
	}
	return len(records), nil
}
