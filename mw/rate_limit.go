package mw

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

// RateLimitOptions is the settings of a rate limit: in the long run Average requests of a key in each Period, and at most
// Burst at once.
type RateLimitOptions struct {
	Name    string // of the policy, for clients; printable ASCII without quotes and backslashes
	Average int
	Period  time.Duration
	Burst   int
	Key     Key
}

// RateLimit refuses requests that come too fast with 429 (RFC 6585 section 4).
//
// Each key has one number, the time at which its requests so far would have come had they come at the average rate (the
// generic cell rate algorithm). A request moves it on by one interval; one that would move it further than a burst ahead
// of the present is refused and moves nothing. A key whose time has passed is like one never seen, so its slot can go to
// another one.
//
// When every slot that a key could have is needed, it takes over the one whose time comes first, with that time: as if it
// had sent what the other one sent. So whoever sends under ever new keys gets the rate of the keys there is room for, and
// those that send most keep their slots.
//
// Any goroutine; all loops count together, exactly.
type RateLimit struct {
	interval  int64 // nanoseconds from one request to the next
	tolerance int64 // how far ahead of the present a key may be, in nanoseconds
	keyer
	one  slot   // with KeyGlobal
	many *table // with any other key

	policy []byte // of RateLimit-Policy
	rate   []byte // of RateLimit, up to the seconds
}

// longestBurst bounds the time in which a burst comes back, so that sums of times do not overflow.
const longestBurst = 365 * 24 * time.Hour

// NewRateLimit makes a rate limit whose keys have sent nothing. Settings that make no sense are errors.
func NewRateLimit(o RateLimitOptions) (*RateLimit, error) {
	switch {
	case o.Average < 1 || o.Burst < 1 || o.Period <= 0:
		return nil, fmt.Errorf("average %d, burst %d and period %v are to be more than 0", o.Average, o.Burst, o.Period)
	case int64(o.Average) > int64(o.Period/time.Microsecond):
		return nil, fmt.Errorf("an average of %d in %v is more than one a microsecond", o.Average, o.Period)
	case float64(o.Burst)/float64(o.Average)*float64(o.Period) > float64(longestBurst):
		return nil, fmt.Errorf("a burst of %d at %d in %v takes more than a year to come back", o.Burst, o.Average, o.Period)
	}
	if err := o.Key.check(); err != nil {
		return nil, err
	}
	l := &RateLimit{interval: int64(math.Round(float64(o.Period) / float64(o.Average))), keyer: newKeyer(o.Key)}
	l.tolerance = l.interval * int64(o.Burst)
	if o.Key.Kind != KeyGlobal {
		l.many = new(table)
	}
	seconds := (o.Period + time.Second - 1) / time.Second
	l.policy = fmt.Appendf(nil, `"%s";q=%d;w=%d`, o.Name, o.Average, seconds)
	l.rate = fmt.Appendf(nil, `"%s";r=0;t=`, o.Name)
	return l, nil
}

// Request implements exchange.Filter.
func (l *RateLimit) Request(x *exchange.Exchange) exchange.Verdict {
	wait := l.take(l.of(x), x.Local().Loop.Now())
	if wait == 0 {
		return exchange.Next
	}
	var digits [20]byte
	seconds := x.Keep(strconv.AppendInt(digits[:0], int64((wait+time.Second-1)/time.Second), 10))
	x.Refuse(errRate, codec.NewField(codec.FieldRetryAfter, seconds),
		codec.Field{Name: nameRateLimitPolicy, Value: l.policy}, codec.Field{Name: nameRateLimit, Value: x.Keep(l.rate, seconds)})
	return exchange.Answered
}

// Names of draft-ietf-httpapi-ratelimit-headers-11, whose sections 3 and 4 say what the values are: lists of quoted names of
// policies, which need no escapes here, with "q" and "w" of the policy, "r" and "t" of what is left.
var (
	nameRateLimitPolicy = []byte("RateLimit-Policy")
	nameRateLimit       = []byte("RateLimit")
)

var errRate = refusal(429, "there are more requests than the rate limit allows")

// skew is more than the clocks of two loops differ: each is read once in a turn.
const skew = int64(time.Second)

// take charges a key with a request. It returns 0, or how long it is until the key may send one: then nothing was
// charged.
func (l *RateLimit) take(key uint64, now reactor.Instant) time.Duration {
	if l.many == nil {
		wait, _ := l.charge(&l.one, globalKey, now)
		return wait
	}
	s := l.many.shard(key)
	if found := s.find(key); found != nil {
		if wait, ok := l.charge(found, key, now); ok {
			return wait
		}
	}
	return l.enter(s, key, now)
}

// step is a key's time after a request now, or how long it is until the request may come.
func (l *RateLimit) step(at int64, now reactor.Instant) (next int64, wait time.Duration) {
	next = max(at, int64(now)) + l.interval
	return next, time.Duration(max(next-int64(now)-l.tolerance, 0))
}

// charge is take for a key with a slot. It reports false when the slot is not the key's any more.
func (l *RateLimit) charge(s *slot, key uint64, now reactor.Instant) (wait time.Duration, ok bool) {
	for {
		at := s.word.Load()
		if at == claimed || s.key.Load() != key {
			return 0, false
		}
		next, wait := l.step(at, now)
		if wait > 0 || s.word.CompareAndSwap(at, next) {
			return wait, true
		}
	}
}

// enter is take for a key without a slot.
func (l *RateLimit) enter(s *shard, key uint64, now reactor.Instant) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.find(key); found != nil { // it came in meanwhile, and stays while the mutex is held
		wait, _ := l.charge(found, key, now)
		return wait
	}
	for {
		v, at := s.vacant(key, func(at int64) bool { return at < int64(now)-skew })
		if v == nil {
			v, at = s.least(key)
		}
		next, wait := l.step(at, now)
		if wait > 0 || v.give(key, at, next) {
			return wait
		}
	}
}
