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
// It keeps the connections that came through it, over all loops, at its limit: above it accepting pauses everywhere and
// new connections wait in the kernel's queue. Loops that accept at the same moment may each take one more.
type door struct {
	// Immutable:
	address  config.Address
	listener *reactor.Listener
	keepers  []*doorkeeper // by loop

	// Guarded by Engine.changing:
	name string // of the entry point

	// Atomic, any goroutine:
	limit atomic.Int64 // 0: none
	open  atomic.Int64
}

// doorkeeper is one loop's part of a door, and belongs to the loop.
type doorkeeper struct {
	*door
	loop      *reactor.EventLoop
	entry     *frontend.EntryPoint
	acceptors []*reactor.Acceptor
}

// openDoor opens the listening sockets of an entry point; loops begin to accept when they adopt a configuration. ours
// are the doors that may overlap with it.
func openDoor(ep *entryPoint, workers []*worker, ours []*door) (*door, error) {
	listeners := make([]*reactor.Listener, len(ours))
	for i, d := range ours {
		listeners[i] = d.listener
	}
	l, err := reactor.Listen(ep.address.String(), len(workers), listeners...)
	if err != nil {
		return nil, err
	}
	d := &door{address: ep.address, listener: l, name: ep.name}
	for _, w := range workers {
		k := &doorkeeper{door: d, loop: w.loop}
		k.entry = &frontend.EntryPoint{Local: w.local, Conns: w.conns, OnClosed: k.left}
		d.keepers = append(d.keepers, k)
	}
	return d, nil
}

// accept begins to take connections; the entry point is set up.
func (k *doorkeeper) accept() {
	for _, s := range k.listener.Sockets(k.loop.Index()) {
		k.acceptors = append(k.acceptors, k.loop.AddListener(s, func(c reactor.Conn) reactor.Sink {
			k.entered()
			return k.entry.Accept(c)
		}))
	}
}

// leave takes the connections that wait already, and then no more; all of them end gently, idle ones within over.
func (k *doorkeeper) leave(over time.Duration) {
	for _, a := range k.acceptors {
		a.Finish()
	}
	k.entry.Leave(over)
}

// close accepts no more.
func (k *doorkeeper) close() {
	for _, a := range k.acceptors {
		a.Close()
	}
}

func (k *doorkeeper) entered() {
	n, limit := k.open.Add(1), k.limit.Load()
	if limit > 0 && n >= limit {
		k.tellAll()
	}
}

func (k *doorkeeper) left() {
	n, limit := k.open.Add(-1), k.limit.Load()
	if limit > 0 && n == limit-1 {
		k.tellAll()
	}
}

// tellAll makes every loop look, this one at once.
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
	limit := k.limit.Load()
	for _, a := range k.acceptors {
		if limit > 0 && k.open.Load() >= limit {
			a.Pause()
		} else {
			a.Resume()
		}
	}
}
