package exchange

import (
	"time"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
	"traffic_management/upstream"
)

// Exchange is one request and its response. It belongs to its loop; between Finished and the next Begin it lies in the
// loop's free list with its buffers.
type Exchange struct {
	// Immutable:
	local    *Local
	finished func() // x.finish, bound once

	// For the observer, owned by the loop:
	RequestHead codec.Head
	Peer        *Peer
	Route       *Route // nil when none matched, or no head could be read
	Started     reactor.Instant
	Ended       reactor.Instant
	Status      int    // of the final response; 0 when there was none
	BytesIn     uint64 // as received, head and framing included
	BytesOut    uint64 // as sent, head and framing included
	Retries     int
	RequestID   []byte
	Err         *codec.Error // why the response is ours, or was cut short; nil when all went well
	// RetriesRefused is how often a further try was due and not made, for want of budget.
	RetriesRefused int

	// Owned by the loop:
	filtering
	env     *Env
	client  Client
	attempt *upstream.Attempt
	stream  codec.Stream // the attempt's, while AttemptOpen
	lost    *codec.Error // with AttemptLost and AttemptWaiting
	target  *upstream.Target
	stick   *upstream.Target // that the client's cookie names; nil when there is none, or none that can be used
	pass    upstream.Pass    // of the route's breaker, until it is told of the outcome
	content int64            // request content received, in bytes
	buf     []byte           // the bytes RequestHead points into
	arena   []byte           // values made here that RequestHead points to
	path    []byte           // the routing path
	ruled   [][]byte         // names of request fields that filters have decided on (SetField)
	asked   asked            // with a Route.Chain

	// Of a request that is sent again (retry.go).
	tried []*upstream.Target // servers to avoid
	kept  []byte             // with ReplayKept: the content that has gone to a server
	timer reactor.Timer      // a wait, or the time of all tries
	limit reactor.Timer      // of what waits for a filter (limit.go)
	moved reactor.Instant    // when content went to a server last
	tries int                // of the policy's that were taken, also by waits in vain
	waits int
	place retryPlace

	// The last attempt's times.
	sent, answered, heard reactor.Instant
	queued, connecting    time.Duration

	request        RequestState
	response       ResponseState
	tunnel         TunnelState
	state          AttemptState
	replay         ReplayState
	flow           flow
	ending         bool // finished is deferred
	awaitsContinue bool // the client sent Expect and was sent no 100 (Continue)
}

// flow is the set of sides that are held.
type flow uint8

const (
	holdsClient flow = 1 << iota // reading request content is paused
	holdsServer                  // reading the response is paused
)

// Own copies the bytes the head was parsed from, so that it lives as long as the exchange.
func (x *Exchange) Own(head []byte) {
	x.buf = append(x.buf[:0], head...)
	x.RequestHead.Rebase(head, x.buf)
	x.BytesIn += uint64(len(head))
}

// Request starts the exchange with the head in x.RequestHead; end says that no content follows. The answer may be given
// to the client's stream inside this call, Finished comes later.
func (x *Exchange) Request(end bool) {
	x.request = RequestStreaming
	if end {
		x.request = RequestWhole
	} else if h := &x.RequestHead; h.Version != codec.HTTP10 {
		x.awaitsContinue = h.Get(codec.FieldExpect) != nil
	}
	if x.env.Pressure.Level() == PressureRefuse {
		x.Reject(errOverload)
		return
	}
	if e := x.prepare(); e != nil {
		x.Reject(e)
		return
	}
	l := x.local
	l.match.Head, l.match.Path, l.match.Peer = &x.RequestHead, x.path, x.Peer.Addr.Addr()
	route, ok := x.env.Table.Match(&l.match, &l.scratch)
	if !ok {
		x.Reject(errNoRoute)
		return
	}
	x.Route = route
	if h := &x.RequestHead; route.Chain != nil {
		x.asked = asked{h.Authority, h.Path, h.Query}
	}
	if e := x.strip(); e != nil {
		x.Reject(e)
		return
	}
	x.filterRequest()
}

// Reject answers a request that does not get through, also one whose head could not be read.
func (x *Exchange) Reject(e *codec.Error) {
	if x.request == RequestFresh {
		x.request = RequestBroken
		x.RequestHead.Reset()
	}
	x.answer(e)
	x.settle()
}

// AcceptsContent reports whether RequestData may be called now.
func (x *Exchange) AcceptsContent() bool { return x.flow&holdsClient == 0 }

// WantsContent reports whether request content still has anyone to go to.
func (x *Exchange) WantsContent() bool { return x.response < ResponseWhole }

// AwaitsContinue reports whether the client holds its content back, and need not send it after a final response
// (RFC 9110 section 10.1.1).
func (x *Exchange) AwaitsContinue() bool { return x.awaitsContinue && x.content == 0 }

// Drop gives back an exchange for which no head was read.
func (x *Exchange) Drop() { x.recycle() }

// RequestData delivers request content, lent for the call; end says it was the last. In a tunnel that is the end of the
// client's side.
func (x *Exchange) RequestData(p []byte, end bool) {
	if x.request != RequestStreaming {
		return
	}
	if x.Tunnel() {
		x.toServer(p, end)
		return
	}
	x.content += int64(len(p))
	if x.env.MaxBody > 0 && x.content > x.env.MaxBody {
		x.refuse(errBodyTooLarge)
		return
	}
	if x.buffer > 0 {
		x.fill(p, end)
		return
	}
	if end {
		x.request = RequestWhole
	}
	if x.stream == nil {
		return // the response is there already
	}
	if !x.tee(p, end) {
		return
	}
	x.keep(p)
	x.stream.Data(p, end)
	if !end && x.stream.Queued() > codec.HighMark {
		x.hold(holdsClient)
	}
}

