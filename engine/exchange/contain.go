package exchange

import (
	"context"
	"runtime/debug"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
	"traffic_management/internal/invariant"
)

// errPanic ends an exchange one of whose filters panicked.
var errPanic = &codec.Error{Side: codec.Internal, Kind: codec.KindPanic, Retry: codec.RetryNever, Status: 500,
	Cause: errText("a middleware failed")}

// Contain has a panic of a filter, or of what it put in the way of content, end its exchange and nothing else: with 500, or
// with a response that is cut short when its head is out. told is given each panic. Without Contain they are the loop's,
// which closes the connection that it was reading: that of a client, or of a server, with all that others have on it. Before
// the first exchange.
func (l *Local) Contain(told func(v any, stack []byte)) { l.panicked = told }

// callState is where a call of filters stands. With it those that return, nearly all, do without recover, which walks the
// stack. A deferred function costs some 30 ns, so that there is one for all filters of a chain.
type callState uint8

const (
	calling callState = iota // a panic is to be recovered
	called                   // it has returned, or nobody is to be told of panics, so that tests end at them
)

func (c callState) String() string { return [...]string{"calling", "called"}[c] }

// calls is the state at the beginning of a call.
func (l *Local) calls() callState {
	if l.panicked == nil {
		return called
	}
	return calling
}

// contained reports whether there was a panic, v, and tells of it. Without one the goroutine ends.
func (l *Local) contained(v any) bool {
	if v == nil {
		return false
	}
	l.panicked(v, debug.Stack())
	return true
}

// The calls of filters.

// callRequests gives the request to the filters from x.stage on, until one does not let it pass.
func (x *Exchange) callRequests() (v Verdict) {
	c := x.local.calls()
	defer func() {
		if c == calling && x.local.contained(recover()) {
			x.buffer = 0
			x.giveUp(errPanic)
			v = Answered
		}
	}()
	for filters := x.Route.Chain.filters; v == Next && x.stage < len(filters); {
		x.at = x.stage
		x.stage++
		if v = filters[x.at].Request(x); v == Next {
			invariant.Check(x.response <= ResponseInterim, "a filter that answered does not let the request pass")
			x.unshown = x.stage
		}
	}
	c = called
	return v
}

// callResponses gives the head to the filters from i down, until one makes it wait: that of x.at. A response whose filter
// panicked waits until whoever delivers it is done.
func (x *Exchange) callResponses(h *codec.Head, end bool, i int) (v Verdict) {
	c := x.local.calls()
	defer func() {
		if c == calling && x.local.contained(recover()) {
			x.giveUpSoon()
			v = Wait
		}
	}()
	for responses := x.Route.Chain.responses; v == Next && i >= 0; i-- {
		if f := responses[i]; f != nil {
			x.at = i
			v = f.Response(x, h, end)
		}
	}
	c = called
	return v
}

// callDones tells the filters from x.at on that the exchange is over, until one panics. x.at is behind those that were told.
func (x *Exchange) callDones() {
	c := x.local.calls()
	defer func() {
		if c == calling && x.local.contained(recover()) {
			x.at++
		}
	}()
	for ; x.at < x.stage; x.at++ {
		if e := x.Route.Chain.enders[x.at]; e != nil {
			e.Done(x)
		}
	}
	c = called
}

// callDrop drops a Body or a Tee.
func (x *Exchange) callDrop(d interface{ Drop() }) {
	c := x.local.calls()
	defer func() {
		if c == calling {
			x.local.contained(recover())
		}
	}()
	d.Drop()
	c = called
}

// callTee reports false when the request was refused for a panic.
func (x *Exchange) callTee(t Tee, p []byte, end bool) (ok bool) {
	c := x.local.calls()
	defer func() {
		if c == calling && x.local.contained(recover()) {
			x.refuse(errPanic)
			ok = false
		}
	}()
	t.Data(p, end)
	c = called
	return true
}

func (x *Exchange) callData(b Body, p []byte, end bool) {
	c := x.local.calls()
	defer func() {
		if c == calling && x.local.contained(recover()) {
			x.giveUpBodies()
		}
	}()
	b.Data(p, end)
	c = called
}

func (x *Exchange) callTrailers(b Body, t []codec.Field) {
	c := x.local.calls()
	defer func() {
		if c == calling && x.local.contained(recover()) {
			x.giveUpBodies()
		}
	}()
	b.Trailers(t)
	c = called
}

func (x *Exchange) callQueued(b Body) (n int) {
	c := x.local.calls()
	defer func() {
		if c == calling && x.local.contained(recover()) {
			x.giveUpBodies()
		}
	}()
	n = b.Queued()
	c = called
	return n
}

// giveUp ends the exchange for e, with a reply while the client can be told anything. What is still to be settled the caller
// settles.
func (x *Exchange) giveUp(e *codec.Error) {
	switch {
	case x.response >= ResponseWhole:
	case x.answerable():
		x.release()
		if x.withheld != nil {
			x.takeBack()
		}
		x.answer(e)
	default:
		x.cut(e)
	}
}

// giveUpSoon does that for a panic after this event, unless the response has been given up by then.
func (x *Exchange) giveUpSoon() {
	round := x.round
	x.local.Loop.Defer(func() {
		if x.round == round {
			x.giveUp(errPanic)
			x.settle()
		}
	})
}

// giveUpBodies gives the response up for a panic of a Body. No content gets past the others meanwhile.
func (x *Exchange) giveUpBodies() {
	x.dropBodies()
	if x.response < ResponseWhole && !x.answerable() {
		x.cut(errPanic)
	}
	x.bodies = append(x.bodies, &discard{x: x})
	x.giveUpSoon()
}

// Go is reactor.Go for a filter: a panic in done ends the exchange as one in the filter's methods does. The job is to be
// cancelled in Done.
func Go[T any](x *Exchange, work func(context.Context) (T, error), done func(T, error)) *reactor.Job {
	return reactor.Go(x.local.Loop, work, func(v T, err error) {
		c := x.local.calls()
		defer func() {
			if c == calling && x.local.contained(recover()) {
				x.giveUp(errPanic)
				x.settle()
			}
		}()
		done(v, err)
		c = called
	})
}

// call calls what hears a Subrequest. A panic ends the subrequest, and its hearer is told that it failed.
func (s *Subrequest) call(f func(Answer)) {
	c := s.local.calls()
	defer func() {
		if c == calling && s.local.contained(recover()) {
			if a := s.answer; a != nil {
				s.Cancel()
				s.callFailed(a, errPanic)
			}
		}
	}()
	f(s.answer)
	c = called
}

func (s *Subrequest) callFailed(a Answer, e *codec.Error) {
	c := s.local.calls()
	defer func() {
		if c == calling {
			s.local.contained(recover())
		}
	}()
	a.Failed(e)
	c = called
}
