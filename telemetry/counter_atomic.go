//go:build !(amd64 || arm64) || race

package telemetry

import "sync/atomic"

// add is for the race detector, which takes every unlocked write for a mistake, and for machines whose word may not
// hold a counter.
func (c *counter) add(n uint64) { atomic.AddUint64(&c.n, n) }

func (c *counter) load() uint64 { return atomic.LoadUint64(&c.n) }
