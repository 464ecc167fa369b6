package mw

import (
	"fmt"
	"math"

	"traffic_management/engine/exchange"
)

// InFlightLimitOptions is the settings of a limit of requests that are under way.
type InFlightLimitOptions struct {
	Amount int // of one key
	Key    Key
}

// InFlightLimit refuses requests with 429 while as many others with the same key are under way: from the head of the
// request to the last byte of the response, or the end of the tunnel it became.
//
// The word of a key is the number of its requests, and above countBits how often the slot went to another key, so that it
// never has the same word for two keys. A key without requests does not need its slot.
//
// Any goroutine; all loops count together, exactly.
type InFlightLimit struct {
	amount int64
	keyer
	one  slot   // with KeyGlobal
	many *table // with any other key
}

const (
	countBits = 32
	countMask = 1<<countBits - 1
)

// NewInFlightLimit makes a limit with no requests under way. Settings that make no sense are errors.
func NewInFlightLimit(o InFlightLimitOptions) (*InFlightLimit, error) {
	if o.Amount < 1 || int64(o.Amount) > math.MaxInt32 {
		return nil, fmt.Errorf("the amount %d is to be from 1 to %d", o.Amount, math.MaxInt32)
	}
	if err := o.Key.check(); err != nil {
		return nil, err
	}
	l := &InFlightLimit{amount: int64(o.Amount), keyer: newKeyer(o.Key)}
	if o.Key.Kind != KeyGlobal {
		l.many = new(table)
	}
	return l, nil
}

var errInFlight = refusal(429, "too many requests are under way")

// Request implements exchange.Filter.
func (l *InFlightLimit) Request(x *exchange.Exchange) exchange.Verdict {
	s := l.enter(l.of(x))
	if s == nil {
		x.Refuse(errInFlight)
		return exchange.Answered
	}
	x.SetState(s)
	return exchange.Next
}

// Done implements exchange.Ender.
func (l *InFlightLimit) Done(x *exchange.Exchange) {
	if s, ok := x.State().(*slot); ok {
		s.leave()
	}
}

// enter counts a request. It returns nil when there are as many as may be, or no room for the key; otherwise the slot,
// which stays the key's until leave.
func (l *InFlightLimit) enter(key uint64) *slot {
	if l.many == nil {
		s, _ := l.add(&l.one, globalKey)
		return s
	}
	sh := l.many.shard(key)
	if found := sh.find(key); found != nil {
		if s, ok := l.add(found, key); ok {
			return s
		}
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if found := sh.find(key); found != nil { // it came in meanwhile, and stays while the mutex is held
		s, _ := l.add(found, key)
		return s
	}
	for {
		v, word := sh.vacant(key, func(word int64) bool { return word&countMask == 0 })
		if v == nil || v.give(key, word, nextOwner(word)) {
			return v
		}
	}
}

// nextOwner is the first word of a slot's next key: one request under way.
func nextOwner(word int64) int64 { return (word>>countBits+1)&math.MaxInt32<<countBits | 1 }

// add is enter for a key with a slot. It reports false when the slot is not the key's any more.
func (l *InFlightLimit) add(s *slot, key uint64) (taken *slot, ok bool) {
	for {
		word := s.word.Load()
		if word == claimed || s.key.Load() != key {
			return nil, false
		}
		if word&countMask >= l.amount {
			return nil, true
		}
		if s.word.CompareAndSwap(word, word+1) {
			return s, true
		}
	}
}

// leave takes back one request. The slot cannot have gone to another key: its owner needed it.
func (s *slot) leave() { s.word.Add(-1) }
