package upstream

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"traffic_management/engine/reactor"
)

func targetsOf(weights ...int) []*Target {
	set := make([]*Target, len(weights))
	for i, w := range weights {
		set[i] = NewTarget(fmt.Sprintf("http://server-%d", i), reactor.Addr{}, "server", 4)
		set[i].SetWeight(w)
	}
	return set
}

// balancerOf makes a service of the targets and one loop's balancer of it.
func balancerOf(o Options, set []*Target, loop int, seed uint64) *balancer {
	s := NewService("s", &o, nil)
	s.SetTargets(set)
	var latencies []*latency
	for range set {
		latencies = append(latencies, &latency{})
	}
	return newBalancer(s, s.setup.Load(), loop, seed, latencies)
}

// next is the position that is picked with this random number.
func (b *balancer) next(rnd uint64, tried ...*Target) int {
	b.ask.tried, b.ask.rnd = tried, rnd
	return b.pick()
}

func same(weight, n int) []int {
	weights := make([]int, n)
	for i := range weights {
		weights[i] = weight
	}
	return weights
}

// takes reports whether a target may be given requests, as long as there are others.
func takes(t *Target) bool { return !t.has(takenOut | unhealthy | isBackup) }

// letters is the sequence of n picks: a for position 0, and "-" for none.
func letters(b *balancer, n int, tried ...*Target) string {
	rnd := rand.NewPCG(1, 2)
	var s strings.Builder
	for range n {
		if i := b.next(rnd.Uint64(), tried...); i < 0 {
			s.WriteByte('-')
		} else {
			s.WriteByte('a' + byte(i))
		}
	}
	return s.String()
}

// count is how often each position is picked in n picks.
func count(t *testing.T, b *balancer, targets, n int, seed uint64, tried ...*Target) []int {
	t.Helper()
	rnd := rand.NewPCG(seed, 0)
	got := make([]int, targets)
	for range n {
		i := b.next(rnd.Uint64(), tried...)
		if i < 0 {
			t.Fatalf("no target, seed %d", seed)
		}
		got[i]++
	}
	return got
}

var allStrategies = []Strategy{RoundRobin, Weighted, LeastConn, Random, TwoChoices, PeakEWMA, ConsistentHash}

func TestParseStrategy(t *testing.T) {
	for _, s := range allStrategies {
		if got, err := ParseStrategy(s.String()); err != nil || got != s {
			t.Errorf("%q is %v, %v", s, got, err)
		}
	}
	_, err := ParseStrategy("leastconn")
	want := `strategy "leastconn" is not one of round_robin, weighted, least_conn, random, p2c, ewma, consistent_hash`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if got := Strategy(99).String(); got != "?" {
		t.Errorf("unknown strategy is %q", got)
	}
}

