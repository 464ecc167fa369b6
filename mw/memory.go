package mw

import (
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"

	"traffic_management/engine/reactor"
)

// digest names what is remembered.
type digest [sha256.Size]byte

// memory remembers what was found out of credentials, for a time. All loops share it without locks. It has room for a
// fixed number of them; a newer one takes the place of one that has less time left.
type memory[T any] struct {
	slots [memorySize]atomic.Pointer[memo[T]]
}

const memorySize = 4096

// memo is one of them; immutable.
type memo[T any] struct {
	name  digest
	until reactor.Instant
	value T
}

// places are where a digest can be.
func (m *memory[T]) places(name *digest) (a, b *atomic.Pointer[memo[T]]) {
	i := binary.LittleEndian.Uint64(name[:]) % memorySize
	return &m.slots[i], &m.slots[i^1]
}

// find is what is remembered under a name, nil when nothing is. A name is known to nobody who does not know what it was
// made from, so that comparing it tells nothing by the time it takes.
func (m *memory[T]) find(name *digest, now reactor.Instant) *memo[T] {
	a, b := m.places(name)
	for _, place := range [...]*atomic.Pointer[memo[T]]{a, b} {
		if found := place.Load(); found != nil && found.name == *name && now < found.until {
			return found
		}
	}
	return nil
}

// keep remembers.
func (m *memory[T]) keep(next *memo[T]) {
	a, b := m.places(&next.name)
	first, second := a.Load(), b.Load()
	if first == nil || first.name == next.name || second != nil && second.name != next.name && first.until < second.until {
		a.Store(next)
		return
	}
	b.Store(next)
}
