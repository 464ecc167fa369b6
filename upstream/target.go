package upstream

import (
	"sync/atomic"

	"traffic_management/engine/reactor"
	"traffic_management/internal/invariant"
)

// TargetState says whether a target may be given requests.
type TargetState uint32

// States of a target. Any of them may follow any other: a health check, an operator or a passive ejection sets them.
const (
	TargetUp       TargetState = iota // takes requests
	TargetDraining                    // ends what it has; new requests only of clients that stick to it
	TargetDown                        // takes nothing
	targetStates
)

var targetStateNames = [targetStates]string{TargetUp: "up", TargetDraining: "draining", TargetDown: "down"}

func (s TargetState) String() string {
	if s < targetStates {
		return targetStateNames[s]
	}
	return "?"
}

// Target is one server address of a service, shared by all loops. NewTarget makes one.
//
// What every request writes is kept once a loop, in Counts, each on a cache line of its own: no loop waits for another
// one's line, neither to choose a target nor to count a request. Sums are made by who reads. With two busy loops,
// counting one request so takes 12 ns, on a shared line or a shared count 65 to 75 ns (BenchmarkCounts).
type Target struct {
	// Immutable. ID is the server's URL as configured, and the address when its name has several. Host is the
	// host[:port] for the Host field when the service does not pass the client's. Weight is the share of requests the
	// target gets among its service's; 0 drains it.
	ID     string
	Addr   reactor.Addr
	Host   string
	Weight int
	counts []Counts // by loop

	// Atomic, any goroutine. Written seldom, so it may share a line with what is only read.
	state atomic.Uint32

	_ [cacheLine]byte // open is written at every dial

	// Atomic, any goroutine: connections that are open or being dialled, over all loops.
	open atomic.Int64
}

// Counts is one loop's share of a target's counts. That loop writes, any goroutine reads.
type Counts struct {
	InFlight atomic.Int64 // requests the target was given and has not ended
	Idle     atomic.Int64 // idle connections in the loop's pool
	Waiting  atomic.Int64 // requests that wait for a connection on the loop

	_ [cacheLine - 24]byte
}

// cacheLine is the distance in bytes that keeps two writers out of each other's way.
const cacheLine = 64

// NewTarget makes a target that is up and has nothing open. loops is how many loops there are. A negative weight is 0.
func NewTarget(id string, addr reactor.Addr, host string, weight, loops int) *Target {
	return &Target{ID: id, Addr: addr, Host: host, Weight: max(weight, 0), counts: make([]Counts, loops)}
}

// State is the target's state now. Any goroutine.
func (t *Target) State() TargetState { return TargetState(t.state.Load()) }

// SetState changes the state and returns the one before. Any goroutine.
func (t *Target) SetState(s TargetState) TargetState { return TargetState(t.state.Swap(uint32(s))) }

// Takes reports whether the target may be given a request of a client that does not stick to it. Any goroutine.
func (t *Target) Takes() bool { return t.Weight > 0 && t.State() == TargetUp }

// Counts is the share of the loop with this index.
func (t *Target) Counts(loop int) *Counts { return &t.counts[loop] }

// InFlight is how many requests the target has in progress, over all loops. Any goroutine.
func (t *Target) InFlight() int64 {
	n := int64(0)
	for i := range t.counts {
		n += t.counts[i].InFlight.Load()
	}
	return n
}

// Open is how many connections are open or being dialled, over all loops. Any goroutine.
func (t *Target) Open() int64 { return t.open.Load() }

// Idle is how many idle connections the pools of all loops have. Any goroutine.
func (t *Target) Idle() int64 {
	n := int64(0)
	for i := range t.counts {
		n += t.counts[i].Idle.Load()
	}
	return n
}

// reserve takes the place of one connection among at most limit; 0 is no limit. Any goroutine. It never refuses while
// there is room: what other goroutines try and fail to take is not seen here.
func (t *Target) reserve(limit int) bool {
	if limit == 0 {
		t.open.Add(1)
		return true
	}
	for {
		n := t.open.Load()
		if n >= int64(limit) {
			return false
		}
		if t.open.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release gives back what reserve took. Any goroutine.
func (t *Target) release() {
	invariant.Check(t.open.Add(-1) >= 0, "a target's open connections are not negative")
}
