package sim

import (
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"traffic_management/engine/reactor"
	"traffic_management/internal/invariant"
)

// errReset is what a sink hears when the peer reset the connection.
var errReset = os.NewSyscallError("read", unix.ECONNRESET)

// socket is one side of a connection as the kernel knows it.
type socket struct {
	loop        *Loop
	conn        *conn // nil before the connection is accepted, while it is detached, and after it was closed
	other       *socket
	local, peer netip.AddrPort

	state   socketState
	arrived []byte // bytes that wait to be read
	input   inputState

	// What is on its way to the other side.
	wire    []segment // in order
	flying  int       // bytes in wire
	writing writingState
	room    roomState
}

// socketState is whether a socket is there.
type socketState uint8

const (
	socketOpen   socketState = iota
	socketClosed             // by this side; what arrives now is answered with a reset
	socketReset              // nothing is sent or heard any more
)

func (s socketState) String() string { return [...]string{"open", "closed", "reset"}[s] }

// inputState is whether the peer's end has come.
type inputState uint8

const (
	inputOpen  inputState = iota
	inputEnded            // the peer's end is behind what has arrived
)

func (i inputState) String() string { return [...]string{"open", "ended"}[i] }

// writingState is whether this side's end was sent.
type writingState uint8

const (
	writingOpen  writingState = iota
	writingEnded              // the end is in the wire or arrived
)

func (w writingState) String() string { return [...]string{"open", "ended"}[w] }

// roomState is whether this side is owed word that the kernel takes output again.
type roomState uint8

const (
	roomKnown   roomState = iota // nothing was refused
	roomAwaited                  // some was: the other side's reading sends word
	roomComing                   // the word is on its way
)

func (r roomState) String() string { return [...]string{"known", "awaited", "coming"}[r] }

// segment is one thing in a wire.
type segment struct {
	kind segmentKind
	data []byte
}

// segmentKind is what a segment is.
type segmentKind uint8

const (
	segmentData segmentKind = iota
	segmentOpened
	segmentEnd
	segmentReset
	segmentLost // was overtaken by a reset
)

func (k segmentKind) String() string {
	return [...]string{"data", "opened", "end", "reset", "lost"}[k]
}

// sockets makes the two ends of one connection.
func (l *Loop) sockets(local, peer netip.AddrPort) (here, there *socket) {
	here = &socket{loop: l, local: local, peer: peer}
	there = &socket{loop: l, local: peer, peer: local, other: here}
	here.other = there
	return here, there
}

// knock is the arrival of a dial at address a; k is the dialling side.
func (k *socket) knock(there *socket, a reactor.Addr) {
	l := k.loop
	listener, listening := l.listeners[a]
	switch {
	case k.state != socketOpen: // given up meanwhile
	case !listening:
		l.schedule(l.now.Add(l.delay()), func() {
			if k.conn != nil {
				k.conn.fail(os.NewSyscallError("connect", unix.ECONNREFUSED))
			}
		})
	case listener.accept != nil:
		c := l.newConn(there, nil, outputReady)
		there.send(segment{kind: segmentOpened})
		if s := listener.accept(c); s != nil {
			c.SetSink(s)
		} else {
			c.Abort()
		}
	}
}

// write sends what there is room for and returns how much that was. When that is not all, word comes to the conn as
// soon as there is room again.
func (k *socket) write(p []byte) int {
	l := k.loop
	if k.state != socketOpen || k.writing == writingEnded {
		return len(p) // into the void, as the kernel does until the reset comes
	}
	n := min(len(p), max(l.Net.Window, 1)-k.flying-len(k.other.arrived))
	n = max(n, 0)
	if n > 0 && l.oneIn(l.Net.Short) {
		n = l.rnd.IntN(n)
		k.room = roomAwaited
		k.sendWord()
	}
	for sent := 0; sent < n && k.state == socketOpen; {
		size := l.pieceOf(n - sent)
		if l.oneIn(l.Net.Reset) {
			k.cut()
			return n
		}
		k.send(segment{segmentData, append([]byte(nil), p[sent:sent+size]...)})
		sent += size
	}
	if n < len(p) && k.room == roomKnown {
		k.room = roomAwaited
	}
	return n
}

// send puts a segment into the wire. Each segment's packet delivers the first one of the wire, so they arrive in order
// whatever the packets' times.
func (k *socket) send(g segment) {
	k.wire = append(k.wire, g)
	k.flying += len(g.data)
	k.loop.schedule(k.loop.now.Add(k.loop.delay()), k.deliver)
}

// deliver takes the first segment out of the wire to the other side.
func (k *socket) deliver() {
	g := k.wire[0]
	k.wire = k.wire[1:]
	k.flying -= len(g.data)
	invariant.Check(k.flying >= 0, "bytes under way are not negative")
	o := k.other
	if o.state == socketReset || g.kind == segmentLost {
		return
	}
	if o.state == socketClosed {
		if g.kind == segmentData || g.kind == segmentOpened {
			o.reset() // RFC 9293 section 3.5.2: nobody is there to take it
		} else if g.kind == segmentReset {
			o.state = socketReset
		}
		return
	}
	switch g.kind {
	case segmentData:
		o.arrived = append(o.arrived, g.data...)
	case segmentEnd:
		o.input = inputEnded
	case segmentReset:
		o.state, o.arrived = socketReset, nil
		if o.conn != nil {
			o.conn.fail(errReset)
		}
		return
	case segmentOpened:
		o.conn.opened()
		return
	}
	if o.conn != nil {
		o.conn.receive()
	}
}

// take reads at most n of the bytes that have arrived.
func (k *socket) take(n int) []byte {
	n = min(n, len(k.arrived))
	p := k.arrived[:n:n]
	k.arrived = k.arrived[n:]
	if o := k.other; n > 0 && o.room == roomAwaited {
		o.sendWord()
	}
	return p
}

// sendWord tells the conn, later, that the kernel takes output again.
func (k *socket) sendWord() {
	k.room = roomComing
	k.loop.schedule(k.loop.now.Add(k.loop.delay()), func() {
		k.room = roomKnown
		if k.conn != nil {
			k.conn.unblock()
		}
	})
}

// end sends this side's end.
func (k *socket) end() {
	if k.state == socketOpen && k.writing == writingOpen {
		k.writing = writingEnded
		k.send(segment{kind: segmentEnd})
	}
}

// close closes the socket. Bytes that nobody read make that a reset (RFC 9293 section 3.6.1).
func (k *socket) close() {
	k.conn = nil
	if k.state != socketOpen {
		return
	}
	if len(k.arrived) > 0 {
		k.reset()
		return
	}
	k.end()
	k.state = socketClosed
}

// reset closes the socket and tells the other side so. From some point on, what was under way is lost.
func (k *socket) reset() {
	if k.state == socketReset {
		return
	}
	k.state, k.conn, k.arrived = socketReset, nil, nil
	for i := k.loop.rnd.IntN(len(k.wire) + 1); i < len(k.wire); i++ {
		k.wire[i].kind = segmentLost
	}
	k.send(segment{kind: segmentReset})
}

// cut breaks the connection for both sides, as a machine between them may.
func (k *socket) cut() {
	for _, end := range []*socket{k, k.other} {
		end.send(segment{kind: segmentReset})
	}
}
