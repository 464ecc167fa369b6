package mw

import (
	"math"
	"sync"
	"sync/atomic"
)

// table has one word for each of many keys, for all loops at once. Whoever finds a key's slot changes its word with
// compare-and-swap and takes no lock; only a key that is not there enters under the mutex of its shard, for a few dozen
// loads.
//
//	key ──top byte──▶ shard ──▶ bucket of level 0 ─full─▶ of level 1 ─full─▶ ... of level 4 ─full─▶ no room
//
// Each level goes by other bits of the key, so that those that meet in one bucket part in the next.
//
// A slot never moves. It goes to another key when its owner's word says that nothing is lost by it, and when there is no
// other as whoever uses the table decides. Levels are made when keys find no room in those before, four times as large:
// empty, a table has 20 kB; it never has more than 45 MB, with room for 2.8 million keys. Memory is not given back: what
// was needed once may be needed again.
type table struct {
	shards [shardCount]shard
}

const (
	shardCount  = 256
	levelCount  = 5
	firstLevel  = 4 // buckets
	bucketSlots = 8 // two cache lines
)

type shard struct {
	mu     sync.Mutex // held to give a slot to a key
	levels [levelCount]atomic.Pointer[[]bucket]
	_      [16]byte // a cache line for each shard
}

type bucket [bucketSlots]slot

// slot is the word of one key. Any goroutine.
//
// Its owner changes with the mutex of its shard held, in this order: word becomes claimed, key the new one, word the new
// one's. So whoever loads word, then finds the key he looks for in key, has a word of that key; and his
// compare-and-swap fails when the slot was claimed since, provided that a slot never has the same word twice.
type slot struct {
	key  atomic.Uint64 // globalKey: no key had it yet
	word atomic.Int64
}

// claimed is the word of a slot whose owner is being changed.
const claimed = math.MinInt64

func (t *table) shard(key uint64) *shard { return &t.shards[key>>56] }

// find is the slot of a key, nil when it has none.
func (s *shard) find(key uint64) *slot {
	for i := range s.levels {
		b := s.bucket(i, key)
		if b == nil {
			break
		}
		for j := range b {
			if b[j].key.Load() == key {
				return &b[j]
			}
		}
	}
	return nil
}

// bucket is where a key can be in a level, nil when there is no such level.
func (s *shard) bucket(level int, key uint64) *bucket {
	l := s.levels[level].Load()
	if l == nil {
		return nil
	}
	return &(*l)[key>>(8*level)&uint64(len(*l)-1)]
}

// vacant is a slot that a key can have, and its word: one that no key had, or that its owner does not need. nil when
// there is none. The mutex is held.
func (s *shard) vacant(key uint64, unneeded func(word int64) bool) (v *slot, word int64) {
	for i := range s.levels {
		if s.levels[i].Load() == nil {
			level := make([]bucket, firstLevel<<(2*i))
			s.levels[i].Store(&level)
		}
		b := s.bucket(i, key)
		for j := range b {
			word := b[j].word.Load()
			if b[j].key.Load() == globalKey || unneeded(word) {
				return &b[j], word
			}
		}
	}
	return nil, 0
}

// least is the slot with the smallest word of those that a key could have. The mutex is held, and all are taken.
func (s *shard) least(key uint64) (v *slot, word int64) {
	for i := range s.levels {
		b := s.bucket(i, key)
		for j := range b {
			if w := b[j].word.Load(); v == nil || w < word {
				v, word = &b[j], w
			}
		}
	}
	return v, word
}

// give makes a slot a key's, with a first word. It reports false when it no longer has the word given, and nothing has
// changed. The mutex is held.
func (s *slot) give(key uint64, from, to int64) bool {
	if !s.word.CompareAndSwap(from, claimed) {
		return false
	}
	s.key.Store(key)
	s.word.Store(to)
	return true
}
