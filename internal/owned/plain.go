//go:build (amd64 || arm64) && !race

package owned

import "sync/atomic"

// Add adds d and returns the sum; the writer alone may call it. It is a plain addition: with a single writer nothing is
// lost, and Go's memory model promises that a read of one machine word sees a value that was written. A locked
// instruction for each of the seven additions that observe a request takes 48 ns instead of 12.
func (i *Int64) Add(d int64) int64 {
	i.n += d
	return i.n
}

// Load reads the number.
func (i *Int64) Load() int64 { return atomic.LoadInt64(&i.n) }
