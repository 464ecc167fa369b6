package upstream

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// Strategy is how requests are spread over the targets of a service.
type Strategy uint8

// Strategies.
const (
	RoundRobin Strategy = iota // each in turn, whatever its weight
	Weighted                   // each in turn as often as its weight, spread as evenly as can be
	LeastConn                  // the one with the fewest requests in flight for its weight
	Random                     // any, as likely as its weight
	strategies
)

var strategyNames = [strategies]string{
	RoundRobin: "round_robin", Weighted: "weighted", LeastConn: "least_conn", Random: "random",
}

func (s Strategy) String() string {
	if s < strategies {
		return strategyNames[s]
	}
	return "?"
}

// ParseStrategy returns the strategy of this name. The error lists the names there are.
func ParseStrategy(name string) (Strategy, error) {
	if i := slices.Index(strategyNames[:], name); i >= 0 {
		return Strategy(i), nil
	}
	return 0, fmt.Errorf("strategy %q is not one of %s", name, strings.Join(strategyNames[:], ", "))
}

// Balancer chooses the target of each request of one service on one loop, whose goroutine alone may call it.
type Balancer interface {
	// Pick returns the position of the target for the next request, -1 when none takes requests (Target.Takes). Those
	// in tried are chosen only when no other takes requests. rnd is a random number, any of 64 bits. Pick allocates
	// nothing.
	Pick(tried []*Target, rnd uint64) int
}

// NewBalancer makes one loop's balancer of targets, which stay as they are; another set has another balancer. Loops
// of the same seed begin at different targets, so that they do not all turn to the same one at once.
func NewBalancer(s Strategy, targets []*Target, loop int, seed uint64) Balancer {
	start := 0
	if n := uint64(len(targets)); n > 0 {
		start = int((seed%n + uint64(loop)) % n)
	}
	switch s {
	case Weighted:
		return untriedFirst{newWeighted(targets, start)}
	case LeastConn:
		return untriedFirst{leastConn(targets)}
	case Random:
		return untriedFirst{newRandom(targets)}
	default:
		return untriedFirst{&roundRobin{targets: targets, next: start}}
	}
}

// chooser is a strategy at work: Pick without the second choice. It returns -1 when every target that takes requests
// is in tried.
type chooser interface {
	choose(tried []*Target, rnd uint64) int
}

// untriedFirst falls back on targets that were tried when no other takes requests.
type untriedFirst struct{ chooser }

func (b untriedFirst) Pick(tried []*Target, rnd uint64) int {
	i := b.choose(tried, rnd)
	if i < 0 && len(tried) > 0 {
		i = b.choose(nil, rnd)
	}
	return i
}

// usable reports whether t takes requests and was not tried.
func usable(t *Target, tried []*Target) bool {
	return t.Takes() && (len(tried) == 0 || !slices.Contains(tried, t))
}

// roundRobin takes the targets in their order. next is where it looks first.
type roundRobin struct {
	targets []*Target
	next    int
}

func (b *roundRobin) choose(tried []*Target, _ uint64) int {
	i := b.next
	for range b.targets {
		at := i
		if i++; i == len(b.targets) {
			i = 0
		}
		if usable(b.targets[at], tried) {
			b.next = i
			return at
		}
	}
	return -1
}

// weighted is smooth weighted round robin, the idea nginx published: at each choice every target earns its weight, the
// one with the most is chosen and pays what all have earned, so that earnings always add up to nothing. A target that
// is passed over neither earns nor pays: its turn comes neither late nor in a burst when it is back.
type weighted struct {
	targets []*Target
	earned  []int64 // by position
}

// startingChoices bounds the choices a new balancer makes ahead, to begin elsewhere than those of other loops.
const startingChoices = 64

func newWeighted(targets []*Target, start int) *weighted {
	b := &weighted{targets: targets, earned: make([]int64, len(targets))}
	for range start % startingChoices {
		b.choose(nil, 0)
	}
	return b
}

func (b *weighted) choose(tried []*Target, _ uint64) int {
	best, most, total := -1, int64(0), int64(0)
	for i, t := range b.targets {
		if !usable(t, tried) {
			continue
		}
		w := int64(t.Weight)
		b.earned[i] += w
		total += w
		if best < 0 || b.earned[i] > most {
			best, most = i, b.earned[i]
		}
	}
	if best >= 0 {
		b.earned[best] -= total
	}
	return best
}

// leastConn takes the target with the fewest requests in flight for its weight, over all loops. Among equals it draws
// by weight: an order would have loops that look at the same time choose the same.
type leastConn []*Target

func (b leastConn) choose(tried []*Target, rnd uint64) int {
	best, bestWeight, bestInFlight, equals := -1, int64(0), int64(0), uint64(0)
	for i, t := range b {
		if !usable(t, tried) {
			continue
		}
		w, n := int64(t.Weight), t.InFlight()
		switch mine, least := n*bestWeight, bestInFlight*w; {
		case best < 0 || mine < least:
			best, bestWeight, bestInFlight, equals = i, w, n, uint64(w)
		case mine == least:
			// Each new equal takes over with its share of the weights so far, which leaves every one its fair share.
			equals += uint64(w)
			rnd = scramble(rnd)
			if below(equals, rnd) < uint64(w) {
				best, bestWeight, bestInFlight = i, w, n
			}
		}
	}
	return best
}

// random draws by weight. ends[i] is the sum of the weights up to and with position i.
type random struct {
	targets []*Target
	ends    []uint64
}

func newRandom(targets []*Target) *random {
	b := &random{targets: targets, ends: make([]uint64, len(targets))}
	sum := uint64(0)
	for i, t := range targets {
		sum += uint64(t.Weight)
		b.ends[i] = sum
	}
	return b
}

// draws is how often random draws before it looks at every target: enough when half of the weight can be used.
const draws = 4

// choose draws among all targets and draws again when the one it hit cannot be used: the chances of the others stay in
// proportion. When that fails it weighs every usable target, which takes a step for each.
func (b *random) choose(tried []*Target, rnd uint64) int {
	if len(b.ends) == 0 || b.ends[len(b.ends)-1] == 0 {
		return -1
	}
	total := b.ends[len(b.ends)-1]
	for range draws {
		i, _ := slices.BinarySearch(b.ends, below(total, rnd)+1)
		if usable(b.targets[i], tried) {
			return i
		}
		rnd = scramble(rnd)
	}
	chosen, sum := -1, uint64(0)
	for i, t := range b.targets {
		if !usable(t, tried) {
			continue
		}
		sum += uint64(t.Weight)
		rnd = scramble(rnd)
		if below(sum, rnd) < uint64(t.Weight) {
			chosen = i
		}
	}
	return chosen
}

// below maps a random number to one of 0 to n-1; the chances differ by less than n in 2^64.
func below(n, rnd uint64) uint64 {
	high, _ := bits.Mul64(n, rnd)
	return high
}

// scramble makes the next random number of one: a step of a Weyl sequence and the finalizer of MurmurHash3, whose
// every output bit depends on every input bit.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