func TestSequences(t *testing.T) {
	for _, c := range []struct {
		name     string
		strategy Strategy
		weights  []int
		loop     int
		seed     uint64
		down     string // positions, as letters
		tried    string
		want     string
	}{
		{"in turn", RoundRobin, []int{1, 1, 1}, 0, 0, "", "", "abcabc"},
		{"weights do not count", RoundRobin, []int{5, 1, 1}, 0, 0, "", "", "abcabc"},
		{"loop 1 begins at the second", RoundRobin, []int{1, 1, 1}, 1, 0, "", "", "bcabca"},
		{"loop 2 begins at the third", RoundRobin, []int{1, 1, 1}, 2, 0, "", "", "cabcab"},
		{"more loops than targets", RoundRobin, []int{1, 1, 1}, 4, 0, "", "", "bcabca"},
		{"the seed moves all", RoundRobin, []int{1, 1, 1}, 1, 7, "", "", "cabcab"},
		{"a down target is passed over", RoundRobin, []int{1, 1, 1}, 0, 0, "b", "", "acacac"},
		{"weight 0 is passed over", RoundRobin, []int{1, 0, 1}, 0, 0, "", "", "acacac"},
		{"a tried target is passed over", RoundRobin, []int{1, 1, 1}, 0, 0, "", "a", "bcbcbc"},
		{"all tried: any", RoundRobin, []int{1, 1, 1}, 0, 0, "", "abc", "abcabc"},
		{"all usable ones tried", RoundRobin, []int{1, 1, 1}, 0, 0, "c", "ab", "ababab"},
		{"none", RoundRobin, []int{0, 1}, 0, 0, "b", "", "---"},
		{"empty", RoundRobin, nil, 3, 9, "", "", "---"},

		{"smooth", Weighted, []int{5, 1, 1}, 0, 0, "", "", "aabacaa" + "aabacaa"},
		{"smooth, loop 1 is a choice ahead", Weighted, []int{5, 1, 1}, 1, 0, "", "", "abacaaa" + "abacaaa"},
		{"equal weights are in turn", Weighted, []int{2, 2, 2}, 0, 0, "", "", "abcabc"},
		{"common factors do not count", Weighted, []int{500, 100, 100}, 0, 0, "", "", "aabacaa"},
		{"4, 2, 1", Weighted, []int{4, 2, 1}, 0, 0, "", "", "abacaba"},
		{"without a down one", Weighted, []int{5, 1, 1}, 0, 0, "c", "", "aaabaa" + "aaabaa"},
		{"without a tried one", Weighted, []int{5, 1, 1}, 0, 0, "", "a", "bcbcbc"},
		{"weight 0", Weighted, []int{0, 1, 2}, 0, 0, "", "", "cbccbc"},
		{"none", Weighted, []int{0, 1}, 0, 0, "b", "", "---"},
		{"empty", Weighted, nil, 3, 9, "", "", "---"},

		{"none", LeastConn, []int{0, 1}, 0, 0, "b", "", "---"},
		{"empty", LeastConn, nil, 3, 9, "", "", "---"},
		{"only one left", LeastConn, []int{1, 1, 1}, 0, 0, "a", "c", "bbb"},
		{"none", Random, []int{0, 1}, 0, 0, "b", "", "---"},
		{"all of weight 0", Random, []int{0, 0}, 0, 0, "", "", "---"},
		{"empty", Random, nil, 3, 9, "", "", "---"},
		{"only one left", Random, []int{1, 1, 1}, 0, 0, "a", "c", "bbb"},
		{"a small one among large", Random, []int{1000000, 1, 1000000}, 0, 0, "a", "c", "bbbbbb"},
	} {
		t.Run(c.strategy.String()+"/"+c.name, func(t *testing.T) {
			set := targetsOf(c.weights...)
			for _, p := range c.down {
				set[p-'a'].SetHealth(false, 0, "test")
			}
			var tried []*Target
			for _, p := range c.tried {
				tried = append(tried, set[p-'a'])
			}
			if got := letters(balancerOf(Options{Strategy: c.strategy}, set, c.loop, c.seed), len(c.want), tried...); got != c.want {
				t.Errorf("picked %s, want %s", got, c.want)
			}
		})
	}
}

// Every strategy chooses among more targets than a word has bits, and tries all of them before one twice.
func TestManyTargets(t *testing.T) {
	const n = 200
	for _, s := range allStrategies {
		t.Run(s.String(), func(t *testing.T) {
			set := targetsOf(same(1, n)...)
			b, rnd := balancerOf(Options{Strategy: s}, set, 1, 5), rand.NewPCG(3, 3)
			seen := map[int]bool{}
			var tried []*Target
			for range n {
				i := b.next(rnd.Uint64(), tried...)
				if i < 0 || seen[i] {
					t.Fatalf("after %d of %d targets: position %d", len(tried), n, i)
				}
				seen[i] = true
				tried = append(tried, set[i])
			}
			if i := b.next(rnd.Uint64(), tried...); i < 0 {
				t.Error("no target when all were tried")
			}
		})
	}
}

// A target that is away for a while gets neither a burst nor a pause when it comes back, and the others keep their
// proportion meanwhile.
func TestWeightedStaysSmooth(t *testing.T) {
	set := targetsOf(3, 1, 1)
	b := balancerOf(Options{Strategy: Weighted}, set, 0, 0)
	for round := range 20 {
		letters(b, round) // any phase
		set[1].SetHealth(false, 0, "test")
		if got := count(t, b, 3, 4*100, 1); got[0] != 300 || got[1] != 0 || got[2] != 100 {
			t.Fatalf("round %d: %v without the second, want 300, 0, 100", round, got)
		}
		set[1].SetHealth(true, 0, "test")
		for window := range 10 {
			if got := count(t, b, 3, 5, 1); got[1] > 2 || window > 0 && got[1] != 1 {
				t.Fatalf("round %d: %v in window %d after the second is back", round, got, window)
			}
		}
	}
}

