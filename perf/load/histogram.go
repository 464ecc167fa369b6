package main

import "math/bits"

// subBits is how many bits of a value below its highest set bit tell buckets apart: 1/128 is the widest error.
const subBits = 7

// histogram counts durations in nanoseconds in buckets whose width grows with the value. The zero value is empty.
type histogram struct {
	counts [(64 - subBits) << subBits]int64
	total  int64
	most   int64
}

// add counts one duration; a negative one counts as 0.
func (h *histogram) add(ns int64) {
	ns = max(ns, 0)
	h.counts[bucket(ns)]++
	h.total++
	h.most = max(h.most, ns)
}

// quantile is the duration that a share q (0 to 1) of all counted ones do not pass, in nanoseconds, rounded up to the
// end of its bucket but never over the longest one.
func (h *histogram) quantile(q float64) int64 {
	rank := int64(q * float64(h.total))
	var seen int64
	for i, n := range h.counts {
		seen += n
		if n > 0 && (seen > rank || seen == h.total) {
			return min(bucketEnd(i), h.most)
		}
	}
	return 0
}

// bucket is the index of the bucket of a value: the exponent above the low subBits+1 bits, then the bits below the
// highest.
func bucket(v int64) int {
	shift := max(bits.Len64(uint64(v))-subBits-1, 0)
	return shift<<subBits + int(v>>shift)
}

// bucketEnd is the greatest value of a bucket.
func bucketEnd(i int) int64 {
	if i < 2<<subBits {
		return int64(i)
	}
	shift := i>>subBits - 1
	low := int64(i-shift<<subBits) << shift
	return low + 1<<shift - 1
}
