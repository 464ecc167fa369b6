package telemetry

import "traffic_management/internal/owned"

// A counter is a number that grows. The goroutine of the loop that owns the shard it lies in writes it, any reads it.
type counter struct{ n owned.Int64 }

func (c *counter) add(n uint64) { c.n.Add(int64(n)) }

func (c *counter) load() uint64 { return uint64(c.n.Load()) }

// cachePad ends every shard, so that the words of two loops never share a cache line wherever the allocator puts them.
type cachePad [64]byte

// perLoop is one shard per loop. The slice is immutable; a shard's methods belong to the goroutine of its loop.
type perLoop[S any] []*S

func newPerLoop[S any](loops int) perLoop[S] {
	p := make(perLoop[S], loops)
	for i := range p {
		p[i] = new(S)
	}
	return p
}

// Shard returns the part that the loop of this index, from 0, writes. Any goroutine may ask for it.
func (p perLoop[S]) Shard(loop int) *S { return p[loop] }

// sum reads the same counter of every shard.
func (p perLoop[S]) sum(of func(*S) *counter) uint64 {
	var n uint64
	for _, s := range p {
		n += of(s).load()
	}
	return n
}
