package mw

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"traffic_management/engine/exchange"
)

// IPAllowListOptions is the settings of a list of clients.
type IPAllowListOptions struct {
	SourceRanges []netip.Prefix // of those that are let through; at least one
	Depth        int            // of ClientIP
}

// IPAllowList refuses the requests of other clients with 403. A client without an address, on a unix socket or where
// ClientIP finds none, is none of those. Immutable.
type IPAllowList struct {
	ranges []ipRange // sorted, apart from each other
	depth  int
}

// ipRange is the addresses from first to last, of one version.
type ipRange struct{ first, last netip.Addr }

// NewIPAllowList makes a list.
func NewIPAllowList(o IPAllowListOptions) (*IPAllowList, error) {
	if len(o.SourceRanges) == 0 {
		return nil, errors.New("no source range is given, so that nobody would be let through")
	}
	if o.Depth < 0 {
		return nil, fmt.Errorf("the depth %d is less than 0", o.Depth)
	}
	l := &IPAllowList{depth: o.Depth}
	for _, p := range o.SourceRanges {
		if !p.IsValid() {
			return nil, fmt.Errorf("%v is no network", p)
		}
		l.ranges = append(l.ranges, ipRange{p.Masked().Addr(), lastOf(p)})
	}
	slices.SortFunc(l.ranges, func(a, b ipRange) int { return a.first.Compare(b.first) })
	l.ranges = merge(l.ranges)
	return l, nil
}

// lastOf is the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

// merge joins ranges that have addresses in common. Networks do only when one is within the other.
func merge(sorted []ipRange) []ipRange {
	apart := sorted[:1]
	for _, r := range sorted[1:] {
		if end := &apart[len(apart)-1].last; end.Less(r.first) {
			apart = append(apart, r)
		} else if end.Less(r.last) {
			*end = r.last
		}
	}
	return apart
}

var errNotAllowed = refusal(403, "the address of the client is not one of those that are let through")

// Request implements exchange.Filter.
func (l *IPAllowList) Request(x *exchange.Exchange) exchange.Verdict {
	if l.has(ClientIP(x, l.depth)) {
		return exchange.Next
	}
	x.Refuse(errNotAllowed)
	return exchange.Answered
}

// has reports whether a client is let through.
func (l *IPAllowList) has(a netip.Addr) bool {
	low, high := 0, len(l.ranges)
	for low < high { // the first range that begins after a
		if middle := (low + high) / 2; a.Less(l.ranges[middle].first) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low > 0 && !l.ranges[low-1].last.Less(a)
}
