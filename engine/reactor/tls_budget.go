package reactor

import (
	"container/list"
	"runtime"
	"sync"
)

// Handshakes bounds the TLS handshakes of all loops. Their arithmetic runs on goroutines, to which the runtime gives
// the same threads as to the loops: so only so many compute at once, and so many wait for it; what comes beyond that
// is shed. A handshake that waits for its peer takes no place. Dials have places of their own, so that a flood of
// clients does not keep the proxy from its servers.
//
// Any goroutine. nil bounds nothing.
type Handshakes struct {
	accepts, dials gate
}

// DefaultWaitingHandshakes is how many handshakes may wait to compute: less than a second's work for one core.
const DefaultWaitingHandshakes = 1024

// computingHandshakes is how many handshakes compute at once by default: on three quarters of the cores.
func computingHandshakes() int { return max(1, runtime.GOMAXPROCS(0)*3/4) }

// NewHandshakes lets computing handshakes of clients, and as many with servers, compute at once, and waiting more of
// each wait. 0 is the default: three quarters of the cores, and DefaultWaitingHandshakes.
func NewHandshakes(computing, waiting int) *Handshakes {
	if computing <= 0 {
		computing = computingHandshakes()
	}
	if waiting <= 0 {
		waiting = DefaultWaitingHandshakes
	}
	h := new(Handshakes)
	for _, g := range []*gate{&h.accepts, &h.dials} {
		g.free, g.room = computing, waiting
	}
	return h
}

// forAccept is the gate of handshakes that clients begin, forDial that of those we begin.
func (h *Handshakes) forAccept() *gate {
	if h == nil {
		return nil
	}
	return &h.accepts
}

func (h *Handshakes) forDial() *gate {
	if h == nil {
		return nil
	}
	return &h.dials
}

// entry is the answer to a handshake that wants to compute.
type entry uint8

const (
	entryGranted entry = iota // it may, until it leaves
	entryQueued               // granted is called on its loop later
	entryShed                 // too many wait already
)

func (e entry) String() string { return [...]string{"granted", "queued", "shed"}[e] }

// gate is where handshakes wait for a place to compute. nil has room for all. Any goroutine.
type gate struct {
	mu      sync.Mutex
	free    int
	room    int // how many new ones may still begin to wait
	waiting list.List
}

// enter asks for a place. One that has begun already goes first and is never shed: its peer has done its share of the
// work, and ours is half done.
func (g *gate) enter(h *handshake) entry {
	if g == nil {
		return entryGranted
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.free > 0:
		g.free--
		return entryGranted
	case h.job != nil:
		h.place = g.waiting.PushFront(h)
	case g.room == 0:
		return entryShed
	default:
		g.room--
		h.place = g.waiting.PushBack(h)
	}
	return entryQueued
}

// leave gives a place back, to the first that waits.
func (g *gate) leave() {
	if g == nil {
		return
	}
	for {
		g.mu.Lock()
		first := g.waiting.Front()
		if first == nil {
			g.free++
			g.mu.Unlock()
			return
		}
		h := first.Value.(*handshake)
		g.forget(h)
		g.mu.Unlock()
		if h.conn.loop.Post(h.granted) {
			return
		}
	}
}

// withdraw takes out one that waits. When it does not wait any more, granted is on its way.
func (g *gate) withdraw(h *handshake) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if h.place != nil {
		g.forget(h)
	}
}

// forget removes one from those that wait. The lock is held.
func (g *gate) forget(h *handshake) {
	g.waiting.Remove(h.place)
	h.place = nil
	if h.job == nil {
		g.room++
	}
}
