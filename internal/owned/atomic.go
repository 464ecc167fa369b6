//go:build !(amd64 || arm64) || race

package owned

import "sync/atomic"

// Add is for the race detector, which takes every unlocked write for a mistake, and for machines whose word may not hold
// the number.
func (i *Int64) Add(d int64) int64 { return atomic.AddInt64(&i.n, d) }

// Load reads the number.
func (i *Int64) Load() int64 { return atomic.LoadInt64(&i.n) }
