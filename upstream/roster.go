package upstream

import (
	"math"
	"slices"
	"time"

	"traffic_management/engine/reactor"
)

// level is which targets of a service are given requests.
type level uint8

// Levels. A target that an operator drains or gave weight 0 is on none of them.
const (
	levelPrimaries level = iota // the healthy primaries
	levelBackups                // the healthy primaries and backups: of the primaries there are none, or too few
	levelPanic                  // all primaries, healthy or not, or all backups where there is no primary: too few are
	// healthy, and they would break down under what is meant for all
)

func (l level) String() string { return [...]string{"primaries", "backups", "panic"}[l] }

// rampSteps is in how many steps a weight grows during a slow start.
const rampSteps = 64

// never is after every Instant.
const never = reactor.Instant(math.MaxInt64)

// roster is what one loop's balancer chooses from: the targets of a service that may be given requests, with what they
// weigh at present. Looking at every target for every request would cost more than the choice; the roster looks again
// when the service says that something changed, and when time changes something.
type roster struct {
	// Immutable:
	service *Service
	targets []*Target

	// Owned by the loop:
	epoch   uint64          // of the service, when it was looked at
	until   reactor.Instant // when to look again
	level   level
	weights []int64  // by position, in parts of wholeWeight; 0: not to be chosen
	ends    []uint64 // by position: sums of the weights up to and with it
}

// pick is what one choice is made by.
type pick struct {
	now      reactor.Instant
	tried    []*Target  // not to be chosen
	breakers []*breaker // by position: those that do not let the request through are not to be chosen; nil: none
	except   int        // position that is not to be chosen; -1: none
	lost     bool       // Query.Lost
	rnd      uint64     // any of 64 bits
	key      uint64     // what consistent hashing goes by
}

func newRoster(s *Service, targets []*Target) roster {
	return roster{service: s, targets: targets, until: math.MinInt64, weights: make([]int64, len(targets)),
		ends: make([]uint64, len(targets))}
}

// refresh brings the roster up to date.
func (r *roster) refresh(now reactor.Instant) {
	if epoch := r.service.epoch.Load(); epoch != r.epoch || now >= r.until {
		r.epoch = epoch
		r.rebuild(now)
	}
}

func (r *roster) rebuild(now reactor.Instant) {
	o := r.service.Options()
	r.until = never
	var primaries, healthy, spare int
	for _, t := range r.targets {
		c := t.settle(now)
		if c&isEjected != 0 {
			r.until = min(r.until, reactor.Instant(t.ejectedUntil.Load()))
		}
		switch {
		case c&takenOut != 0:
		case c&isBackup == 0:
			primaries++
			if c&unhealthy == 0 {
				healthy++
			}
		case c&unhealthy == 0:
			spare++
		}
	}
	r.level = chooseLevel(primaries, healthy, spare, o.PanicThreshold)
	excluded := takenOut | unhealthy
	switch {
	case r.level == levelPrimaries:
		excluded |= isBackup
	case r.level == levelPanic && primaries > 0:
		excluded = takenOut | isBackup
	case r.level == levelPanic:
		excluded = takenOut
	}
	sum := uint64(0)
	for i, t := range r.targets {
		r.weights[i] = 0
		if !t.has(excluded) {
			share := t.share(now, o.SlowStart)
			if share < wholeWeight {
				r.until = min(r.until, now.Add(max(o.SlowStart/rampSteps, time.Millisecond)))
			}
			r.weights[i] = int64(t.Weight()) * share
		}
		sum += uint64(r.weights[i])
		r.ends[i] = sum
	}
}

// chooseLevel decides by how many primaries there are, how many of them and of the backups are healthy, and the share
// in percent of the primaries that must be.
func chooseLevel(primaries, healthy, spare, threshold int) level {
	enough := 100*healthy >= threshold*primaries
	switch {
	case healthy > 0 && enough:
		return levelPrimaries
	case spare > 0:
		return levelBackups
	case threshold > 0:
		return levelPanic
	}
	return levelPrimaries
}

// takes reports whether the target at a position may be chosen.
func (r *roster) takes(i int, v *pick) bool {
	return r.weights[i] > 0 && (v.breakers == nil && len(v.tried) == 0 && i != v.except || r.allows(i, v))
}

// allows reports whether the pick itself leaves a target in.
func (r *roster) allows(i int, v *pick) bool {
	return i != v.except && !slices.Contains(v.tried, r.targets[i]) &&
		(v.breakers == nil || v.breakers[i].takes(v.now))
}

// draws is how often draw tries before it looks at every target: enough when half of the weight can be used.
const draws = 4

// draw chooses by weight, -1 when nothing can be chosen. It draws among all targets and draws again when the one it hit
// cannot be used: the chances of the others stay in proportion. When that fails it weighs every usable target, which
// takes a step for each.
func (r *roster) draw(v *pick) int {
	if !r.usable() {
		return -1
	}
	total := r.ends[len(r.ends)-1]
	for range draws {
		v.rnd = scramble(v.rnd)
		i, _ := slices.BinarySearch(r.ends, below(total, v.rnd)+1)
		if r.takes(i, v) {
			return i
		}
	}
	chosen, sum := -1, uint64(0)
	for i := range r.targets {
		if r.takes(i, v) && v.wins(uint64(r.weights[i]), &sum) {
			chosen = i
		}
	}
	return chosen
}

// wins draws between what was drawn so far, of the weights in sum, and another of weight w: one after the other takes
// over with its share of the weights so far, which leaves every one its fair share.
func (v *pick) wins(w uint64, sum *uint64) bool {
	*sum += w
	v.rnd = scramble(v.rnd)
	return below(*sum, v.rnd) < w
}

// usable reports whether any target may be chosen, but for what a pick says.
func (r *roster) usable() bool { return len(r.ends) > 0 && r.ends[len(r.ends)-1] > 0 }

// position is where a target is, -1 when it is not among the service's.
func (r *roster) position(t *Target) int { return slices.Index(r.targets, t) }

// drawBackup draws a healthy backup that the level leaves out, -1 when there is none.
func (r *roster) drawBackup(v *pick) int {
	return r.drawBeyond(v, func(t *Target) bool { return t.Backup() && !t.has(takenOut|unhealthy) })
}

// drawOut draws a target that is out because of its health, -1 when there is none.
func (r *roster) drawOut(v *pick) int {
	return r.drawBeyond(v, func(t *Target) bool { return !t.has(takenOut) })
}

// drawBeyond draws among the targets that fit and that the level leaves out.
func (r *roster) drawBeyond(v *pick, fits func(*Target) bool) int {
	chosen, sum := -1, uint64(0)
	for i, t := range r.targets {
		if r.weights[i] == 0 && t.Weight() > 0 && fits(t) && r.allows(i, v) && v.wins(uint64(t.Weight()), &sum) {
			chosen = i
		}
	}
	return chosen
}
