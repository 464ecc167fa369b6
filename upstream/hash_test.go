package upstream

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"traffic_management/codec"
)

// owners is the ID of the target that each of n keys leads to, while nothing is in flight.
func owners(t *testing.T, set []*Target, loop, n int) []string {
	t.Helper()
	b := balancerOf(Options{Strategy: ConsistentHash}, set, loop, uint64(loop))
	rnd := rand.New(rand.NewPCG(1, 1))
	var ids []string
	for range n {
		b.ask.key = rnd.Uint64()
		i := b.next(uint64(loop))
		if i < 0 {
			t.Fatal("no target")
		}
		ids = append(ids, set[i].ID)
	}
	return ids
}

// moved is how many keys have another owner.
func moved(a, b []string) (n int) {
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

const keys = 5000

// A key leads to the same target on every loop and in whatever order the targets are configured.
func TestHashIsStable(t *testing.T) {
	set := targetsOf(1, 2, 3, 4, 5)
	first := owners(t, set, 0, keys)
	shuffled := slices.Clone(targetsOf(1, 2, 3, 4, 5))
	for seed := range uint64(3) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		rnd.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if n := moved(first, owners(t, shuffled, int(seed), keys)); n != 0 {
			t.Errorf("seed %d: %d keys lead elsewhere", seed, n)
		}
	}
}

// Targets get keys by weight.
func TestHashShares(t *testing.T) {
	for _, weights := range [][]int{same(1, 3), same(7, 10), {5, 1, 1}, {1, 0, 3}} {
		got, total := map[string]int{}, 0
		set := targetsOf(weights...)
		for _, id := range owners(t, set, 0, keys) {
			got[id]++
		}
		for _, w := range weights {
			total += w
		}
		for i, x := range set {
			want := keys * weights[i] / total
			if n := got[x.ID]; n < want*85/100 || n > want*115/100 {
				t.Errorf("weights %v: target %d has %d keys, want %d give or take 15 %%", weights, i, n, want)
			}
		}
	}
}

// Only keys of the target that changed move.
func TestHashMovesFew(t *testing.T) {
	weights := []int{3, 1, 2, 1, 1, 2}
	all := targetsOf(weights...)
	before := owners(t, all, 0, keys)
	of := func(id string) (n int) {
		for _, other := range before {
			if other == id {
				n++
			}
		}
		return n
	}
	for i := range all {
		id := all[i].ID
		without := slices.Delete(targetsOf(weights...), i, i+1)
		if n := moved(before, owners(t, without, 0, keys)); n != of(id) {
			t.Errorf("target %d left: %d keys moved, %d were its own", i, n, of(id))
		}
		down := targetsOf(weights...)
		down[i].SetHealth(false, 0, "test")
		if n := moved(before, owners(t, down, 0, keys)); n != of(id) {
			t.Errorf("target %d is down: %d keys moved, %d were its own", i, n, of(id))
		}
		spread := map[string]int{}
		for k, id := range owners(t, down, 0, keys) {
			if before[k] == all[i].ID {
				spread[id]++
			}
		}
		if len(spread) != len(all)-1 {
			t.Errorf("target %d is down: its keys went to %v", i, spread)
		}
		heavier := targetsOf(weights...)
		b := balancerOf(Options{Strategy: ConsistentHash}, heavier, 0, 0) // the change comes while the service runs
		heavier[i].SetWeight(weights[i] + 1)
		if b.service.setup.Load().table == b.chooser {
			t.Error("the table is the old one after a change of weight")
		}
		after := owners(t, heavier, 0, keys)
		for k := range after {
			if after[k] != before[k] && after[k] != id {
				t.Fatalf("target %d became heavier: key %d moved from %s to %s", i, k, before[k], after[k])
			}
		}
	}
}

