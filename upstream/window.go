package upstream

import (
	"sync/atomic"
	"time"

	"traffic_management/engine/reactor"
)

// windowBuckets is how many parts a window is counted in. What is older than the window by less than a part may count.
const windowBuckets = 10

// window counts requests and failures of the last while. Any goroutine, without a lock: a few of those that are counted
// at the very moment in which a bucket is used again may be lost.
type window struct {
	part    time.Duration // of time, that one bucket stands for; immutable
	buckets [windowBuckets]bucket
}

type bucket struct {
	part   atomic.Int64 // number of the part it counts
	total  atomic.Int64
	failed atomic.Int64
}

func newWindow(d time.Duration) *window { return &window{part: max(d/windowBuckets, 1)} }

func (w *window) add(now reactor.Instant, failed bool) {
	part := int64(now) / int64(w.part)
	b := &w.buckets[part%windowBuckets]
	if old := b.part.Load(); old != part && b.part.CompareAndSwap(old, part) {
		b.total.Store(0)
		b.failed.Store(0)
	}
	b.total.Add(1)
	if failed {
		b.failed.Add(1)
	}
}

// sums are the counts of the window that ends now.
func (w *window) sums(now reactor.Instant) (failed, total int) {
	part := int64(now) / int64(w.part)
	for i := range w.buckets {
		if b := &w.buckets[i]; part-b.part.Load() < windowBuckets {
			failed += int(b.failed.Load())
			total += int(b.total.Load())
		}
	}
	return failed, total
}

// clear begins a new window.
func (w *window) clear() {
	for i := range w.buckets {
		w.buckets[i].total.Store(0)
		w.buckets[i].failed.Store(0)
	}
}