// RequestTrailers ends the request with a trailer section, lent for the call.
func (x *Exchange) RequestTrailers(t []codec.Field) {
	if x.request != RequestStreaming {
		return
	}
	if x.buffer > 0 { // the content is sent again from memory, without them
		x.fill(nil, true)
		return
	}
	x.request = RequestWhole
	if x.stream != nil && x.tee(nil, true) {
		x.forget() // trailer sections are not kept
		x.moved = x.local.Loop.Now()
		x.screenTrailers(t)
		x.stream.Trailers(t)
	}
}

// RequestBroken says that the rest of the request will not come. The client is told e when it can still be told
// anything; with status 0 it is gone.
func (x *Exchange) RequestBroken(e *codec.Error) {
	if x.response >= ResponseWhole {
		return
	}
	x.request = RequestBroken
	if e.Status == 0 && x.state == AttemptLocal {
		x.state = AttemptNone
	}
	if e.Status != 0 && x.answerable() {
		x.refuse(e)
		return
	}
	x.Err = e
	x.settle()
}

// refuse gives up the attempt and answers for it, if that can still be done.
func (x *Exchange) refuse(e *codec.Error) {
	x.release()
	x.request = RequestBroken
	if x.answerable() {
		if x.withheld != nil {
			x.takeBack()
		}
		x.answer(e)
	} else {
		x.Err = e
	}
	x.settle()
}

// answerable reports whether the client has not been sent a final response's head.
func (x *Exchange) answerable() bool { return x.response <= ResponseInterim || x.withheld != nil }

// ClientDrained says that the client's stream has room again.
func (x *Exchange) ClientDrained() { x.bodyDrained() }

// open begins the next attempt. Content waits until there is a stream to take it.
func (x *Exchange) open() {
	x.state = AttemptOpening
	x.holdContent()
	s := x.Route.Service
	q := upstream.Query{Tried: x.tried, Lost: x.lostServer(), Breaker: x.Route.Breaker}
	q.Taker, _ = x.client.(upstream.Taker)
	if p := x.Route.Retry; p != nil {
		q.Timeout = p.AttemptTimeout
	}
	o := s.Options()
	q.Shape = x.shape(o)
	if o.Strategy == upstream.ConsistentHash {
		q.Key = s.Key(&x.RequestHead, x.path, x.Peer.Addr.Addr())
	}
	if o.Sticky != nil {
		x.stick = s.Stuck(&x.RequestHead)
		q.Stick = x.stick
	}
	x.attempt = s.Open(x.local.Pools, &q, x)
}

// shape is what connections to a server the request can use.
func (x *Exchange) shape(o *upstream.Options) upstream.Shape {
	switch {
	case x.tunnel == TunnelOffered:
		return upstream.ShapeUpgrade
	case o.Multiplex == upstream.MultiplexPipeline && x.request == RequestWhole && isBare(&x.RequestHead):
		return upstream.ShapeBare
	}
	return upstream.ShapeAny
}

// isBare reports whether a request is an unconditional GET without content.
func isBare(h *codec.Head) bool {
	if h.Method != codec.MethodGet || h.Framing != codec.NoContent {
		return false
	}
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.ID == codec.FieldOther && len(f.Name) > 2 && f.Name[2] == '-' &&
			(codec.EqualFold(f.Name, "If-None-Match") || codec.EqualFold(f.Name, "If-Modified-Since")) {
			return false
		}
	}
	return true
}

// holdContent pauses the client until there is a stream that takes its content.
func (x *Exchange) holdContent() {
	if x.request == RequestStreaming {
		x.hold(holdsClient)
	}
}

// hold pauses a side, once.
func (x *Exchange) hold(f flow) {
	if x.flow&f != 0 {
		return
	}
	x.flow |= f
	if f == holdsClient {
		x.client.Hold(true)
	} else {
		x.source().Hold(true)
	}
}

// letGo resumes a side that hold paused.
func (x *Exchange) letGo(f flow) {
	if x.flow&f == 0 {
		return
	}
	x.flow &^= f
	if f == holdsClient {
		x.client.Hold(false)
	} else if s := x.source(); s != nil {
		s.Hold(false)
	}
}

// forgetHold notes that the server has ended, held or not. A subrequest that content comes from stays as it is.
func (x *Exchange) forgetHold() {
	if x.relayed == nil {
		x.flow &^= holdsServer
	}
}

// Env is what the exchange was begun with.
func (x *Exchange) Env() *Env { return x.env }

// EntryPoint is the number of the exchange's entry point.
func (x *Exchange) EntryPoint() int { return x.env.EntryPoint }

// Target is the server that answered, or was tried last; nil when there was none.
func (x *Exchange) Target() *upstream.Target { return x.target }

// QueueTime is how long the last attempt waited for a connection while the server had as many as it may have.
func (x *Exchange) QueueTime() time.Duration { return x.queued }

// ConnectTime is how long a connection for the last attempt took to open; 0 when an idle one was there.
func (x *Exchange) ConnectTime() time.Duration { return x.connecting }

// FirstByte is how long the server of the last attempt took from the request's head to the first byte of a response. 0
// when none came.
func (x *Exchange) FirstByte() time.Duration {
	if x.answered == 0 {
		return 0
	}
	return x.answered.Sub(x.sent)
}

// UpstreamTime is how long the server took: from the request's head to the last of the response it sent. 0 without one.
func (x *Exchange) UpstreamTime() reactor.Instant {
	if x.sent == 0 || x.heard < x.sent {
		return 0
	}
	return x.heard - x.sent
}
