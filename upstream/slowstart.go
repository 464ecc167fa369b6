package upstream

import (
	"time"

	"traffic_management/engine/reactor"
)

// Weights are counted in parts of wholeWeight while balancing, so that a target that starts slowly can have less than 1.
const (
	wholeWeight = 256
	firstWeight = wholeWeight / 10 // of a target that has just joined
)

// join lets the target's slow start begin now.
func (t *Target) join(now reactor.Instant) { t.joined.Store(int64(max(now, 1))) }

// share is how much of its weight the target has now, in parts of wholeWeight: after it joined, a line from firstWeight
// to the whole over d.
func (t *Target) share(now reactor.Instant, d time.Duration) int64 {
	began := t.joined.Load()
	if began == notJoining {
		return wholeWeight
	}
	if began == joinsNext && d > 0 {
		t.joined.CompareAndSwap(joinsNext, int64(max(now, 1)))
		return firstWeight
	}
	elapsed := max(now.Sub(reactor.Instant(began)), 0)
	if elapsed >= d {
		t.joined.CompareAndSwap(began, notJoining)
		return wholeWeight
	}
	return firstWeight + int64(float64(wholeWeight-firstWeight)*float64(elapsed)/float64(d))
}
