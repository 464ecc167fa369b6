package upstream

import (
	"slices"
	"sync/atomic"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
	"traffic_management/internal/invariant"
	"traffic_management/internal/owned"
)

// condition is one word of what is true of a target, so that a balancer reads all of it at once. Each bit has one
// writer; none excludes another.
type condition uint32

const (
	isDraining   condition = 1 << iota // an operator wants it to end what it has
	isWeightless                       // its weight is 0
	isDown                             // health checks say so
	isEjected                          // it failed too often; ends at Target.ejectedUntil
	isBackup                           // for when the primaries are not enough
)

// What keeps a target from being given requests: for good reasons of an operator's, and for what was found out.
const (
	takenOut  = isDraining | isWeightless
	unhealthy = isDown | isEjected
)

// Target is one server address of a service, shared by all loops. NewTarget makes one.
//
// What every request writes is kept once a loop, in Counts, each on a cache line of its own: no loop waits for another
// one's line, neither to choose a target nor to count a request. Sums are made by who reads. With two busy loops,
// counting one request so takes 12 ns, on a shared line or a shared count 65 to 75 ns (BenchmarkCounts).
type Target struct {
	// Immutable. ID is the server's URL as configured, and the address when its name has several. Host is the
	// host[:port] for the Host field when the service does not pass the client's, and whose certificate a TLS server must
	// show. Protocol may be set before the target is used.
	ID       string
	Addr     reactor.Addr
	Host     string
	Protocol Protocol
	counts   []Counts // by loop

	// Atomic, any goroutine. Written seldom, so they may share a line with what is only read.
	condition    atomic.Uint32
	weight       atomic.Int64
	spoken       atomic.Uint32               // a spoken: what the last connection found out
	streams      atomic.Int32                // that the server takes on a connection of HTTP/2; 0: not known
	service      atomic.Pointer[Service]     // whose set it was put into last
	joined       atomic.Int64                // Instant at which its slow start began; see slow start's values below
	checked      atomic.Bool                 // a health check has had a result
	errors       atomic.Int32                // consecutive, while the service watches for outliers
	lastCheck    atomic.Pointer[string]      // what the last health check that failed said
	lastFailure  atomic.Pointer[codec.Error] // of an attempt
	ejections    atomic.Int64                // ever
	ejectedUntil atomic.Int64                // Instant
	ejectedRow   atomic.Int64                // ejections that followed one another closely

	_ [cacheLine]byte // open is written at every dial

	// Atomic, any goroutine: connections that are open or being dialled, over all loops.
	open atomic.Int64
}

// Values of Target.joined that are no Instant.
const (
	notJoining = 0  // the target has its whole weight
	joinsNext  = -1 // slow start begins when somebody looks at the target first
)

// Counts is one loop's share of a target's counts. That loop writes, any goroutine reads. Idle and Waiting are atomic,
// for a loop that changes one of them looks at the other loops' other one next: one of the two loops must see the other.
type Counts struct {
	InFlight owned.Int64  // requests the target was given and has not ended
	Idle     atomic.Int64 // idle connections in the loop's pool that another loop may have
	Resting  owned.Int64  // idle connections that cannot leave the loop, for requests share them
	Waiting  atomic.Int64 // requests that wait for a connection on the loop

	Succeeded owned.Int64 // requests answered with a status below 500
	Failed    owned.Int64 // requests answered with another, or not at all by the server's fault

	_ [cacheLine - 48]byte
}

// cacheLine is the distance in bytes that keeps two writers out of each other's way.
const cacheLine = 64

// MaxWeight is the largest weight a target can have.
const MaxWeight = 1<<16 - 1

// NewTarget makes a primary target of weight 1 that is up and has nothing open. loops is how many loops there are.
func NewTarget(id string, addr reactor.Addr, host string, loops int) *Target {
	t := &Target{ID: id, Addr: addr, Host: host, counts: make([]Counts, loops)}
	t.weight.Store(1)
	return t
}

// Weight is the target's share of the requests of its service, without a slow start's reduction.
func (t *Target) Weight() int { return int(t.weight.Load()) }

// SetWeight changes the weight to one of 0 to MaxWeight. 0 drains: only requests that stick to the target still come.
// Any goroutine but a loop's: with consistent_hash it rebuilds the service's table.
func (t *Target) SetWeight(w int) {
	w = min(max(w, 0), MaxWeight)
	if int(t.weight.Swap(int64(w))) == w {
		return
	}
	t.mark(isWeightless, w == 0)
	t.changed()
	if s := t.service.Load(); s != nil {
		s.reweigh()
	}
}

// Backup reports whether the target is used only when the primaries are not enough. Any goroutine.
func (t *Target) Backup() bool { return t.has(isBackup) }

// SetBackup changes it. Any goroutine.
func (t *Target) SetBackup(on bool) { t.mark(isBackup, on) }

// Draining reports whether an operator lets the target end what it has. Any goroutine.
func (t *Target) Draining() bool { return t.has(isDraining) }

// SetDraining changes it. A draining target still takes requests that stick to it. Any goroutine.
func (t *Target) SetDraining(on bool) { t.mark(isDraining, on) }

// SetHealth is the health checker's: up or down, and why. A target that comes up begins slowly. Any goroutine.
func (t *Target) SetHealth(up bool, now reactor.Instant, why string) {
	if !up {
		t.lastCheck.Store(&why)
	} else if t.has(isDown) {
		t.join(now)
	}
	if t.mark(isDown, !up) {
		from, to := "up", "down"
		if up {
			from, to = to, from
		}
		t.tell(Event{What: EventHealth, From: from, To: to, Why: why})
	}
}

func (t *Target) has(c condition) bool { return condition(t.condition.Load())&c != 0 }

// mark sets or clears a condition and reports whether that changed anything.
func (t *Target) mark(c condition, on bool) bool {
	var before uint32
	if on {
		before = t.condition.Or(uint32(c))
	} else {
		before = t.condition.And(^uint32(c))
	}
	if (condition(before)&c != 0) == on {
		return false
	}
	t.changed()
	return true
}

// changed makes every loop look at the service's targets again. It comes after the change.
func (t *Target) changed() {
	if s := t.service.Load(); s != nil {
		s.epoch.Add(1)
	}
}

// tell reports an event about the target.
func (t *Target) tell(e Event) {
	if s := t.service.Load(); s != nil {
		e.Target = t
		s.tell(e)
	}
}

// takesSticky reports whether the target may be given requests that stick to it.
func (t *Target) takesSticky() bool { return !t.has(unhealthy) }

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
		n += t.counts[i].Idle.Load() + t.counts[i].Resting.Load()
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

// among reports whether t is in set.
func (t *Target) among(set []*Target) bool { return slices.Contains(set, t) }
