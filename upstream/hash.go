package upstream

import (
	"cmp"
	"math"
	"net/netip"
	"slices"

	"github.com/cespare/xxhash/v2"

	"traffic_management/codec"
)

// HashKind is the property of a request that consistent hashing goes by.
type HashKind uint8

// Kinds of keys. A request that lacks the property is hashed by the client's address.
const (
	HashClientIP HashKind = iota
	HashHeader            // the value of the field HashKey.Name
	HashCookie            // the value of the cookie HashKey.Name
	HashPath              // the path
	HashQuery             // the value of the query parameter HashKey.Name, as it stands in the query
)

func (k HashKind) String() string {
	return [...]string{"client_ip", "header", "cookie", "path", "query"}[k]
}

// HashKey says what consistent hashing goes by.
type HashKey struct {
	Kind HashKind
	Name string
}

// Key is the hash of a request that Query.Key wants with ConsistentHash. path is the path that routing saw. The same
// request has the same key in every process.
func (s *Service) Key(h *codec.Head, path []byte, client netip.Addr) uint64 {
	k := &s.Options().Hash
	var value []byte
	found := false
	switch k.Kind {
	case HashHeader:
		value, found = h.Lookup(k.Name)
	case HashCookie:
		value, found = cookie(h, k.Name)
	case HashPath:
		value, found = path, true
	case HashQuery:
		value, found = queryValue(h.Query, k.Name)
	}
	if !found {
		ip := client.As16()
		return xxhash.Sum64(ip[:])
	}
	return xxhash.Sum64(value)
}

// queryValue is the value of the first parameter of this name, as it stands.
func queryValue(query []byte, name string) ([]byte, bool) {
	for len(query) > 0 {
		one := query
		if i := slices.Index(query, '&'); i >= 0 {
			one, query = query[:i], query[i+1:]
		} else {
			query = nil
		}
		if n := len(name); len(one) >= n && string(one[:n]) == name && (len(one) == n || one[n] == '=') {
			return one[min(n+1, len(one)):], true
		}
	}
	return nil, false
}

// Bounds of consistent hashing.
const (
	tableBits  = 13   // slots of a table, as a power of two
	maxProbes  = 16   // slots looked at before every target is
	loadFactor = 1.25 // a target has at most this many times the mean of the requests in flight
	freeLoad   = 4    // requests in flight up to which a target is never too busy
)

// hashTable is consistent hashing: the key of a request leads to a slot, each slot belongs to a target. Who owns a slot
// is found by weighted rendezvous hashing: each target draws a lot for each slot, from the target's ID and the slot
// alone, and the best lot for its weight has the slot. So the order of targets does not matter, every loop and process
// finds the same, and when a target leaves only its own slots change hands. It is immutable and shared by the loops.
type hashTable struct {
	slots []int32 // positions of targets; empty when none has a weight
}

func newHashTable(targets []*Target) *hashTable {
	seeds, order := make([]uint64, len(targets)), make([]int, 0, len(targets))
	for i, t := range targets {
		seeds[i] = xxhash.Sum64String(t.ID)
		if t.Weight() > 0 {
			order = append(order, i)
		}
	}
	h := &hashTable{}
	if len(order) == 0 {
		return h
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(targets[a].ID, targets[b].ID) })
	h.slots = make([]int32, 1<<tableBits)
	for slot := range h.slots {
		least := math.Inf(1)
		for _, i := range order {
			lot := (float64(scramble(seeds[i]^scramble(uint64(slot)))>>12) + 0.5) / (1 << 52)
			if score := -math.Log(lot) / float64(targets[i].Weight()); score < least {
				least, h.slots[slot] = score, int32(i)
			}
		}
	}
	return h
}

// choose takes the owner of the key's slot, or of one of the next slots that the key leads to while the owner may not
// be chosen or has too much to do. When all that is found are too busy, the first of them is taken.
func (h *hashTable) choose(r *roster, v *pick) int {
	if len(h.slots) == 0 {
		return -1
	}
	busy, key := -1, scramble(v.key)
	for range maxProbes {
		i := int(h.slots[key>>(64-tableBits)])
		key = scramble(key)
		if !r.takes(i, v) {
			continue
		}
		if !r.overloaded(i) {
			return i
		}
		if busy < 0 {
			busy = i
		}
	}
	if busy >= 0 {
		return busy
	}
	// Most of the slots belong to targets that cannot be used. Any order that depends on the key alone will do.
	n := uint64(len(r.targets))
	for k := range n {
		if i := int((key%n + k) % n); r.takes(i, v) {
			return i
		}
	}
	return -1
}

// overloaded reports whether a target has more than its share of the requests in flight, and loadFactor times that.
func (r *roster) overloaded(i int) bool {
	n := r.targets[i].InFlight()
	if n < freeLoad {
		return false
	}
	all, weights := int64(1), int64(0)
	for j, t := range r.targets {
		if r.weights[j] > 0 {
			all += t.InFlight()
			weights += r.weights[j]
		}
	}
	return float64(n)+1 > math.Ceil(loadFactor*float64(all)*float64(r.weights[i])/float64(weights))
}
