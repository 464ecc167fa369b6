package exchange

import (
	"traffic_management/codec"
)

// Body takes the content of one response on its way to the client, in place of a filter (Exchange.Insert). It belongs to
// the loop. It may pass content on later than it came; the response is over when it passed on the end.
type Body interface {
	// Data is content, lent for the call; end says it was the last.
	Data(p []byte, end bool)
	// Trailers ends the content with a trailer section, lent for the call.
	Trailers(t []codec.Field)
	// Queued is how many bytes it keeps to pass on later without being given more: the server is held while they are many.
	Queued() int
	// Drop says that the exchange is over, or the response cut short: it passes on nothing any more.
	Drop()
}

// Outlet is where a Body passes content on.
type Outlet struct {
	x     *Exchange
	from  int    // the index behind the body
	round uint32 // of the bodies: that they have not been dropped
}

// Insert puts b in the way of the response's content, nearer to the client than those before. Inside
// ResponseFilter.Response only.
func (x *Exchange) Insert(b Body) Outlet {
	x.bodies = append(x.bodies, b)
	return Outlet{x, len(x.bodies), x.round}
}

// Data passes content on, lent for the call; nothing does after Drop.
func (o Outlet) Data(p []byte, end bool) {
	if o.round == o.x.round {
		o.x.passData(o.from, p, end)
	}
}

// Trailers passes a trailer section on, which ends the content.
func (o Outlet) Trailers(t []codec.Field) {
	if o.round == o.x.round {
		o.x.passTrailers(o.from, t)
	}
}

// Queued is how many bytes wait further on: a body that can wait does so while they are more than codec.HighMark.
func (o Outlet) Queued() int {
	if o.round != o.x.round {
		return 0
	}
	return o.x.queuedFrom(o.from)
}

// Drained says that the body keeps less than before: the server may be let go.
func (o Outlet) Drained() { o.x.bodyDrained() }

// Cut gives the response up, so that the client can tell that it is not whole.
func (o Outlet) Cut(e *codec.Error) {
	if x := o.x; x.response < ResponseWhole {
		x.cut(e)
		x.settle()
	}
}

// HasContent reports whether a response with this head has content: what a filter can put a Body in the way of.
func (x *Exchange) HasContent(h *codec.Head, end bool) bool {
	return !end && x.RequestHead.Method != codec.MethodHead && h.Status >= 200 && h.Status != 204 && h.Status != 304
}

// withheld is a response whose head a filter keeps from the client.
type withheld struct {
	head codec.Head // in memory of its own
	end  bool
	next int    // the filter that is asked next
	from int    // the body that the rest is for, of a filter that is not asked yet; or the client
	data []byte // content that came meanwhile, behind the bodies there are
	over bool   // and it was the last
	tail []codec.Field
}

// deliver gives the client a final response's head, through the filters that saw the request.
func (x *Exchange) deliver(h *codec.Head, end bool) {
	x.response = ResponseStreaming
	if x.unshown == 0 || x.filterResponse(h, end, x.unshown-1) {
		x.sendHead(h, end)
	}
}

// filterResponse gives the head to the filters from i down. It reports false when one of them waits.
func (x *Exchange) filterResponse(h *codec.Head, end bool, i int) bool {
	at := x.at
	for i >= 0 && x.Route.Chain.responses[i] == nil {
		i--
	}
	v := Next
	if i >= 0 {
		v = x.callResponses(h, end, i)
	}
	i, x.at = x.at, at // a filter that answers goes on with its own state
	if v == Wait {
		x.withhold(h, end, i-1)
		return false
	}
	x.Status = h.Status
	return true
}

// withhold keeps a head until ResumeResponse. Whoever sends the content waits, too, unless a Body takes it.
func (x *Exchange) withhold(h *codec.Head, end bool, next int) {
	w := &withheld{end: end, next: next, from: len(x.bodies)}
	w.head = h.Clone()
	x.withheld = w
	if len(x.bodies) == x.from && x.source() != nil {
		x.hold(holdsServer)
	}
	x.armLimit()
}