// In any state, over any stretch without a change, each target gets its share to within a few requests.
func TestWeightedShares(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		weights := make([]int, 1+r.IntN(8))
		for i := range weights {
			weights[i] = r.IntN(10)
		}
		set := targetsOf(weights...)
		b := balancerOf(Options{Strategy: Weighted}, set, r.IntN(8), r.Uint64())
		for stretch := range 20 {
			total := 0
			for i, target := range set {
				target.SetHealth(r.IntN(3) > 0, 0, "test")
				target.SetDraining(r.IntN(4) == 0)
				if takes(target) {
					total += weights[i]
				}
			}
			if total == 0 {
				continue
			}
			picks := 1 + r.IntN(300)
			for i, got := range count(t, b, len(set), picks, seed) {
				want := 0.0
				if takes(set[i]) {
					want = float64(picks*weights[i]) / float64(total)
				}
				if d := float64(got) - want; d > 4 || d < -4 {
					t.Fatalf("seed %d, stretch %d, weights %v: position %d got %d of %d, want %.1f", seed, stretch,
						weights, i, got, picks, want)
				}
			}
		}
	}
}

// checkShares fails when the counts stray from the weights more than chance allows: chi-square over the 0.1 % quantile.
func checkShares(t *testing.T, got, weights []int) {
	t.Helper()
	quantile := []float64{0, 10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32, 26.12, 27.88} // by degrees of freedom
	picks, total, degrees := 0, 0, -1
	for i, w := range weights {
		picks += got[i]
		total += w
		if w > 0 {
			degrees++
		} else if got[i] != 0 {
			t.Errorf("position %d of weight 0 got %d", i, got[i])
		}
	}
	chi := 0.0
	for i, w := range weights {
		if w > 0 {
			want := float64(picks) * float64(w) / float64(total)
			chi += (float64(got[i]) - want) * (float64(got[i]) - want) / want
		}
	}
	if chi > quantile[degrees] {
		t.Errorf("%v for weights %v: chi-square %.1f, at most %.1f", got, weights, chi, quantile[degrees])
	}
}

// Random, and LeastConn among equals, draw by weight, whatever cannot be used.
func TestDraws(t *testing.T) {
	const picks = 10000
	for _, s := range []Strategy{Random, LeastConn} {
		for i, c := range []struct{ weights, usable []int }{
			{same(1, 2), same(1, 2)},
			{same(1, 10), same(1, 10)},
			{[]int{5, 1, 1}, []int{5, 1, 1}},
			{[]int{1, 0, 3}, []int{1, 0, 3}},
			{[]int{1, 2, 3, 4}, []int{1, 0, 3, 0}},
			{[]int{90, 1, 2, 2}, []int{0, 1, 2, 2}}, // drawing again is not enough: most of the weight cannot be used
		} {
			for seed := range uint64(3) {
				t.Run(fmt.Sprintf("%v/%d/seed %d", s, i, seed), func(t *testing.T) {
					set := targetsOf(c.weights...)
					var tried []*Target
					for p, w := range c.usable {
						if w == 0 && p%2 == 0 {
							set[p].SetHealth(false, 0, "test")
						} else if w == 0 {
							tried = append(tried, set[p])
						}
					}
					checkShares(t, count(t, balancerOf(Options{Strategy: s}, set, 0, 0), len(set), picks, seed, tried...), c.usable)
				})
			}
		}
	}
}

