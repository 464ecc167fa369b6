package upstream

import (
	"time"

	"traffic_management/engine/reactor"
)

const (
	// waitBudget is how long a request may be expected to wait for those before it on its connection.
	waitBudget = time.Millisecond
	// breather is how long a server that is slow has a connection for each request before it is tried again.
	breather = time.Second
	// distrust is how long a server has that which closed connections under requests that waited.
	distrust = time.Minute
)

// pace is what is known of how quickly a server answers requests that follow one another. A server takes them one after
// the other, so they are to be no more than it answers in the time that one may wait. It belongs to its pool.
type pace struct {
	gap   time.Duration   // moving average of the time that the server needs for one; 0: nothing is known
	trip  time.Duration   // of opening the last connection
	rests reactor.Instant // until when nothing is sent behind an unanswered request
}

// observe takes in the time that one response took. A single one that was slow says little: the server rests when two
// are, or many are somewhat.
func (s *pace) observe(took time.Duration, now reactor.Instant) {
	s.gap += (min(took, 8*waitBudget) - s.gap) / 16
	if s.gap > waitBudget/2 {
		s.rest(now, breather)
		s.gap = 0
	}
}

func (s *pace) rest(now reactor.Instant, d time.Duration) { s.rests = max(s.rests, now.Add(d)) }

func (s *pace) resting(now reactor.Instant) bool { return now < s.rests }

// depth is how many requests a connection should carry, of at most limit.
func (s *pace) depth(limit int) int {
	if s.gap <= 0 {
		return limit
	}
	return int(min(time.Duration(limit), waitBudget/s.gap))
}
