package upstream

import (
	"time"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
)

// AttemptState is how far an attempt has come.
type AttemptState uint8

// States of an attempt.
const (
	AttemptFree    AttemptState = iota // in the free list
	AttemptFailing                     // Failed is to be called after this event
	AttemptQueued                      // waits for a connection
	AttemptOpening                     // waits for a connection that is being opened
	AttemptReady                       // has a connection; Ready is to be called after this event
	AttemptOpen                        // Ready was called
	AttemptDone                        // the receiver hears nothing any more
)

func (s AttemptState) String() string {
	return [...]string{"free", "failing", "queued", "opening", "ready", "open", "done"}[s]
}

// Attempt is one request on its way to one server. It belongs to its loop.
type Attempt struct {
	// Immutable:
	pools *Pools
	later func() // what is deferred: a.deferred, bound once

	// Owned by the loop:
	service  *Service
	receiver codec.Receiver
	taker    Taker     // of the response's content; nil: takes whatever comes
	pool     *pool     // nil when no server was found
	awaits   awaited   // in AttemptOpening
	conn     carrier   // from AttemptReady on
	h2       *h2stream // memory for such a carrier; nil until the first
	err      *codec.Error
	timer    reactor.Timer
	next     *Attempt // in a line
	state    AttemptState
	shape    Shape
	asked    uint8           // connections of HTTP/2 on which it waited for settings
	pending  bool            // a.later is deferred and has not run
	released bool            // the owner is through with it
	timeout  time.Duration   // Query.Timeout
	pipe     *pipeline       // that the attempt has a place in; nil without one
	size     int             // bytes of its request in pipe
	holds    int             // times its receiver holds the response, in pipe
	turn     reactor.Instant // in which its request was sent in pipe
	breaker  *breaker        // the server's, that the attempt passed and has not left; nil without one
	pass     Pass            // of breaker
	status   int             // of the final response; 0 before it

	opened, sent, answered reactor.Instant
	since                  reactor.Instant // when it began to wait, in a queue or for a connection being opened
	queued, connecting     time.Duration
}

// Target is the server chosen, nil when there was none.
func (a *Attempt) Target() *Target {
	if a.pool == nil {
		return nil
	}
	return a.pool.target
}

// Sent is when the request's head was handed to the connection, 0 before.
func (a *Attempt) Sent() reactor.Instant { return a.sent }

// Answered is when the first byte of the response arrived, 0 before.
func (a *Attempt) Answered() reactor.Instant { return a.answered }

// Queued is how long the attempt waited for a connection while the server had as many as it may have, and Connected how
// long opening one took; 0 when an idle one was there.
func (a *Attempt) Queued() time.Duration { return a.queued }

// Connected is described at Queued.
func (a *Attempt) Connected() time.Duration { return a.connecting }

// Release gives the attempt back. When it has not ended it is cancelled: a request of which anything was sent closes
// its connection. The attempt must not be used afterwards.
func (a *Attempt) Release() {
	switch a.state {
	case AttemptQueued:
		a.pool.unqueue(a)
	case AttemptOpening:
		a.awaits.leave(a)
	case AttemptReady:
		a.conn.unused()
	case AttemptOpen:
		a.conn.abandon()
	}
	a.end(nil)
	a.released = true
	if !a.pending {
		a.pools.freeAttempt(a)
	}
}

// end makes the attempt silent and settles its counts, with why it failed if it did. It is idempotent.
func (a *Attempt) end(e *codec.Error) {
	if a.state == AttemptDone {
		return
	}
	a.state = AttemptDone // the timer stays: moving it for the next request is cheaper than arming it again
	a.conn, a.awaits = nil, nil
	if a.pool != nil {
		a.pool.counts.InFlight.Add(-1)
		a.judge(e)
	}
}

// fail ends the attempt and tells its receiver. Only from an event, never from a call of the receiver's.
func (a *Attempt) fail(e *codec.Error) {
	if a.state == AttemptDone {
		return
	}
	a.end(e)
	if a.pool != nil {
		a.pool.meter.Failed(e.Kind)
	}
	a.receiver.Failed(e)
}

func (a *Attempt) failLater(e *codec.Error) {
	a.err, a.state = e, AttemptFailing
	a.deferLater()
}

// bind gives the attempt a carrier, to send its request on after this event.
func (a *Attempt) bind(c carrier) {
	a.conn, a.state = c, AttemptReady
	a.deferLater()
}

func (a *Attempt) deferLater() {
	if !a.pending {
		a.pending = true
		a.pools.loop.Defer(a.later)
	}
}

// deferred runs after the event in which the attempt got its connection or failed.
func (a *Attempt) deferred() {
	a.pending = false
	switch {
	case a.released:
		a.pools.freeAttempt(a)
	case a.state == AttemptFailing:
		a.fail(a.err)
	case a.state == AttemptReady:
		a.state = AttemptOpen
		a.armWithin(a.requestTime())
		a.receiver.Ready(a.conn)
	}
}

// requestTime is how long the response head may take from now on: a request that is sent again has what is left.
func (a *Attempt) requestTime() time.Duration {
	limit := a.service.Options().RequestTimeout
	if limit <= 0 || a.sent == 0 {
		return limit
	}
	return max(limit-a.pools.loop.Now().Sub(a.sent), reactor.Tick)
}

func (a *Attempt) arm(d time.Duration) {
	if d > 0 {
		a.pools.loop.Arm(&a.timer, d)
	}
}

// armWithin arms the timer for d, or for what is left of the attempt's own time when that is less.
func (a *Attempt) armWithin(d time.Duration) {
	if a.timeout > 0 {
		if left := a.timeout - a.pools.loop.Now().Sub(a.opened); d <= 0 || left < d {
			d = max(left, reactor.Tick)
		}
	}
	a.arm(d)
}

// awaitHead arms the timer anew for the response head: the server has just taken content or sent a sign of life.
func (a *Attempt) awaitHead() {
	if a.timeout > 0 {
		a.arm(a.timeout)
	} else {
		a.arm(a.service.Options().RequestTimeout)
	}
}

// expired runs when the time of the present state is over.
func (a *Attempt) expired() {
	switch a.state {
	case AttemptQueued:
		a.pool.unqueue(a)
		if a.timeout > 0 && a.pools.loop.Now().Sub(a.opened) >= a.timeout {
			a.fail(errAttemptTimeout)
		} else {
			a.fail(errQueueTimeout)
		}
	case AttemptOpening:
		a.awaits.leave(a)
		a.fail(errConnectTimeout)
	case AttemptOpen:
		a.conn.expired()
	}
}
