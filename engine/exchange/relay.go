package exchange

import "traffic_management/codec"

// Relay answers the request for a filter with the response to s, whose head h is lent for the call. Its content follows
// as it comes, as fast as the client takes it, but not after HEAD, and the hearer of s is told nothing any more. Inside
// Answer.Head, before Resume with Answered.
func (x *Exchange) Relay(s *Subrequest, h *codec.Head, end bool) {
	if x.response > ResponseInterim { // the proxy has answered while the filter waited
		return
	}
	x.state, x.Status = AttemptLocal, h.Status
	if x.RequestHead.Method == codec.MethodHead && !end {
		h.Framing, end = codec.NoContent, true
		s.Cancel()
	}
	x.relay(s, end)
	x.deliver(h, end)
}

// Discard drops the content of the response that is shown, and what filters further on made of it: other content takes
// its place, that of ReplaceWith or Replace, one of which follows. Inside ResponseFilter.Response only, which returns
// Wait.
func (x *Exchange) Discard() {
	x.letGo(holdsServer)
	x.dropBodies()
	x.endRelay()
	x.bodies, x.from = append(x.bodies, &discard{x: x}), 1
}

// ReplaceWith goes on with the response that waits, as ResumeResponse does, with the content of the answer to s, whose
// head h tells its length. Otherwise as Relay.
func (x *Exchange) ReplaceWith(s *Subrequest, h *codec.Head, end bool) {
	if w := x.replaced(); w != nil {
		x.relay(s, end)
		w.head.Framing, w.head.Length, w.end = h.Framing, h.Length, end
		x.ResumeResponse()
	}
}

// Replace goes on with the response that waits, as ResumeResponse does, with this content, lent for the call.
func (x *Exchange) Replace(content []byte) {
	w := x.replaced()
	if w == nil {
		return
	}
	w.head.Framing, w.head.Length, w.end = codec.ByLength, int64(len(content)), false
	if x.RequestHead.Method == codec.MethodHead || len(content) == 0 {
		w.head.Framing, w.end = codec.NoContent, true
	} else {
		w.data, w.over = append(w.data, content...), true
	}
	x.ResumeResponse()
}

// replaced is the response that waits for content, nil when none does any more.
func (x *Exchange) replaced() *withheld {
	if x.from == 0 || x.response >= ResponseWhole {
		return nil
	}
	return x.withheld
}

// RefuseResponse answers the request for a filter in place of the response that the filter makes wait, which is dropped.
// On the loop, from an event of the filter's own or a call of its Body, and not after its Done.
func (x *Exchange) RefuseResponse(e *codec.Error) {
	if x.withheld == nil || x.response >= ResponseWhole {
		return
	}
	x.release()
	x.takeBack()
	x.answer(e)
	x.settle()
}

// relay has the content of the answer to s given to the client, unless it has ended.
func (x *Exchange) relay(s *Subrequest, end bool) {
	if !end {
		x.relayed = s
		s.answer = (*relay)(x)
	}
}

// endRelay gives up the subrequest that content comes from.
func (x *Exchange) endRelay() {
	if s := x.relayed; s != nil {
		x.overRelay()
		s.Cancel()
	}
}

func (x *Exchange) overRelay() {
	x.relayed = nil
	x.flow &^= holdsServer
}

// relay is the Exchange as the Answer to the subrequest that the response's content comes from.
type relay Exchange

// Head does nothing: the head was heard by the filter.
func (r *relay) Head(*codec.Head, bool) {}

// Data passes content on.
func (r *relay) Data(p []byte, end bool) {
	x := (*Exchange)(r)
	if end {
		x.overRelay()
	}
	x.passData(x.from, p, end)
	if end {
		x.settle()
	} else if x.relayed != nil && x.queuedFrom(x.from) > codec.HighMark {
		x.hold(holdsServer)
	}
}

// Trailers ends the content.
func (r *relay) Trailers(t []codec.Field) {
	x := (*Exchange)(r)
	x.overRelay()
	x.passTrailers(x.from, t)
	x.settle()
}

// Failed notes that the rest of the content does not come.
func (r *relay) Failed(e *codec.Error) {
	x := (*Exchange)(r)
	x.overRelay()
	switch {
	case x.response >= ResponseWhole:
		return
	case x.withheld != nil:
		x.release()
		x.takeBack()
		x.answer(e)
	default:
		x.release()
		x.cut(e)
	}
	x.settle()
}

// mostDiscarded is how much content is read to its end in vain, so that the connection it comes on can be used again.
const mostDiscarded = 64 << 10

// discard is a Body that passes nothing on.
type discard struct {
	x    *Exchange
	size int
}

// Data drops content, and gives up the server that sends too much of it.
func (d *discard) Data(p []byte, _ bool) {
	if d.size += len(p); d.size > mostDiscarded && d.x.state == AttemptOpen {
		d.x.release()
	}
}

// Trailers drops the end.
func (d *discard) Trailers([]codec.Field) {}

// Queued is 0: nothing is kept.
func (d *discard) Queued() int { return 0 }

// Drop does nothing.
func (d *discard) Drop() {}
