package exchange

import (
	"context"
	"runtime/debug"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
)

// errPanic ends an exchange one of whose filters panicked.
var errPanic = &codec.Error{Side: codec.Internal, Kind: codec.KindPanic, Retry: codec.RetryNever, Status: 500,
	Cause: errText("a middleware failed")}

// Contain has a panic of a filter, or of what it put in the way of content, end its exchange and nothing else: with 500, or
// with a response that is cut short when its head is out. told is given each panic. Without Contain they are the loop's,
// which closes the connection that it was reading: that of a client, or of a server, with all that others have on it. Before
// the first exchange.
func (l *Local) Contain(told func(v any, stack []byte)) { l.panicked = told }

// contained reports whether there was a panic, v, and tells of it.
func (l *Local) contained(v any) bool {
	if v == nil {
		return false
	}
	l.panicked(v, debug.Stack())
	return true
}

// The calls of filters. Where nobody is to be told of panics they are not recovered, so that tests end at them.

func (x *Exchange) callRequest(f Filter) (v Verdict) {
	defer func() {
		if x.local.panicked != nil && x.local.contained(recover()) {
			x.buffer = 0
			x.giveUp(errPanic)
			v = Answered
		}
	}()
	return f.Request(x)
}

// callResponse makes a response wait whose filter panicked, until whoever delivers it is done.
func (x *Exchange) callResponse(f ResponseFilter, h *codec.Head, end bool) (v Verdict) {
	defer func() {
		if x.local.panicked != nil && x.local.contained(recover()) {
			x.giveUpSoon()
			v = Wait
		}
	}()
	return f.Response(x, h, end)
}

func (x *Exchange) callDone(e Ender) {
	defer func() {
		if x.local.panicked != nil {
			x.local.contained(recover())
		}
	}()
	e.Done(x)
}

// callDrop drops a Body or a Tee.
func (x *Exchange) callDrop(d interface{ Drop() }) {
	defer func() {
		if x.local.panicked != nil {
			x.local.contained(recover())
		}
	}()
	d.Drop()
}

// callTee reports false when the request was refused for a panic.
func (x *Exchange) callTee(t Tee, p []byte, end bool) (ok bool) {
	defer func() {
		if x.local.panicked != nil && x.local.contained(recover()) {
			x.refuse(errPanic)
			ok = false
		}
	}()
	t.Data(p, end)
	return true
}

func (x *Exchange) callData(b Body, p []byte, end bool) {
	defer func() {
		if x.local.panicked != nil && x.local.contained(recover()) {
			x.giveUpBodies()
		}
	}()
	b.Data(p, end)
}

func (x *Exchange) callTrailers(b Body, t []codec.Field) {
	defer func() {
		if x.local.panicked != nil && x.local.contained(recover()) {
			x.giveUpBodies()
		}
	}()
	b.Trailers(t)
}

func (x *Exchange) callQueued(b Body) (n int) {
	defer func() {
		if x.local.panicked != nil && x.local.contained(recover()) {
			x.giveUpBodies()
		}
	}()
	return b.Queued()
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
		defer func() {
			if x.local.panicked != nil && x.local.contained(recover()) {
				x.giveUp(errPanic)
				x.settle()
			}
		}()
		done(v, err)
	})
}

// call calls what hears a Subrequest. A panic ends the subrequest, and its hearer is told that it failed.
func (s *Subrequest) call(f func(Answer)) {
	defer func() {
		if s.local.panicked != nil && s.local.contained(recover()) {
			if a := s.answer; a != nil {
				s.Cancel()
				s.callFailed(a, errPanic)
			}
		}
	}()
	f(s.answer)
}

func (s *Subrequest) callFailed(a Answer, e *codec.Error) {
	defer func() {
		if s.local.panicked != nil {
			s.local.contained(recover())
		}
	}()
	a.Failed(e)
}
