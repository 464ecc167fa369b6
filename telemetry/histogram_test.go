package telemetry

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestScaleBounds(t *testing.T) {
	tests := []struct {
		name      string
		scale     *scale
		low, high time.Duration
		number    int
	}{
		{"duration", durationScale, 50 * time.Microsecond, time.Minute, 19},
		{"added", addedScale, 10 * time.Microsecond, time.Second, 16},
		{"turn", turnScale, 10 * time.Microsecond, time.Second, 16},
	}
	for _, tt := range tests {
		b := tt.scale.bounds
		if b[0] != tt.low || b[len(b)-1] != tt.high || len(b) != tt.number {
			t.Errorf("%s: %d bounds from %v to %v, want %d from %v to %v",
				tt.name, len(b), b[0], b[len(b)-1], tt.number, tt.low, tt.high)
		}
		for i := 1; i < len(b); i++ {
			if b[i] < 2*b[i-1] || b[i] > 3*b[i-1] {
				t.Errorf("%s: bound %v after %v", tt.name, b[i], b[i-1])
			}
		}
	}
}

// slowBucket is what scale.bucket must agree with.
func slowBucket(s *scale, d time.Duration) int {
	for i, b := range s.bounds {
		if d <= b {
			return i
		}
	}
	return len(s.bounds)
}

func TestBucketAgreesWithLinearSearch(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, s := range []*scale{durationScale, addedScale, turnScale} {
		check := func(d time.Duration) {
			if got, want := s.bucket(d), slowBucket(s, d); got != want {
				t.Fatalf("%v is in bucket %d, want %d of %v", d, got, want, s.bounds)
			}
		}
		check(0)
		for _, b := range s.bounds {
			check(b - 1)
			check(b)
			check(b + 1)
		}
		for range 20000 {
			check(time.Duration(random.Uint64() >> (1 + random.UintN(63))))
		}
	}
}

func TestHistogramReading(t *testing.T) {
	var a, b histogram
	for _, d := range []time.Duration{-time.Second, 0, 10 * time.Microsecond} {
		a.observe(addedScale, d)
	}
	b.observe(addedScale, 11*time.Microsecond)
	b.observe(addedScale, 2*time.Second)
	var r reading
	r.add(&a)
	r.add(&b)
	byBound, count := r.cumulative(addedScale)
	if count != 5 || byBound[1e-05] != 3 || byBound[2e-05] != 4 || byBound[1] != 4 {
		t.Errorf("count %d, by bound %v", count, byBound)
	}
	if want := 2.000021; r.seconds() != want {
		t.Errorf("sum %v, want %v", r.seconds(), want)
	}
}
