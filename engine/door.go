package engine

import (
	"sync/atomic"
	"time"

	"traffic_management/config"
	"traffic_management/engine/frontend"
	"traffic_management/engine/reactor"
)

// door is an address that clients come to, whatever configurations call it: its listening sockets and, on every loop, a
// doorkeeper. A reload that renames an entry point or changes what it asks of clients touches no socket.
//
// It keeps the connections that came through it at its limit, and all of the process at theirs: above it accepting pauses
// and new connections wait in the kernel's queue. Loops that accept at the same moment may each take one more.
type door struct {
	// Immutable:
	address  config.Address
	listener *reactor.Listener
	keepers  []*doorkeeper // by loop
	clients  *clients
	// inherited says that another process listens here, too, and goes on to when this one does not come to serve.
	inherited bool

	// Guarded by Engine.changing:
	name string // of the entry point

	// Atomic, any goroutine:
	accepting atomic.Int32 // keepers that take connections, and none but what comes from now on

	gate
}

// clients are the connections of all doors.
type clients struct {
	gate
	workers []*worker // immutable once a door is open
}

// gate counts connections, over all loops, against a limit. Atomic, any goroutine.
type gate struct {
	limit atomic.Int64 // 0: none
	open  atomic.Int64
}

// enter counts one more and reports whether that was the last for which there is room.
func (g *gate) enter() (full bool) {
	n, limit := g.open.Add(1), g.limit.Load()
	return limit > 0 && n >= limit
}

// leave counts one less and reports whether there is room for the first time.
func (g *gate) leave() (room bool) {
	n, limit := g.open.Add(-1), g.limit.Load()
	return limit > 0 && n == limit-1
}

func (g *gate) full() bool {
	limit := g.limit.Load()
	return limit > 0 && g.open.Load() >= limit
}

// doorkeeper is one loop's part of a door, and belongs to the loop.
type doorkeeper struct {
	*door
	loop      *reactor.EventLoop
	entry     *frontend.EntryPoint
	acceptors []*reactor.Acceptor
}

// openDoor opens the listening sockets of an entry point, or takes those given, if any; loops begin to accept when they
// adopt a configuration. ours are the doors that may overlap with it.
func openDoor(ep *entryPoint, all *clients, ours []*door, given *handed) (*door, error) {
	listeners := make([]*reactor.Listener, len(ours))
	for i, d := range ours {
		listeners[i] = d.listener
	}
	var l *reactor.Listener
	var err error
	if given != nil {
		l, err = reactor.Inherit(given.Descriptors, len(all.workers))
	} else {
		l, err = reactor.Listen(ep.address.String(), len(all.workers), listeners...)
	}
	if err != nil {
		return nil, err
	}
	if given != nil && given.Kept {
		l.Keep()
	}
	d := &door{address: ep.address, listener: l, name: ep.name, clients: all, inherited: given != nil}
	for _, w := range all.workers {
		k := &doorkeeper{door: d, loop: w.loop}
		k.entry = &frontend.EntryPoint{Local: w.local, Conns: w.conns, OnClosed: k.left}
		d.keepers = append(d.keepers, k)
	}
	return d, nil
}

// discard closes a door through which nobody came. The path of a unix socket that was inherited stays for who has it.
func (d *door) discard() {
	if d.inherited {
		d.listener.Keep()
	}
	d.listener.Close()
}

// accept begins to take connections; the entry point is set up.
func (k *doorkeeper) accept() {
	for _, s := range k.listener.Sockets(k.loop.Index()) {
		k.acceptors = append(k.acceptors, k.loop.AddListener(s, k.accepted))
	}
	k.accepting.Add(1)
}

// accepted takes a connection, here or on a loop that has fewer.
func (k *doorkeeper) accepted(c reactor.Conn) reactor.Sink {
	k.entered()
	if to := k.relief(); to != nil && k.passOn(to, c) {
		return nil
	}
	return k.entry.Accept(c)
}

// finish takes the connections that wait already, and then no more.
func (k *doorkeeper) finish() {
	k.accepting.Add(-1)
	for _, a := range k.acceptors {
		a.Finish()
	}
}

// leave is finish, and all connections end gently, idle ones within over.
func (k *doorkeeper) leave(over time.Duration) {
	k.finish()
	k.entry.Leave(over)
}

// close accepts no more.
func (k *doorkeeper) close() {
	k.accepting.Add(-1)
	for _, a := range k.acceptors {
		a.Close()
	}
}

func (k *doorkeeper) entered() {
	k.worker().clients.Add(1)
	if k.gate.enter() {
		k.tellAll()
	}
	if k.clients.enter() {
		k.clients.tellAll(k)
	}
}

func (k *doorkeeper) left() {
	k.worker().clients.Add(-1)
	if k.gate.leave() {
		k.tellAll()
	}
	if k.clients.leave() {
		k.clients.tellAll(k)
	}
}

// tellAll makes the keepers of all doors look, those of k's loop at once.
func (c *clients) tellAll(k *doorkeeper) {
	for _, w := range c.workers {
		if w.loop == k.loop {
			w.look()
		} else {
			w.loop.Post(w.look)
		}
	}
}

// tellAll makes the door's keeper on every loop look, this one at once.
func (k *doorkeeper) tellAll() {
	for _, other := range k.keepers {
		if other == k {
			k.look()
		} else {
			other.loop.Post(other.look)
		}
	}
}

// look accepts or not by what is true now: what loops tell each other may arrive in another order than it happened.
func (k *doorkeeper) look() {
	full := k.gate.full() || k.clients.full()
	for _, a := range k.acceptors {
		if full {
			a.Pause()
		} else {
			a.Resume()
		}
	}
}
