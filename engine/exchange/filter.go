package exchange

import (
	"traffic_management/codec"
)

// Filter is one middleware of a route. All loops share it: what it holds is immutable, atomic, or kept for each exchange
// with SetState. Its methods run on the exchange's loop and never block.
//
// Further interfaces a filter may have: ResponseFilter, Ender.
type Filter interface {
	// Request is given the request, in the order of the route's filters, before a server is chosen. It may change
	// x.RequestHead and, with SetPath, where it leads. Content follows; see Buffer and Tee.
	Request(x *Exchange) Verdict
}

// ResponseFilter is a Filter that sees responses. Filters that let the request pass are given the final response in the
// reverse order, whoever made it: a server, a filter further on, or the proxy. Interim responses, and that a connection
// turns to another protocol, are not shown.
type ResponseFilter interface {
	// Response may change the head, which is lent, and put a Body in the way of the content, when HasContent says that
	// there is some. It returns Next, or Wait until ResumeResponse.
	Response(x *Exchange, h *codec.Head, end bool) Verdict
}

// Ender is a Filter that is told of the end.
type Ender interface {
	// Done is called once for each call of Request, when the exchange is over, however it ended. What the filter still
	// has running for the exchange must be cancelled: x is used for another request afterwards.
	Done(x *Exchange)
}

// Verdict is what a filter decides.
type Verdict uint8

// Verdicts.
const (
	Next     Verdict = iota // go on
	Wait                    // nothing goes on until Resume or ResumeResponse, which are due within the service's RequestTimeout
	Answered                // Refuse or Respond was called: the request goes no further
)

// Chain is the filters of one route, in order; immutable.
type Chain struct {
	filters   []Filter
	responses []ResponseFilter // by the same index; nil where a filter is none
	enders    []Ender
}

// NewChain makes the chain of these filters, nil of none.
func NewChain(filters ...Filter) *Chain {
	if len(filters) == 0 {
		return nil
	}
	c := &Chain{filters: filters, responses: make([]ResponseFilter, len(filters)), enders: make([]Ender, len(filters))}
	for i, f := range filters {
		c.responses[i], _ = f.(ResponseFilter)
		c.enders[i], _ = f.(Ender)
	}
	return c
}

// filtering is how far an exchange has come through the filters of its route.
type filtering struct {
	stage    int   // filters that were given the request
	unshown  int   // of them, those that let it pass and have not been shown the response
	at       int   // of the filter being called
	states   []any // by filter
	tees     []Tee
	buffer   int64       // one more than the content that Buffer may keep, in bytes; 0: it keeps none
	bodies   []Body      // the first is nearest to the server
	round    uint32      // how often bodies were dropped, over all exchanges
	from     int         // body that the response's content is given to first: 1 behind a discard
	relayed  *Subrequest // that the content comes from; nil: from the server, or it is the proxy's own
	withheld *withheld   // the response's head, while a filter waits
	passed   uint64      // of BytesOut when limit was armed
}

// SetState keeps a value for the filter being called, until the exchange is over. Inside its methods only.
func (x *Exchange) SetState(v any) {
	for len(x.states) <= x.at {
		x.states = append(x.states, nil)
	}
	x.states[x.at] = v
}

// State is what SetState kept for the filter being called, nil when it kept nothing.
func (x *Exchange) State() any {
	if x.at < len(x.states) {
		return x.states[x.at]
	}
	return nil
}

// filterRequest gives the request to the filters that have not seen it, and then to a server.
func (x *Exchange) filterRequest() {
	x.unshown = x.stage
	if c := x.Route.Chain; c != nil && x.stage < len(c.filters) {
		switch x.callRequests() {
		case Wait:
			x.state = AttemptFiltered
			if x.buffer == 0 {
				x.holdContent()
				x.armLimit()
			}
			return
		case Answered:
			x.settle()
			return
		}
	}
	if x.Route.Breaker != nil && !x.enter() {
		x.Reject(errBreakerOpen)
		return
	}
	x.open()
}

// Resume goes on with a request that a filter made wait: Next, or Answered after Refuse or Respond. On the loop, from an
// event of the filter's own, and not after its Done.
func (x *Exchange) Resume(v Verdict) {
	switch {
	case v == Answered: // which the reply has made the state say
		x.settle()
	case x.state == AttemptFiltered:
		x.local.Loop.Stop(&x.limit)
		x.state = AttemptNone
		x.filterRequest()
	}
}

