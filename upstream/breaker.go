package upstream

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
)

// BreakerState is whether a circuit breaker lets requests through.
//
//	state      event                                            next
//	closed     FailureThreshold failures in a row, or           open
//	           FailureRatio of MinRequests in the window
//	open       a request, Recovery after it opened              half-open, the request is a probe
//	half-open  a request, fewer than HalfOpenRequests probes    half-open, the request is a probe
//	half-open  HalfOpenRequests probes succeeded                closed
//	half-open  a probe failed                                   open
type BreakerState uint8

// States of a breaker.
const (
	BreakerClosed   BreakerState = iota // all pass
	BreakerOpen                         // none pass
	BreakerHalfOpen                     // probes pass
)

func (s BreakerState) String() string { return [...]string{"closed", "open", "half-open"}[s] }

// Outcome is how a request that passed a breaker ended.
type Outcome uint8

// Outcomes.
const (
	Neutral Outcome = iota // says nothing of the server: the client's fault, cancelled, a limit of ours
	Success
	Failure
)

func (o Outcome) String() string { return [...]string{"neutral", "success", "failure"}[o] }

// BreakerPolicy is the settings of a circuit breaker; immutable.
type BreakerPolicy struct {
	Name             string
	FailureThreshold int           // failures in a row that open it; 0: any number
	Recovery         time.Duration // how long it stays open
	FailureRatio     float64       // share of failures among the requests of the window that opens it; 0: any
	MinRequests      int           // in the window, before FailureRatio counts
	Window           time.Duration
	HalfOpenRequests int             // probes; at least 1
	Failures         codec.StatusSet // statuses that are failures
}

// Pass is what Enter gave a request, for Leave.
type Pass uint64

// Refused is the Pass of a request that must not go on.
const Refused Pass = 0

// breaker is one circuit breaker. Any goroutine. While it is closed and requests succeed it takes no lock and, without
// FailureRatio, writes nothing; its mutex guards changes of state and the counts of probes.
//
// A pass is the number of the state that gave it. What ends with the pass of an earlier state is not counted: it tells
// of a time that the change of state has already judged.
type breaker struct {
	policy *BreakerPolicy
	tell   func(from, to BreakerState, why string)

	word        atomic.Uint64 // number of the state, from 1, and in the low stateBits the state
	consecutive atomic.Int32  // failures in a row while closed
	until       atomic.Int64  // Instant, while open
	admitted    atomic.Int32  // probes while half-open; written with mu held
	opened      atomic.Int64  // times it opened, ever
	window      *window       // nil without FailureRatio

	mu        sync.Mutex
	succeeded int // probes while half-open
}

const stateBits = 2

func newBreaker(p *BreakerPolicy, tell func(from, to BreakerState, why string)) *breaker {
	b := &breaker{policy: p, tell: tell}
	if p.FailureRatio > 0 {
		b.window = newWindow(p.Window)
	}
	b.word.Store(1<<stateBits | uint64(BreakerClosed))
	return b
}

func stateOf(word uint64) BreakerState { return BreakerState(word & (1<<stateBits - 1)) }

// takes reports whether enter would let a request through.
func (b *breaker) takes(now reactor.Instant) bool {
	switch stateOf(b.word.Load()) {
	case BreakerClosed:
		return true
	case BreakerOpen:
		return int64(now) >= b.until.Load()
	}
	return int(b.admitted.Load()) < b.policy.HalfOpenRequests
}

// enter asks to let a request through.
func (b *breaker) enter(now reactor.Instant) Pass {
	if w := b.word.Load(); stateOf(w) == BreakerClosed {
		return Pass(w)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if stateOf(b.word.Load()) == BreakerOpen && int64(now) >= b.until.Load() {
		b.admitted.Store(0)
		b.succeeded = 0
		b.turn(BreakerHalfOpen, "its recovery time is over")
	}
	w := b.word.Load()
	switch stateOf(w) {
	case BreakerOpen:
		return Refused
	case BreakerHalfOpen:
		if int(b.admitted.Load()) >= b.policy.HalfOpenRequests {
			return Refused
		}
		b.admitted.Add(1)
	}
	return Pass(w)
}

// probes reports whether the request of this pass is a probe.
func (p Pass) probes() bool { return stateOf(uint64(p)) == BreakerHalfOpen }

// leave tells how a request that enter let through ended.
func (b *breaker) leave(now reactor.Instant, p Pass, o Outcome) {
	if uint64(p) != b.word.Load() || o == Neutral && !p.probes() {
		return
	}
	if p.probes() {
		b.probed(now, p, o)
		return
	}
	if b.window != nil {
		b.window.add(now, o == Failure)
	}
	if o == Success {
		if b.consecutive.Load() != 0 {
			b.consecutive.Store(0)
		}
		return
	}
	if n := int(b.consecutive.Add(1)); b.policy.FailureThreshold > 0 && n >= b.policy.FailureThreshold {
		b.open(now, p, fmt.Sprintf("%d failures in a row", n))
		return
	}
	if b.window != nil {
		failed, total := b.window.sums(now)
		if total >= b.policy.MinRequests && float64(failed) >= b.policy.FailureRatio*float64(total) {
			b.open(now, p, fmt.Sprintf("%d of %d requests failed in %v", failed, total, b.policy.Window))
		}
	}
}

// probed tells how a probe ended.
func (b *breaker) probed(now reactor.Instant, p Pass, o Outcome) {
	switch o {
	case Failure:
		b.open(now, p, "a probe failed")
		return
	case Neutral: // another one may go
		b.mu.Lock()
		defer b.mu.Unlock()
		if uint64(p) == b.word.Load() {
			b.admitted.Add(-1)
		}
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if uint64(p) != b.word.Load() {
		return
	}
	if b.succeeded++; b.succeeded >= b.policy.HalfOpenRequests {
		b.consecutive.Store(0)
		if b.window != nil {
			b.window.clear()
		}
		b.turn(BreakerClosed, fmt.Sprintf("%d probes succeeded", b.succeeded))
	}
}

// open opens the breaker unless its state has changed since p was given.
func (b *breaker) open(now reactor.Instant, p Pass, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if uint64(p) != b.word.Load() {
		return
	}
	b.until.Store(int64(now.Add(b.policy.Recovery)))
	b.opened.Add(1)
	b.turn(BreakerOpen, why)
}

// turn changes the state; b.mu is held.
func (b *breaker) turn(to BreakerState, why string) {
	w := b.word.Load()
	b.word.Store((w>>stateBits+1)<<stateBits | uint64(to))
	b.tell(stateOf(w), to, why)
}

// BreakerStatus is what is known of a circuit breaker at one moment.
type BreakerStatus struct {
	Name     string
	State    BreakerState
	OpenFor  time.Duration // still; 0 when it is not open, or waits for a probe
	Failures int           // in a row, while closed
	Opened   int           // times, ever
}

func (b *breaker) status(name string, now reactor.Instant) BreakerStatus {
	st := BreakerStatus{Name: name, State: stateOf(b.word.Load()), Opened: int(b.opened.Load())}
	switch st.State {
	case BreakerClosed:
		st.Failures = int(b.consecutive.Load())
	case BreakerOpen:
		st.OpenFor = max(reactor.Instant(b.until.Load()).Sub(now), 0)
	}
	return st
}
