package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// RateLimit is how fast requests may come.
type RateLimit struct {
	Average int // in each Period
	Burst   int // at once; Average when the file does not give it
	Period  time.Duration
	Key     LimitKey
}

func (r *RateLimit) keys(o *object) {
	o.require("average", withoutDefault(integer(&r.Average, 1, 1, maxRate), 0), "requests in each period, in the long run")
	o.key("burst", withoutDefault(integer(&r.Burst, 1, 1, maxRate), 0), "requests at once; without it, as many as `average`")
	o.key("period_seconds", seconds(&r.Period, 1, 1, daySeconds), "the period of `average`")
	o.key("key", limitKey(&r.Key), "which requests are counted together")
}

const (
	maxRate      = 1_000_000_000
	maxPerSecond = 1_000_000
	maxBurstTime = 365 * 24 * time.Hour // in which a burst is allowed again
)

// check tells of numbers that no clock can keep apart, or that no client lives to see.
func (r *RateLimit) check(l *loader, path string) {
	burst := r.Burst
	if burst == 0 {
		burst = r.Average
	}
	switch {
	case l.refused(path+".average") || l.refused(path+".burst") || l.refused(path+".period_seconds") || r.Average == 0:
	case int64(r.Average) > maxPerSecond*int64(r.Period/time.Second):
		l.wrong(path+".average", "more than %d a second", maxPerSecond)
	case float64(burst)/float64(r.Average)*float64(r.Period) > float64(maxBurstTime):
		l.wrong(path+".burst", "at this rate %d requests take more than a year", burst)
	}
}

// InFlightLimit is how many requests may be under way.
type InFlightLimit struct {
	Amount int
	Key    LimitKey
}

func (i *InFlightLimit) keys(o *object) {
	o.require("amount", withoutDefault(integer(&i.Amount, 1, 1, maxCount), 0), "requests that may be under way at the same time")
	o.key("key", limitKey(&i.Key), "which requests are counted together")
}

// IPAllowList is which clients are let through.
type IPAllowList struct {
	SourceRanges []netip.Prefix
	Depth        int
}

func (i *IPAllowList) keys(o *object) {
	o.require("source_ranges", list(&i.SourceRanges, 1, prefix), "networks and addresses of the clients that are let through")
	o.key("depth", integer(&i.Depth, 0, 0, 100),
		"which address of `X-Forwarded-For`, from the right, is the client's when the peer is a trusted one; "+
			"0: the first that is not itself trusted")
}

// LimitKind is what the requests that a limit counts together have in common.
type LimitKind string

// What they have in common.
const (
	LimitClientIP LimitKind = "client_ip" // the address of the client
	LimitGlobal   LimitKind = "global"    // nothing: all are counted together
	LimitHeader   LimitKind = "header"    // the value of a field
)

// LimitKey is which requests a limit counts together.
type LimitKey struct {
	Kind LimitKind
	Name string // of the field; empty for the other kinds
}

// String is the value as the file has it.
func (k LimitKey) String() string {
	if k.Name == "" {
		return string(k.Kind)
	}
	return string(k.Kind) + ":" + k.Name
}

func limitKey(dst *LimitKey) value {
	first := LimitKey{Kind: LimitClientIP}
	form := shape{kind: kindText, initial: first.String()}
	form.expected = "client_ip, global or header:NAME"
	form.pattern = `^(client_ip|global|header:` + tokenPattern + `)$`
	return scalar[LimitKey]{dst, first, form, parseLimitKey}
}

func parseLimitKey(s string) (LimitKey, error) {
	kind, name, named := strings.Cut(s, ":")
	k := LimitKey{LimitKind(kind), name}
	switch {
	case !named && (k.Kind == LimitClientIP || k.Kind == LimitGlobal), k.Kind == LimitHeader && isToken(name):
		return k, nil
	case k.Kind == LimitHeader && name != "":
		return LimitKey{}, fmt.Errorf("%q is no name of a field", name)
	}
	return LimitKey{}, errForm
}
