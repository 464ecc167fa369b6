package exchange

import (
	"slices"
	"strconv"
	"time"

	"traffic_management/codec"
)

// RetryPolicy says which requests are sent again, and how often. It is immutable. A route without one gives a request
// one more try, at once, when it is certain that no server acted on the first.
type RetryPolicy struct {
	Attempts        int             // tries after the first
	InitialInterval time.Duration   // longest first wait; each further one may be twice as long
	MaxInterval     time.Duration   // longest of all waits
	AttemptTimeout  time.Duration   // of each try until its response head; 0: the service's RequestTimeout alone
	BudgetPercent   int             // of the service's active requests that may be retries (upstream.Service.BeginRetry)
	OnStatus        codec.StatusSet // responses that are dropped while there is another try
	NonIdempotent   bool            // methods that are not idempotent are repeated, too, though a server may have acted
	MaxBody         int             // request content kept for another try, in bytes; a request with more is not repeated
}

// errTimeout ends all tries; the time of a single one is the attempt's to watch.
var errTimeout = &codec.Error{Side: codec.Upstream, Kind: codec.KindTimeout, Retry: codec.RetryNever, Status: 504,
	Cause: errText("no server responded in time")}

// statusError is what a response that was dropped for another try comes to when there is none after all.
func statusError(status int) *codec.Error {
	e := &codec.Error{Side: codec.Upstream, Kind: codec.KindStatus, Retry: codec.RetryUnanswered, Status: status,
		Cause: errText("the server answered " + strconv.Itoa(status) + " and could not be asked again in time")}
	if status < 400 { // means nothing without the rest of the response
		e.Status = 502
	}
	return e
}

// keep notes request content that goes to a server, and copies it when the route's policy has it sent again.
func (x *Exchange) keep(p []byte) {
	policy := x.Route.Retry
	if policy != nil {
		x.moved = x.local.Loop.Now()
	}
	switch {
	case x.replay == ReplayLost:
	case policy == nil || x.response >= ResponseStreaming || len(x.kept)+len(p) > policy.MaxBody ||
		x.RequestHead.Length > int64(policy.MaxBody):
		x.forget()
	default:
		x.kept = append(x.kept, p...)
		x.replay = ReplayKept
	}
}

// forget gives up sending the request again.
func (x *Exchange) forget() {
	x.replay = ReplayLost
	x.kept = x.kept[:0]
	if cap(x.kept) > keepBytes {
		x.kept = nil
	}
}

// replayable reports whether the request may be sent once more after a failure of this kind (RFC 9110 section 9.2.2).
func (x *Exchange) replayable(r codec.Retry) bool {
	p, tries := x.Route.Retry, 1
	if p != nil {
		tries = p.Attempts
	}
	if x.tries >= tries || x.request == RequestBroken || x.replay == ReplayLost {
		return false
	}
	again := x.RequestHead.Method.Idempotent() || p != nil && p.NonIdempotent
	switch r {
	case codec.RetrySafe:
		return true
	case codec.RetryIdle:
		return again
	case codec.RetryUnanswered:
		return again && p != nil
	}
	return false
}

// repeat sends the request to another server after e, or begins to wait for that. It reports false when nothing more
// is to be tried. The first try after a failure that no server need know of goes at once and is in nobody's budget.
func (x *Exchange) repeat(e *codec.Error) bool {
	if !x.replayable(e.Retry) {
		return false
	}
	x.avoid()
	if x.tries > 0 || e.Retry == codec.RetryUnanswered {
		return x.wait()
	}
	if x.Route.Retry != nil && x.timeLeft() <= 0 {
		return false
	}
	x.tries++
	x.again()
	return true
}

// repeatsStatus reports whether a response is dropped for another try. It is passed on when there is none, and when
// there might be no time to wait for it.
func (x *Exchange) repeatsStatus(status int) bool {
	p := x.Route.Retry
	return p != nil && p.OnStatus.Has(status) && x.replayable(codec.RetryUnanswered) && x.interval(p) < x.timeLeft()
}

