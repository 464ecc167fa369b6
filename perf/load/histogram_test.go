package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestQuantile compares with exact quantiles of random durations of every magnitude.
func TestQuantile(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 20 {
		var h histogram
		values := make([]int64, 1+rng.IntN(5000))
		for i := range values {
			values[i] = rng.Int64N(1 << (1 + rng.IntN(40)))
			h.add(values[i])
		}
		slices.Sort(values)
		for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
			exact := values[min(int(q*float64(len(values))), len(values)-1)]
			got := h.quantile(q)
			if got < exact || float64(got) > float64(exact)*(1+1.0/(1<<subBits))+1 {
				t.Fatalf("quantile %v of %d values is %d, exactly %d", q, len(values), got, exact)
			}
		}
	}
}

// TestBuckets holds that buckets follow one another without gap or overlap.
func TestBuckets(t *testing.T) {
	for i := range 40 << subBits {
		end := bucketEnd(i)
		if bucket(end) != i || bucket(end+1) != i+1 {
			t.Fatalf("bucket %d ends at %d, which is in %d; the next value in %d", i, end, bucket(end), bucket(end+1))
		}
	}
	var h histogram
	h.add(math.MaxInt64)
	h.add(-5)
	if h.quantile(1) != math.MaxInt64 || h.quantile(0) != 0 {
		t.Errorf("quantiles %d and %d", h.quantile(0), h.quantile(1))
	}
}

func TestEmptyHistogram(t *testing.T) {
	var h histogram
	if q := h.quantile(0.99); q != 0 {
		t.Errorf("quantile of nothing is %d", q)
	}
}

// TestQueue compares with a slice.
func TestQueue(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var q queue[int]
	var want []int
	for i := range 20000 {
		switch {
		case rng.IntN(5) < 3 || len(want) == 0:
			q.push(i)
			want = append(want, i)
		case rng.IntN(10) == 0:
			v := want[rng.IntN(len(want))]
			q.remove(v)
			want = slices.DeleteFunc(want, func(x int) bool { return x == v })
		default:
			if got := q.pop(); got != want[0] {
				t.Fatalf("step %d: popped %d, want %d", i, got, want[0])
			}
			want = want[1:]
		}
		if q.len() != len(want) {
			t.Fatalf("step %d: %d items, want %d", i, q.len(), len(want))
		}
	}
}