// source is who sends the response's content, nil when nobody does.
func (x *Exchange) source() interface{ Hold(on bool) } {
	switch {
	case x.relayed != nil:
		return x.relayed
	case x.from == 0 && x.stream != nil:
		return x.stream
	}
	return nil
}

// takeBack forgets a response whose head was withheld, so that another one can be given, which is shown to the filters
// that have not seen this one.
func (x *Exchange) takeBack() {
	x.local.Loop.Stop(&x.limit)
	x.unshown = x.withheld.next + 1
	x.withheld = nil
	x.dropBodies()
	x.endRelay()
	x.from = 0
	x.response = ResponseUnsent
}

// dropBodies ends the bodies, and what they might pass on yet.
func (x *Exchange) dropBodies() {
	x.round++
	for _, b := range x.bodies {
		x.callDrop(b)
	}
	clear(x.bodies)
	x.bodies = x.bodies[:0]
}

// Withheld is the head of the response that waits for ResumeResponse, which may be changed; nil when none does.
func (x *Exchange) Withheld() *codec.Head {
	if x.withheld == nil {
		return nil
	}
	return &x.withheld.head
}

// ResumeResponse goes on with a response that a filter made wait. On the loop, from an event of the filter's own, and
// not after its Done.
func (x *Exchange) ResumeResponse() {
	w := x.withheld
	if w == nil || x.response >= ResponseWhole {
		return
	}
	x.withheld = nil
	if !x.filterResponse(&w.head, w.end, w.next) {
		w.release(x) // to the filter that waits now, through the bodies before it
		return
	}
	x.sendHead(&w.head, w.end)
	w.release(x)
	x.bodyDrained()
	x.settle()
}

// release passes on what came while the head waited.
func (w *withheld) release(x *Exchange) {
	switch {
	case w.tail != nil:
		x.passData(w.from, w.data, false)
		x.passTrailers(w.from, w.tail)
	case len(w.data) > 0 || w.over:
		x.passData(w.from, w.data, w.over)
	}
}

// sendHead gives the client a head that all filters have seen.
func (x *Exchange) sendHead(h *codec.Head, end bool) {
	if end {
		x.response = ResponseWhole
	}
	x.client.Head(h, end)
}

// give gives content to the bodies and the client.
func (x *Exchange) give(p []byte, end bool) { x.passData(0, p, end) }

// giveTrailers ends the content with a trailer section.
func (x *Exchange) giveTrailers(t []codec.Field) { x.passTrailers(0, t) }

// passData gives content to the body at i, or to the client behind the last; while the head waits it does, too.
func (x *Exchange) passData(i int, p []byte, end bool) {
	switch {
	case x.response >= ResponseWhole:
	case i < len(x.bodies):
		x.callData(x.bodies[i], p, end)
	case x.withheld != nil:
		w := x.withheld
		w.data, w.over = append(w.data, p...), end
	default:
		if end {
			x.response = ResponseWhole
		}
		x.client.Data(p, end)
		if end && len(x.bodies) > 0 {
			x.settle()
		}
	}
}

func (x *Exchange) passTrailers(i int, t []codec.Field) {
	switch {
	case x.response >= ResponseWhole:
	case i < len(x.bodies):
		x.callTrailers(x.bodies[i], t)
	case x.withheld != nil:
		x.withheld.tail = codec.CloneFields(t)
	default:
		x.response = ResponseWhole
		x.client.Trailers(t)
		if len(x.bodies) > 0 {
			x.settle()
		}
	}
}

// queuedFrom is how many bytes of the response wait in the bodies from i on, and for the client.
func (x *Exchange) queuedFrom(i int) int {
	n := x.client.Queued()
	for ; i < len(x.bodies); i++ {
		n += x.callQueued(x.bodies[i])
	}
	if x.withheld != nil {
		n += len(x.withheld.data)
	}
	return n
}

// bodyDrained lets the server go when the bodies keep little. A client that has too much tells when it has less.
func (x *Exchange) bodyDrained() {
	if q := x.client.Queued(); x.flow&holdsServer != 0 && q <= codec.HighMark && x.queuedFrom(0)-q <= codec.LowMark {
		x.letGo(holdsServer)
	}
}