func TestLeastConn(t *testing.T) {
	for _, c := range []struct {
		name     string
		weights  []int
		inFlight [][2]int64 // by target: on either loop
		want     string     // any of these positions, and all of them
	}{
		{"idle first", []int{1, 1, 1}, [][2]int64{{1, 0}, {0, 0}, {0, 1}}, "b"},
		{"the sum over loops counts", []int{1, 1}, [][2]int64{{0, 5}, {3, 0}}, "b"},
		{"by weight", []int{5, 1}, [][2]int64{{4, 0}, {1, 0}}, "a"},
		{"by weight, heavier is fuller", []int{5, 1}, [][2]int64{{6, 0}, {1, 0}}, "b"},
		{"idle before heavy", []int{100, 1}, [][2]int64{{1, 0}, {0, 0}}, "b"},
		{"equals", []int{1, 1, 1}, [][2]int64{{2, 0}, {1, 1}, {9, 9}}, "ab"},
		{"equals by weight", []int{2, 1}, [][2]int64{{4, 0}, {1, 1}}, "ab"},
		{"weight 0 is not idle but away", []int{0, 1}, [][2]int64{{0, 0}, {7, 0}}, "b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := targetsOf(c.weights...)
			for i, n := range c.inFlight {
				set[i].Counts(0).InFlight.Add(n[0])
				set[i].Counts(1).InFlight.Add(n[1])
			}
			got := letters(balancerOf(Options{Strategy: LeastConn}, set, 0, 0), 100)
			if strings.Trim(got, c.want) != "" {
				t.Errorf("picked %s, want only of %s", got, c.want)
			}
			for _, p := range c.want {
				if !strings.ContainsRune(got, p) {
					t.Errorf("picked %s, never %c", got, p)
				}
			}
		})
	}
}

// Requests of different length: the counts of requests in flight stay level though one target is five times slower.
func TestLeastConnLevels(t *testing.T) {
	const seed = 11
	r := rand.New(rand.NewPCG(seed, 0))
	set := targetsOf(1, 1, 1)
	b := balancerOf(Options{Strategy: LeastConn}, set, 0, 0)
	for step := range 5000 {
		i := b.next(r.Uint64())
		set[i].Counts(step % 2).InFlight.Add(1)
		for j, target := range set {
			if n := target.InFlight(); n > 4 && r.IntN(5) < 1+4*min(j, 1) {
				target.Counts(0).InFlight.Add(-1)
			}
		}
		low, high := set[0].InFlight(), set[0].InFlight()
		for _, target := range set {
			low, high = min(low, target.InFlight()), max(high, target.InFlight())
		}
		if high-low > 2 {
			t.Fatalf("seed %d, step %d: between %d and %d in flight", seed, step, low, high)
		}
	}
}

// Two loops that take turns do not meet: of an even load each target gets the same, and never both loops at once.
func TestLoopsAreStaggered(t *testing.T) {
	const n, rounds = 5, 1000
	set := targetsOf(same(1, n)...)
	for _, s := range []Strategy{RoundRobin, Weighted} {
		for seed := range uint64(n) {
			first, second := balancerOf(Options{Strategy: s}, set, 0, seed), balancerOf(Options{Strategy: s}, set, 1, seed)
			got := make([]int, n)
			for round := range rounds {
				a, b := first.next(0), second.next(0)
				if a == b {
					t.Fatalf("%v, seed %d: both loops pick %d in round %d", s, seed, a, round)
				}
				got[a]++
				got[b]++
			}
			for i, picks := range got {
				if picks != 2*rounds/n {
					t.Errorf("%v, seed %d: position %d got %d, want %d", s, seed, i, picks, 2*rounds/n)
				}
			}
		}
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	for _, s := range allStrategies {
		set := targetsOf(5, 1, 0, 1, 7)
		set[4].SetHealth(false, 0, "test")
		b, rnd, tried := balancerOf(Options{Strategy: s}, set, 0, 0), rand.NewPCG(1, 1), set[1:2]
		if got := testing.AllocsPerRun(1000, func() { b.next(rnd.Uint64(), tried...) }); got != 0 {
			t.Errorf("%v: %v allocations", s, got)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, s := range allStrategies {
		for _, n := range []int{1, 3, 10, 100} {
			b.Run(fmt.Sprintf("%v/%d", s, n), func(b *testing.B) {
				balancer, rnd := balancerOf(Options{Strategy: s}, targetsOf(same(1, n)...), 0, 0), rand.NewPCG(1, 1)
				for range b.N {
					balancer.next(rnd.Uint64())
				}
			})
		}
	}
}
