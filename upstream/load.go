package upstream

import (
	"math"
	"time"

	"traffic_management/engine/reactor"
)

// leastConn takes the target with the fewest requests in flight for its weight, over all loops. Among equals it draws
// by weight: an order would have loops that look at the same time choose the same.
type leastConn struct{}

func (leastConn) choose(r *roster, v *pick) int {
	best, bestWeight, bestInFlight, equals := -1, int64(0), int64(0), uint64(0)
	for i, t := range r.targets {
		if !r.takes(i, v) {
			continue
		}
		w, n := r.weights[i], t.InFlight()
		switch mine, least := n*bestWeight, bestInFlight*w; {
		case best < 0 || mine < least:
			best, bestWeight, bestInFlight, equals = i, w, n, uint64(w)
		case mine == least && v.wins(uint64(w), &equals):
			best, bestWeight, bestInFlight = i, w, n
		}
	}
	return best
}

// twoChoices draws two targets by weight and takes the one with fewer requests in flight for its weight: nearly as even
// as the least of all, without looking at all.
type twoChoices struct{}

func (twoChoices) choose(r *roster, v *pick) int {
	first, second := drawTwo(r, v)
	if second >= 0 && r.targets[second].InFlight()*r.weights[first] < r.targets[first].InFlight()*r.weights[second] {
		return second
	}
	return first
}

// drawTwo draws two different targets, -1 for what there is not.
func drawTwo(r *roster, v *pick) (first, second int) {
	if first = r.draw(v); first < 0 {
		return -1, -1
	}
	v.except = first
	second = r.draw(v)
	v.except = -1
	return first, second
}

// Constants of latency.
const (
	latencyMemory  = 10 * time.Second // in which what was measured loses most of its weight
	failureLatency = time.Second      // what a failure counts as, at least
)

// latency is how long one target took lately, as one loop has seen it, to answer: the peak at once, then fading. It
// belongs to the loop.
type latency struct {
	value float64 // nanoseconds; 0: nothing is known
	at    reactor.Instant
}

// observe counts one answer that came after took.
func (l *latency) observe(now reactor.Instant, took time.Duration) {
	sample := float64(max(took, 1))
	if present := l.now(now); sample < present {
		fading := math.Exp(-float64(now-l.at) / float64(latencyMemory))
		sample = l.value*fading + sample*(1-fading)
	}
	l.value, l.at = sample, now
}

// now is the latency as it has faded by now: a target that was slow is asked again some time.
func (l *latency) now(now reactor.Instant) float64 {
	return l.value * math.Exp(-float64(now-l.at)/float64(latencyMemory))
}

// peakEWMA draws two targets by weight and takes the one whose latency, times the requests that it has in flight for its
// weight and this one, is less. While nothing is known of one of them the requests alone count. Weights count relative
// to the mean of the two, so that without requests in flight a heavy target is not preferred twice.
type peakEWMA []*latency

func (b peakEWMA) choose(r *roster, v *pick) int {
	first, second := drawTwo(r, v)
	if second < 0 {
		return first
	}
	costs := [2]float64{1, 1}
	if one, other := b[first], b[second]; one.value > 0 && other.value > 0 {
		costs = [2]float64{one.now(v.now), other.now(v.now)}
	}
	mean := float64(r.weights[first]+r.weights[second]) / 2
	if costs[1]*(1+r.load(second)*mean) < costs[0]*(1+r.load(first)*mean) {
		return second
	}
	return first
}

// load is how many requests a target has in flight for its weight.
func (r *roster) load(i int) float64 { return float64(r.targets[i].InFlight()) / float64(r.weights[i]) }