// avoid notes the server of the last try. When all were tried the next is to be any but the last.
func (x *Exchange) avoid() {
	if x.target == nil {
		return
	}
	if len(x.tried)+1 >= len(x.Route.Service.Targets()) || slices.Contains(x.tried, x.target) {
		x.tried = x.tried[:0]
	}
	x.tried = append(x.tried, x.target)
}

// lostServer reports whether the last try says that its server is not there, as the end of an idle connection or a
// status does not.
func (x *Exchange) lostServer() bool {
	e := x.lost
	return len(x.tried) > 0 && e != nil && (e.Kind == codec.KindRefused || e.Kind == codec.KindTimeout ||
		e.Kind == codec.KindClosed && e.Retry == codec.RetryUnanswered)
}

// interval is the longest that the next wait may be.
func (x *Exchange) interval(p *RetryPolicy) time.Duration {
	d := p.InitialInterval
	for range x.waits {
		if d >= p.MaxInterval {
			break
		}
		d *= 2
	}
	return min(d, p.MaxInterval)
}

// wait begins a wait, of at least half its interval so that servers have time and at random so that requests that
// failed together do not come back together. It takes one of the tries. It reports false when the request's time would
// be over first.
func (x *Exchange) wait() bool {
	d := x.interval(x.Route.Retry)
	if half := d / 2; half > 0 {
		d = half + time.Duration(x.local.rnd.Uint64()%uint64(half+1))
	}
	if d >= x.timeLeft() {
		return false
	}
	x.tries++
	x.waits++
	if x.place == placeNone {
		x.place = placeWaiting
		x.Route.Service.AwaitRetry()
	}
	x.state = AttemptWaiting
	x.holdContent()
	x.local.Loop.Arm(&x.timer, d)
	return true
}

// waited follows a wait. While too many of the service's requests are being repeated already it goes on to the next.
func (x *Exchange) waited() {
	p := x.Route.Retry
	if x.Route.Service.BeginRetry(p.BudgetPercent) {
		x.place = placeRunning
		x.again()
		return
	}
	x.RetriesRefused++
	if x.tries >= p.Attempts || !x.wait() {
		x.release()
		x.answer(x.lost)
		x.settle()
	}
}

// again begins a further try. From here on the exchange watches the time of all of them.
func (x *Exchange) again() {
	x.Retries++
	if x.Route.Retry != nil {
		if left := x.timeLeft(); left < unlimited {
			x.local.Loop.Arm(&x.timer, left)
		}
	}
	x.open()
}

// unlimited is the time left when RequestTimeout is 0.
const unlimited = time.Duration(1<<63 - 1)

// timeLeft is how long the response head may still take, over all tries: RequestTimeout from the request, or from the
// last of its content that went to a server.
func (x *Exchange) timeLeft() time.Duration {
	limit := x.Route.Service.Options().RequestTimeout
	if limit == 0 {
		return unlimited
	}
	return limit - x.local.Loop.Now().Sub(max(x.Started, x.moved))
}

// expired is the timer's.
func (x *Exchange) expired() {
	switch {
	case x.state == AttemptWaiting:
		x.waited()
	case x.response >= ResponseStreaming:
	case x.state == AttemptOpen && x.request == RequestStreaming && !x.AwaitsContinue():
		// The client is still sending. The attempt can tell whether it or the server is slow.
		x.local.Loop.Arm(&x.timer, x.Route.Service.Options().RequestTimeout)
	case x.timeLeft() > 0:
		x.local.Loop.Arm(&x.timer, x.timeLeft())
	default:
		x.lost, x.state = errTimeout, AttemptLost
		x.settle()
	}
}

// leavePlace ends what the last try had of the timer and of the service's budget.
func (x *Exchange) leavePlace() {
	x.local.Loop.Stop(&x.timer)
	switch x.place {
	case placeWaiting:
		x.Route.Service.CancelRetry()
	case placeRunning:
		x.Route.Service.EndRetry()
	}
	x.place = placeNone
}

// retryPlace is what an exchange counts as in its service's budget of retries.
type retryPlace uint8

const (
	placeNone    retryPlace = iota // nothing: its first try, or one that goes at once
	placeWaiting                   // one that waits for its next try
	placeRunning                   // one that is being tried again
)

func (p retryPlace) String() string { return [...]string{"none", "waiting", "running"}[p] }
