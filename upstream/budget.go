package upstream

import "sync/atomic"

// minRetries is how many retries of a service may run at the same time however few requests it has.
const minRetries = 3

// retries counts the requests of one service that are to be sent again, over all loops. Only retries write it. Atomic,
// any goroutine.
type retries struct {
	waiting atomic.Int64 // until their next attempt
	running atomic.Int64 // attempts of the budget
}

// AwaitRetry notes that a request waits for its next attempt. BeginRetry, when it grants one, or CancelRetry follows.
// Any goroutine, as with all methods of the budget.
func (s *Service) AwaitRetry() { s.retries.waiting.Add(1) }

// CancelRetry notes that a request that waited gets no further attempt.
func (s *Service) CancelRetry() { s.retries.waiting.Add(-1) }

// BeginRetry asks for the next attempt of a request that waits. It is granted while fewer retries run than percent of
// the service's active requests, those its servers have and those that wait, but at least minRetries. Then the request
// waits no more, and EndRetry follows when the attempt is over; else it waits on.
func (s *Service) BeginRetry(percent int) bool {
	limit := max(minRetries, s.active()*int64(percent)/100)
	for {
		n := s.retries.running.Load()
		if n >= limit {
			return false
		}
		if s.retries.running.CompareAndSwap(n, n+1) {
			s.retries.waiting.Add(-1)
			return true
		}
	}
}

// EndRetry gives back what BeginRetry granted.
func (s *Service) EndRetry() { s.retries.running.Add(-1) }

// Retries is how many requests wait for their next attempt, and how many attempts of the budget are under way.
func (s *Service) Retries() (waiting, running int64) {
	return s.retries.waiting.Load(), s.retries.running.Load()
}

// active is how many requests the service has: with its servers, or waiting to be sent again.
func (s *Service) active() int64 {
	n := s.retries.waiting.Load()
	for _, t := range s.Targets() {
		n += t.InFlight()
	}
	return n
}
