package mw

import (
	"errors"
	"sync/atomic"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/upstream"
)

// MirrorOptions is the settings of a service that gets copies of requests.
type MirrorOptions struct {
	Service *upstream.Service
	Percent float64 // of the requests, from 0 to 100, chosen at random
}

// Mirror sends copies of requests to a service, once, and drops its responses. Nobody waits for them: a copy is given up
// when the service is slower to take content than the client's own server, or has too many in hand.
type Mirror struct {
	// Immutable:
	service *upstream.Service
	below   uint64 // the 53 random bits of a request that is copied are below it

	// Atomic, any goroutine:
	running, sent, shed atomic.Int64
}

// Bounds of what copies may take.
const (
	mostCopies     = 1024      // on their way at the same time, over all loops
	mostCopyQueued = 256 << 10 // bytes of content of one that wait for the service, unless they came in one piece
	mostCopyAnswer = 1 << 20   // bytes of a response that are read, so that its connection can be used again
)

// NewMirror makes one.
func NewMirror(o MirrorOptions) (*Mirror, error) {
	if !(o.Percent >= 0 && o.Percent <= 100) {
		return nil, errors.New("the percentage is not from 0 to 100")
	}
	return &Mirror{service: o.Service, below: uint64(o.Percent / 100 * (1 << 53))}, nil
}

// Sent is how many copies were begun, and Shed how many were due and were not begun or given up. Any goroutine.
func (m *Mirror) Sent() int64 { return m.sent.Load() }

// Shed is described at Sent.
func (m *Mirror) Shed() int64 { return m.shed.Load() }

// Request implements exchange.Filter. A request for another protocol is not copied: its answer could not be dropped.
func (m *Mirror) Request(x *exchange.Exchange) exchange.Verdict {
	if m.below == 0 || x.Local().Random()>>11 >= m.below || x.OffersUpgrade() {
		return exchange.Next
	}
	if m.running.Add(1) > mostCopies {
		m.running.Add(-1)
		m.shed.Add(1)
		return exchange.Next
	}
	m.sent.Add(1)
	c := &mirrored{mirror: m, head: x.RequestHead.Clone()}
	c.head.Options = 0
	c.head.Remove(codec.FieldExpect)
	c.head.Remove(codec.FieldTrailer)
	if c.head.Framing == codec.NoContent {
		c.asked = x.Local().Subrequest(m.service, &c.head, 0, nil, (*mirrorAnswer)(c))
	} else {
		c.content = contentQueued
		c.asked = x.Local().Subrequest(m.service, &c.head, 0, c.opened, (*mirrorAnswer)(c))
		x.Tee(c)
	}
	c.asked.Once()
	return exchange.Next
}

// mirrored is the copy of one request, and the exchange.Tee of its content. It belongs to the loop, and may outlive the
// exchange.
type mirrored struct {
	mirror  *Mirror
	head    codec.Head
	asked   *exchange.Subrequest
	queue   []byte // content, until the service takes it
	content contentState
	over    bool
	read    int // bytes of the response's content
}

// contentState is where the content of a copy is.
type contentState uint8

const (
	contentNone    contentState = iota // there is none
	contentQueued                      // waits for a connection, and more may come
	contentWaiting                     // waits for a connection, whole
	contentPassing                     // goes to the service as it comes
	contentPassed                      // all of it went there
)

func (s contentState) String() string {
	return [...]string{"none", "queued", "waiting", "passing", "passed"}[s]
}

// opened sends what waits.
func (c *mirrored) opened() {
	whole := c.content == contentWaiting
	if c.content = contentPassing; whole {
		c.content = contentPassed
	}
	if len(c.queue) > 0 || whole {
		c.asked.Send(c.queue, whole)
	}
	c.queue = nil
}

// Data is the exchange.Tee's.
func (c *mirrored) Data(p []byte, end bool) {
	waits := len(c.queue) + c.asked.Queued()
	switch {
	case c.over:
		return
	case waits > 0 && waits+len(p) > mostCopyQueued:
		c.shed()
		return
	case c.content == contentPassing:
		c.asked.Send(p, end)
	default:
		c.queue = append(c.queue, p...)
	}
	switch {
	case !end:
	case c.content == contentPassing:
		c.content = contentPassed
	default:
		c.content = contentWaiting
	}
}

// Drop is the exchange.Tee's: a copy that misses content is given up.
func (c *mirrored) Drop() {
	if !c.over && (c.content == contentQueued || c.content == contentPassing) {
		c.shed()
	}
}

// shed gives the copy up.
func (c *mirrored) shed() {
	c.mirror.shed.Add(1)
	c.end()
}

// end is the last of the copy.
func (c *mirrored) end() {
	if !c.over {
		c.over, c.queue = true, nil
		c.asked.Cancel()
		c.mirror.running.Add(-1)
	}
}

// mirrorAnswer is a copy as the exchange.Answer to it, which only waits for the end.
type mirrorAnswer mirrored

// Head does nothing.
func (a *mirrorAnswer) Head(_ *codec.Head, end bool) { a.took(0, end) }

// Data drops content. A response that is too long, or comes before the content is whole, costs its connection.
func (a *mirrorAnswer) Data(p []byte, end bool) { a.took(len(p), end) }

// Trailers drops them.
func (a *mirrorAnswer) Trailers([]codec.Field) { a.took(0, true) }

// Failed ends the copy.
func (a *mirrorAnswer) Failed(*codec.Error) { a.took(0, true) }

func (a *mirrorAnswer) took(n int, end bool) {
	if a.read += n; end || a.read > mostCopyAnswer {
		(*mirrored)(a).end()
	}
}