// Tee is given a copy of request content, as it goes to the server or is kept by Buffer.
type Tee interface {
	// Data is content, lent for the call; end says it was the last, trailers apart.
	Data(p []byte, end bool)
	// Drop says that the exchange is over. A tee that was not told of the end misses some.
	Drop()
}

// Tee gives t a copy of the request content that follows, and now of what Buffer has read. Inside Filter.Request only.
func (x *Exchange) Tee(t Tee) {
	x.tees = append(x.tees, t)
	if x.replay == ReplayKept {
		t.Data(x.kept, x.request == RequestWhole)
	}
}

// tee reports false when the request was refused meanwhile.
func (x *Exchange) tee(p []byte, end bool) bool {
	for _, t := range x.tees {
		if !x.callTee(t, p, end) {
			return false
		}
	}
	return true
}

// Buffer has the request's content read whole, at most limit bytes of it, before the request goes on: more is refused
// with 413. A trailer section is left out. It returns what Filter.Request is to return.
func (x *Exchange) Buffer(limit int64) Verdict {
	switch {
	case x.RequestHead.Framing == codec.ByLength && x.RequestHead.Length > limit:
		x.Refuse(errBuffer)
		return Answered
	case x.request != RequestStreaming:
		return Next
	}
	x.buffer = limit + 1
	if x.AwaitsContinue() {
		x.goOn()
	}
	x.letGo(holdsClient) // an earlier filter made it wait
	return Wait
}

// goOn tells the client to send its content (RFC 9110 section 15.2.1), which no server does before it has all of it.
func (x *Exchange) goOn() {
	h := codec.Head{Version: codec.HTTP11, Status: 100, Length: -1}
	x.interim(&h)
}

// fill keeps content for Buffer.
func (x *Exchange) fill(p []byte, end bool) {
	if int64(len(x.kept)+len(p)) >= x.buffer {
		x.refuse(errBuffer)
		return
	}
	if !x.tee(p, end) {
		return
	}
	x.kept = append(x.kept, p...)
	x.replay = ReplayKept
	if !end {
		return
	}
	x.buffer, x.request = 0, RequestWhole
	h := &x.RequestHead
	h.Framing, h.Length = codec.ByLength, int64(len(x.kept))
	h.Remove(codec.FieldTrailer)
	x.Resume(Next)
}

// endFilters tells the filters that the exchange is over.
func (x *Exchange) endFilters() {
	x.local.Loop.Stop(&x.limit)
	x.endRelay()
	x.dropBodies()
	for _, t := range x.tees {
		x.callDrop(t)
	}
	for x.at = 0; x.at < x.stage; {
		if x.Route.Chain.enders[x.at] == nil {
			x.at++
			continue
		}
		x.callDones()
	}
	clear(x.states)
	clear(x.tees)
	x.filtering = filtering{states: x.states[:0], bodies: x.bodies[:0], round: x.round, tees: x.tees[:0]}
}

// SetPath makes the request lead to another path, escaped, and query, nil for none. The path is brought into the one form
// that is routed and forwarded, as a client's path is, with what no path can hold escaped; one that has no such form is an
// error of status 400, and nothing changes. Both are copied.
func (x *Exchange) SetPath(path, query []byte) *codec.Error {
	h := &x.RequestHead
	before := h.Path
	n := len(x.arena)
	x.arena = codec.AppendOriginForm(x.arena, path, nil)
	h.Path = x.arena[n:len(x.arena):len(x.arena)]
	if e := x.normalize(); e != nil {
		h.Path = before
		return e
	}
	h.Query = nil
	if query != nil {
		h.Query = x.join(query)
	}
	return nil
}

// Path is the path that rules see: normalised and decoded where that is safe.
func (x *Exchange) Path() []byte { return x.path }

// Keep copies the parts as one value that lives as long as the exchange.
func (x *Exchange) Keep(parts ...[]byte) []byte { return x.join(parts...) }

// Local is what the exchanges of the loop share.
func (x *Exchange) Local() *Local { return x.local }