// One key that many requests have at the same time is spread over more targets, none of which has much more than its
// share.
func TestHashBoundsLoad(t *testing.T) {
	set := targetsOf(1, 1, 2)
	b := balancerOf(Options{Strategy: ConsistentHash}, set, 0, 0)
	b.ask.key = 42
	first := b.next(0)
	for n := range int64(400) {
		i := b.next(0)
		if n < freeLoad && i != first {
			t.Errorf("request %d of the key goes to %d instead of %d", n, i, first)
		}
		set[i].Counts(int(n % 4)).InFlight.Add(1)
	}
	for i, x := range set {
		most := loadFactor*400*float64(x.Weight())/4 + 1
		if n := float64(x.InFlight()); n > most || n < 400/20 {
			t.Errorf("target %d has %v requests in flight, at most %v", i, n, most)
		}
	}
}

func TestKey(t *testing.T) {
	client, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	head := func(field codec.FieldID, value, query string) *codec.Head {
		h := &codec.Head{Query: []byte(query)}
		if value != "" {
			h.Fields = []codec.Field{codec.NewField(field, []byte(value))}
		}
		return h
	}
	none := head(0, "", "")
	for _, c := range []struct {
		name     string
		key      HashKey
		a, b     *codec.Head
		paths    [2]string
		clients  [2]netip.Addr
		wantSame bool
	}{
		{"same client", HashKey{}, none, none, [2]string{"/a", "/b"}, [2]netip.Addr{client, client}, true},
		{"other client", HashKey{}, none, none, [2]string{}, [2]netip.Addr{client, other}, false},
		{"no address", HashKey{}, none, none, [2]string{}, [2]netip.Addr{}, true},
		{"same path", HashKey{Kind: HashPath}, none, none, [2]string{"/a", "/a"}, [2]netip.Addr{client, other}, true},
		{"other path", HashKey{Kind: HashPath}, none, none, [2]string{"/a", "/b"}, [2]netip.Addr{client, client}, false},
		{"same field", HashKey{HashHeader, "user-agent"}, head(codec.FieldUserAgent, "x", ""), head(codec.FieldUserAgent, "x", ""),
			[2]string{}, [2]netip.Addr{client, other}, true},
		{"other field", HashKey{HashHeader, "user-agent"}, head(codec.FieldUserAgent, "x", ""), head(codec.FieldUserAgent, "y", ""),
			[2]string{}, [2]netip.Addr{client, client}, false},
		{"no field: by client", HashKey{HashHeader, "user-agent"}, none, none, [2]string{}, [2]netip.Addr{client, other}, false},
		{"same cookie", HashKey{HashCookie, "id"}, head(codec.FieldCookie, "a=1; id=7", ""),
			head(codec.FieldCookie, `id="7"; b=2`, ""), [2]string{}, [2]netip.Addr{client, other}, true},
		{"other cookie", HashKey{HashCookie, "id"}, head(codec.FieldCookie, "id=7", ""), head(codec.FieldCookie, "xid=7; id=8", ""),
			[2]string{}, [2]netip.Addr{client, client}, false},
		{"same parameter", HashKey{HashQuery, "id"}, head(0, "", "a=1&id=7"), head(0, "", "id=7&id=8&a"),
			[2]string{}, [2]netip.Addr{client, other}, true},
		{"other parameter", HashKey{HashQuery, "id"}, head(0, "", "xid=7&id=1"), head(0, "", "xid=7&id"),
			[2]string{}, [2]netip.Addr{client, client}, false},
		{"an empty parameter is one", HashKey{HashQuery, "id"}, head(0, "", "id="), head(0, "", "id"),
			[2]string{}, [2]netip.Addr{client, other}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewService("s", &Options{Hash: c.key}, nil)
			a, b := s.Key(c.a, []byte(c.paths[0]), c.clients[0]), s.Key(c.b, []byte(c.paths[1]), c.clients[1])
			if (a == b) != c.wantSame {
				t.Errorf("keys %x and %x", a, b)
			}
			if n := testing.AllocsPerRun(100, func() { s.Key(c.a, nil, client) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func BenchmarkHashTable(b *testing.B) {
	for _, n := range []int{3, 100} {
		set := targetsOf(same(1, n)...)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for range b.N {
				newHashTable(set)
			}
		})
	}
}
