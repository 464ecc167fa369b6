package telemetry

import (
	"math/bits"
	"time"
)

// maxBounds is the room for finite bounds in every histogram.
const maxBounds = 20

// A histogram counts durations by bucket. One loop writes it; which bounds its buckets have is the scale's business,
// and the same scale is passed at every call.
type histogram struct {
	buckets [maxBounds + 1]counter // not cumulative; the last one used is beyond every bound
	total   counter                // nanoseconds
}

// observe counts one duration. A negative one, which only a broken clock can give, counts as zero.
func (h *histogram) observe(s *scale, d time.Duration) {
	d = max(d, 0)
	h.buckets[s.bucket(d)].add(1)
	h.total.add(uint64(d))
}

// A scale is the ascending upper bounds (inclusive) of a histogram's buckets. It is immutable.
type scale struct {
	bounds []time.Duration
	// first is, by the bit length of a duration in nanoseconds, the first bucket that durations of that length can
	// fall into. From there at most two bounds of a 1-2-5 series have to be compared.
	first [65]uint8
}

// The scales in use.
var (
	durationScale = newScale(50*time.Microsecond, 60*time.Second)
	addedScale    = newScale(10*time.Microsecond, time.Second)
	turnScale     = newScale(10*time.Microsecond, time.Second)
)

// newScale makes the 1-2-5 series from low to high. high is a bound even when it is not of the series, and then none is
// nearer to it than half.
func newScale(low, high time.Duration) *scale {
	s := new(scale)
	for unit := time.Duration(1); unit < high; unit *= 10 {
		for _, b := range [...]time.Duration{unit, 2 * unit, 5 * unit} {
			if low <= b && 2*b <= high {
				s.bounds = append(s.bounds, b)
			}
		}
	}
	s.bounds = append(s.bounds, high)
	if len(s.bounds) > maxBounds {
		panic("telemetry: a scale has more bounds than a histogram has buckets")
	}
	for length := 1; length < len(s.first); length++ {
		smallest := uint64(1) << (length - 1)
		i := 0
		for i < len(s.bounds) && uint64(s.bounds[i]) < smallest {
			i++
		}
		s.first[length] = uint8(i)
	}
	return s
}

// bucket is the index of the first bound that is not below d, or len(bounds). d is not negative.
func (s *scale) bucket(d time.Duration) int {
	i := int(s.first[bits.Len64(uint64(d))])
	for i < len(s.bounds) && d > s.bounds[i] {
		i++
	}
	return i
}

// reading is a histogram as read, or the sum of several.
type reading struct {
	buckets [maxBounds + 1]uint64
	total   float64 // nanoseconds; a float, since the sum of many shards may pass 2^64
}

func (r *reading) add(h *histogram) {
	for i := range h.buckets {
		r.buckets[i] += h.buckets[i].load()
	}
	r.total += float64(h.total.load())
}

// seconds is the sum of the durations.
func (r *reading) seconds() float64 { return r.total / 1e9 }

// cumulative gives the counts as Prometheus wants them: by upper bound in seconds, each with those below it; and the
// count of all. That count is the sum of the buckets read, so that the two agree while a loop goes on counting.
func (r *reading) cumulative(s *scale) (byBound map[float64]uint64, count uint64) {
	byBound = make(map[float64]uint64, len(s.bounds))
	for i, b := range s.bounds {
		count += r.buckets[i]
		byBound[b.Seconds()] = count
	}
	return byBound, count + r.buckets[len(s.bounds)]
}
