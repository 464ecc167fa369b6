package exchange

import (
	"time"

	"traffic_management/codec"
	"traffic_management/upstream"
)

// Answer hears the response to a Subrequest: its final head, content, trailers, or that there is none. All calls come on
// the loop, none inside a call of the hearer's. What is passed is lent.
type Answer interface {
	Head(h *codec.Head, end bool)
	Data(p []byte, end bool)
	Trailers(t []codec.Field)
	Failed(e *codec.Error)
}

// Subrequest is a request of a filter's own, through the same pools as any. It belongs to its loop, and may outlive the
// exchange it was made for. Interim responses are dropped. It is made once more when no server need have acted on it.
type Subrequest struct {
	local   *Local
	service *upstream.Service
	head    *codec.Head
	answer  Answer
	timeout time.Duration
	attempt *upstream.Attempt
	stream  codec.Stream
	open    func() // s.begin, bound once
	content bool   // Data follows
	again   bool   // it was made a second time, or cannot be
	opened  func() // tells that content may be sent; nil: there is none
}

// Subrequest asks a server of the service. head is the caller's to keep as it is until the answer begins. A zero timeout
// is the service's own. Without opened the request has no content; otherwise opened is called when Data may be.
func (l *Local) Subrequest(service *upstream.Service, head *codec.Head, timeout time.Duration, opened func(), a Answer) *Subrequest {
	s := &Subrequest{local: l, service: service, head: head, answer: a, timeout: timeout, opened: opened}
	s.open = s.begin
	s.begin()
	return s
}

func (s *Subrequest) begin() {
	if s.answer == nil {
		return
	}
	q := upstream.Query{Timeout: s.timeout}
	s.attempt = s.service.Open(s.local.Pools, &q, s)
	s.local.asking[s] = struct{}{}
}

// CancelSubrequests cancels all that there are, for the end of the loop: those that nobody waits for must not hold it up.
func (l *Local) CancelSubrequests() {
	for s := range l.asking {
		s.Cancel()
	}
}

// Cancel ends the subrequest: its answer is told nothing any more. It is idempotent.
func (s *Subrequest) Cancel() {
	s.answer = nil
	s.release()
}

func (s *Subrequest) release() {
	if a := s.attempt; a != nil {
		s.attempt, s.stream = nil, nil
		delete(s.local.asking, s)
		a.Release()
	}
}

// Send gives the server content, lent for the call. It does nothing when there is no server to take it.
func (s *Subrequest) Send(p []byte, end bool) {
	if s.stream != nil && s.content {
		s.content = !end
		s.stream.Data(p, end)
	}
}

// Hold pauses (true) or resumes the answer. Counted.
func (s *Subrequest) Hold(on bool) {
	if s.stream != nil {
		s.stream.Hold(on)
	}
}

// Queued is how much of what was sent waits.
func (s *Subrequest) Queued() int {
	if s.stream == nil {
		return 0
	}
	return s.stream.Queued()
}

// Ready is the codec.Receiver's.
func (s *Subrequest) Ready(stream codec.Stream) {
	s.stream = stream
	s.content = s.opened != nil
	stream.Head(s.head, !s.content)
	if s.content {
		s.again = true // the content is not kept
		s.call(func(Answer) { s.opened() })
	}
}

// Head is the codec.Receiver's.
func (s *Subrequest) Head(h *codec.Head, end bool) {
	if s.answer == nil || h.Status < 200 {
		return
	}
	codec.RemoveHopByHop(h)
	s.call(func(a Answer) { a.Head(h, end) })
	if end {
		s.release()
	}
}

// Data is the codec.Receiver's.
func (s *Subrequest) Data(p []byte, end bool) {
	if s.answer != nil {
		s.call(func(a Answer) { a.Data(p, end) })
	}
	if end {
		s.release()
	}
}

// Trailers is the codec.Receiver's.
func (s *Subrequest) Trailers(t []codec.Field) {
	if s.answer != nil {
		s.call(func(a Answer) { a.Trailers(t) })
	}
	s.release()
}

// Drained is the codec.Receiver's.
func (s *Subrequest) Drained() {}

// Failed is the codec.Receiver's.
func (s *Subrequest) Failed(e *codec.Error) {
	s.release()
	switch {
	case s.answer == nil:
	case !s.again && s.repeatable(e.Retry):
		s.again = true
		s.local.Loop.Defer(s.open)
	default:
		s.callFailed(s.answer, e)
	}
}

// repeatable reports whether the request may be made again after a failure of this kind (RFC 9110 section 9.2.2).
func (s *Subrequest) repeatable(r codec.Retry) bool {
	switch r {
	case codec.RetrySafe:
		return true
	case codec.RetryIdle:
		return s.head.Method.Idempotent()
	}
	return false
}

// Once says that the request is not to be made again, whatever happens. Right after Subrequest.
func (s *Subrequest) Once() { s.again = true }
