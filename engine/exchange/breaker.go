package exchange

import (
	"time"

	"traffic_management/codec"
	"traffic_management/upstream"
)

var errBreakerOpen = &codec.Error{Side: codec.Upstream, Kind: codec.KindBreaker, Retry: codec.RetryNever, Status: 503,
	Cause: errText("the circuit breaker of the service is open")}

// enter asks the route's breaker to let the exchange through.
func (x *Exchange) enter() bool {
	x.pass = x.Route.Breaker.Enter(x.local.Loop.Now())
	return x.pass != upstream.Refused
}

// accept follows a final response head that goes to the client, which says enough for the breaker: the rest may take
// hours. A client that was answered by another server than its cookie names is told to stick to that one.
func (x *Exchange) accept(h *codec.Head) {
	if x.pass != upstream.Refused {
		o := upstream.Success
		if x.Route.Breaker.Fails(h.Status) {
			o = upstream.Failure
		}
		x.leave(o)
	}
	if t := x.attempt.Target(); t != x.stick {
		if cookie := x.Route.Service.Cookie(t); cookie != nil {
			h.Fields = append(h.Fields, codec.NewField(codec.FieldSetCookie, cookie))
		}
	}
}

// outcome is what a breaker makes of an exchange in which no server's response reached the client.
func (x *Exchange) outcome() upstream.Outcome {
	switch e := x.Err; {
	case e == nil || e.Side == codec.Client:
		return upstream.Neutral
	case e.Kind == codec.KindNoTarget || e.Kind == codec.KindQueue || e.Kind == codec.KindCancelled:
		return upstream.Neutral // no server was asked
	case e.Kind == codec.KindStatus && !x.Route.Breaker.Fails(e.Status):
		return upstream.Success
	}
	return upstream.Failure
}

// leave tells the breaker how the exchange went, once.
func (x *Exchange) leave(o upstream.Outcome) {
	x.Route.Breaker.Leave(x.local.Loop.Now(), x.pass, o)
	x.pass = upstream.Refused
}

// retryAfter is when a client that was told 503 because of e may ask again.
func (x *Exchange) retryAfter(e *codec.Error) time.Duration {
	if e != errBreakerOpen {
		return time.Second
	}
	return x.Route.Breaker.RetryAfter(x.local.Loop.Now()) + time.Second - 1 // rounded up
}
