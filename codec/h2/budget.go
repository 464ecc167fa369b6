package h2

import "time"

// What a peer may make us do, besides work for which it pays with a request. Every kind has a bucket of tokens per
// connection, which fills with time and with what goes with honest use. Whoever empties one loses the connection
// (ENHANCE_YOUR_CALM). Two more bounds are by count: fragments of a field block, and answers that the peer does not read.
const (
	// maxContinuations bounds the frames of one field block; 8 of 16 kB hold any that the limits let through.
	maxContinuations = 8
	// blockPerHead bounds the bytes of a field block, in heads of the largest size: before it is decoded, and of what it
	// is decoded to, which can be four thousand times as much and must not keep a loop busy. What is over one head and
	// under this is answered with 431.
	blockPerHead = 4
	// maxUnread is how many control frames wait for a peer that does not read.
	maxUnread = 1000
	// streamsPerHead: the heads of the open streams of a connection, and trailer sections that their receivers do not take
	// yet, may have, over all, as many bytes as if one in so many streams had the largest head. A stream beyond that is
	// refused, or reset.
	streamsPerHead = 2
)

// budget is a kind of thing that is counted.
type budget uint8

const (
	budgetResets budget = iota
	budgetSettings
	budgetPings
	budgetEmpty
	budgetPriorities
	budgetUpdates
	budgetUnknown
	budgets
)

// allowances has of each kind the tokens of a full bucket and how many come in a second.
var allowances = [budgets]struct {
	burst, rate int32
	over        *Error
}{
	// Streams that end before their messages do, reset by the peer or, by its fault, by us (CVE-2023-44487,
	// CVE-2025-8671). A stream that ends well pays one back: a client that cancels half of what it asks goes on for ever.
	budgetResets: {200, 50, errResets},
	// Each is acknowledged. Some clients change their window a few times.
	budgetSettings: {50, 2, errSettingsRate},
	// Each is answered. A keep-alive comes once in some seconds, a measurement of the path once a round trip while
	// content flows: DATA sent pays one back.
	budgetPings: {200, 20, errPings},
	// DATA frames with neither content nor END_STREAM.
	budgetEmpty: {100, 10, errEmptyData},
	// PRIORITY and PRIORITY_UPDATE. A request pays some back.
	budgetPriorities: {200, 20, errPriorities},
	// WINDOW_UPDATE. DATA sent pays some back: two for each frame are as many as a client sends that gives back
	// whatever it takes at once.
	budgetUpdates: {500, 50, errUpdates},
	// Frames of unknown types, which clients send so that nobody forgets to ignore them. A request pays one back.
	budgetUnknown: {100, 10, errUnknown},
}

// bucket is how much of one allowance is spent. The zero value is full.
type bucket struct {
	spent int32
	since time.Duration // when it was last filled
}

// spend takes one token of a kind; false when there is none.
func (s *Session) spend(k budget) bool {
	b, a := &s.buckets[k], &allowances[k]
	if b.spent++; b.spent <= a.burst {
		return true
	}
	if gained := int64(s.now-b.since) * int64(a.rate) / int64(time.Second); gained > 0 {
		b.spent -= int32(min(gained, int64(b.spent)))
		b.since = s.now
	}
	return b.spent <= a.burst
}

// repay gives tokens of a kind back.
func (s *Session) repay(k budget, n int32) {
	if b := &s.buckets[k]; b.spent > 0 {
		b.spent = max(0, b.spent-n)
	}
}
