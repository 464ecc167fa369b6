package sim

import (
	"crypto/tls"
	"net/netip"
	"slices"

	"traffic_management/engine/reactor"
	"traffic_management/internal/invariant"
)

// phase is how far the life of a connection has come.
type phase uint8

const (
	phaseOpen          phase = iota // both directions may be used
	phaseShutting                   // CloseWrite was called; the end is sent when the queue is empty
	phaseShut                       // the end was sent, input goes on
	phaseLeaving                    // Close was called; closes when the queue is empty
	phaseLeavingLinger              // as phaseLeaving, but lingers then
	phaseLingering                  // the end was sent, input is dropped until the peer's end or time is up
	phaseGone                       // closed, or detached
)

func (p phase) String() string {
	return [...]string{"open", "shutting", "shut", "leaving", "leaving to linger", "lingering", "gone"}[p]
}

// hears reports whether the sink may still be told something.
func (p phase) hears() bool { return p <= phaseShut }

// marks are the lists of the loop a connection is in, and what for.
type marks uint8

const (
	markVisit marks = 1 << iota // in Loop.visits
	markFlush                   // in Loop.flushes
	markWake                    // OnData is owed even without new input
)

// conn is a reactor.Conn whose peer is another conn. Owned by its loop. One that is gone may still be called and does
// nothing.
type conn struct {
	loop   *Loop
	sink   reactor.Sink
	socket *socket
	timer  reactor.Timer // bounds a gentle close
	queued int           // bytes queued when the timer was armed

	portion func() int // nil: nobody is asked

	in    []byte // unconsumed
	lent  []byte // all memory of in, which is overwritten when its loan ends
	out   []byte // gathered or refused
	lost  int    // output that was given up before the kernel had it
	holds int

	config *tls.Config          // of TLS; nil for clear text
	state  *tls.ConnectionState // nil unless established

	phase  phase
	tls    tlsState
	ended  inputState // whether the sink may know of the peer's end
	output outputState
	level  level
	marks  marks
}

func (l *Loop) newConn(k *socket, s reactor.Sink, o outputState) *conn {
	c := &conn{loop: l, sink: s, socket: k, output: o}
	c.timer.Fire = c.expire
	k.conn = c
	l.conns = append(l.conns, c)
	return c
}

func (c *conn) In() []byte { return c.in }

func (c *conn) Consume(n int) {
	if !c.phase.hears() {
		return
	}
	full := len(c.in) >= reactor.MaxInput
	c.in = c.in[n:]
	if invariant.Enabled {
		c.keep()
	}
	if full && c.readable() {
		c.visitLater()
	}
}

func (c *conn) EOF() bool { return c.ended == inputEnded }

func (c *conn) Hold(on bool) {
	if on {
		c.holds++
		return
	}
	if c.holds == 0 {
		panic("sim: Hold(false) without Hold(true)")
	}
	if c.holds--; c.holds > 0 || !c.phase.hears() {
		return
	}
	// It may have input as far as its holder knows: half of the time it is told so when there is none.
	if len(c.in) > 0 || c.EOF() || c.loop.oneIn(2) {
		c.marks |= markWake
	}
	c.visitLater()
}

func (c *conn) Portion(portion func() int) { c.portion = portion }

func (c *conn) Wake() {
	if c.phase.hears() {
		c.marks |= markWake
		c.visitLater()
	}
}

func (c *conn) SetSink(s reactor.Sink) {
	if !c.phase.hears() {
		return
	}
	if c.sink == nil {
		c.visitLater() // nothing was read so far
	}
	c.sink = s
}

func (c *conn) Detach() (fd int, ok bool) {
	if c.phase != phaseOpen || c.tls != tlsNone || c.output != outputReady || len(c.out) > 0 || len(c.in) > 0 ||
		c.EOF() {
		return -1, false
	}
	k := c.socket
	c.forget()
	k.conn = nil
	c.loop.lastFD++
	c.loop.detached[c.loop.lastFD] = k
	return c.loop.lastFD, true
}

func (c *conn) Peer() netip.AddrPort { return c.socket.peer }

func (c *conn) Local() netip.AddrPort { return c.socket.local }

// readable reports whether there is something to read and the sink may have it.
func (c *conn) readable() bool {
	return c.phase.hears() && c.sink != nil && c.holds == 0 && c.output != outputOpening &&
		len(c.in) < reactor.MaxInput && c.ended == inputOpen &&
		(len(c.socket.arrived) > 0 || c.socket.input == inputEnded)
}

// receive reads and tells the sink, for as long as there is input. It reports whether the sink was told.
func (c *conn) receive() (told bool) {
	if c.phase == phaseLingering {
		c.dropInput()
		return false
	}
	for c.readable() {
		size := reactor.ReadSize
		if c.portion != nil {
			size = min(max(c.portion(), reactor.SipSize), size)
		}
		p := c.socket.take(size)
		c.in = append(c.in[:len(c.in):len(c.in)], p...)
		c.keep()
		// The end is seen with the last bytes, or by the next read.
		if len(c.socket.arrived) == 0 && c.socket.input == inputEnded && (len(p) == 0 || c.loop.oneIn(2)) {
			c.ended = inputEnded
		}
		c.tell()
		told = true
	}
	return told
}

// tell calls OnData and takes back what was lent for that call.
func (c *conn) tell() {
	c.marks &^= markWake
	c.sink.OnData()
	c.keep()
}

// keep moves what is unconsumed to new memory: the loan of the old one has ended.
func (c *conn) keep() {
	old := c.lent
	c.in = slices.Clone(c.in)
	c.lent = c.in
	invariant.Poison(old)
}

// visitLater makes the loop call visit later in the turn.
func (c *conn) visitLater() {
	if c.marks&markVisit == 0 {
		c.marks |= markVisit
		c.loop.visits = append(c.loop.visits, c)
	}
}

// visit reads on, and wakes the sink when that is owed.
func (c *conn) visit() {
	c.marks &^= markVisit
	told := c.receive()
	if !told && c.marks&markWake != 0 && c.holds == 0 && c.phase.hears() && c.sink != nil {
		c.tell()
	}
}
