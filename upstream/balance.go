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
	RoundRobin     Strategy = iota // each in turn, whatever its weight
	Weighted                       // each in turn as often as its weight, spread as evenly as can be
	LeastConn                      // the one with the fewest requests in flight for its weight
	Random                         // any, as likely as its weight
	TwoChoices                     // of two drawn by weight the one with fewer requests in flight for its weight
	PeakEWMA                       // of two drawn by weight the one that is expected to answer first
	ConsistentHash                 // the one that a property of the request leads to
	strategies
)

var strategyNames = [strategies]string{
	RoundRobin: "round_robin", Weighted: "weighted", LeastConn: "least_conn", Random: "random",
	TwoChoices: "p2c", PeakEWMA: "ewma", ConsistentHash: "consistent_hash",
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

// balancer chooses the target of each request of one service on one loop, to which it belongs.
type balancer struct {
	roster
	strategy Strategy
	chooser  chooser
	ask      pick
}

// chooser is a strategy at work. It returns -1 when no target may be chosen, and allocates nothing.
type chooser interface {
	choose(r *roster, v *pick) int
}

// newBalancer makes one loop's balancer of a setup. Loops of the same seed begin at different targets, so that they do
// not all turn to the same one at once. latencies are by position, for PeakEWMA only.
func newBalancer(s *Service, u *setup, loop int, seed uint64, latencies []*latency) *balancer {
	start := 0
	if n := uint64(len(u.targets)); n > 0 {
		start = int((seed%n + uint64(loop)) % n)
	}
	b := &balancer{roster: newRoster(s, u.targets), strategy: u.options.Strategy}
	switch b.strategy {
	case Weighted:
		b.chooser = newWeighted(u.targets, start)
	case LeastConn:
		b.chooser = leastConn{}
	case Random:
		b.chooser = random{}
	case TwoChoices:
		b.chooser = twoChoices{}
	case PeakEWMA:
		b.chooser = peakEWMA(latencies)
	case ConsistentHash:
		b.chooser = u.table
	default:
		b.chooser = &roundRobin{next: start}
	}
	return b
}

// pick returns the position of the target for the next request, -1 when there is none, by what is in b.ask. Targets that
// were tried come last; before those that were lost come even such as are out.
func (b *balancer) pick() int {
	v := &b.ask
	v.except = -1
	b.refresh(v.now)
	i := b.choose(v)
	if i < 0 && v.lost {
		i = b.drawOut(v)
	}
	if i < 0 && len(v.tried) > 0 {
		tried := v.tried
		v.tried = nil
		i = b.choose(v)
		v.tried = tried
	}
	return i
}

// choose goes by the strategy, or else a backup.
func (b *balancer) choose(v *pick) int {
	if i := b.chooser.choose(&b.roster, v); i >= 0 {
		return i
	}
	return b.drawBackup(v)
}

// sticks returns the position of a target that a client sticks to, -1 when it cannot be used for that.
func (b *balancer) sticks(t *Target) int {
	v := &b.ask
	v.except = -1
	b.refresh(v.now)
	i := b.position(t)
	if i < 0 || b.weights[i] == 0 && !t.takesSticky() || !b.allows(i, v) {
		return -1
	}
	return i
}

// roundRobin takes the targets in their order. next is where it looks first.
type roundRobin struct{ next int }

func (b *roundRobin) choose(r *roster, v *pick) int {
	i := b.next
	for range r.targets {
		at := i
		if i++; i == len(r.targets) {
			i = 0
		}
		if r.takes(at, v) {
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
	earned []int64 // by position
	ahead  int     // choices to make before the first, to begin elsewhere than other loops
}

// startingChoices bounds the choices a new balancer makes ahead, to begin elsewhere than those of other loops.
const startingChoices = 64

func newWeighted(targets []*Target, start int) *weighted {
	return &weighted{earned: make([]int64, len(targets)), ahead: start % startingChoices}
}

func (b *weighted) choose(r *roster, v *pick) int {
	for ; b.ahead > 0; b.ahead-- {
		b.turn(r, v)
	}
	return b.turn(r, v)
}

func (b *weighted) turn(r *roster, v *pick) int {
	best, most, total := -1, int64(0), int64(0)
	for i, w := range r.weights {
		if !r.takes(i, v) {
			continue
		}
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

// random draws by weight.
type random struct{}

func (random) choose(r *roster, v *pick) int { return r.draw(v) }

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
