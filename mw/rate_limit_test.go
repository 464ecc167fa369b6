package mw

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"traffic_management/engine/reactor"
)

const second = reactor.Instant(time.Second)

func rateLimit(t testing.TB, o RateLimitOptions) *RateLimit {
	t.Helper()
	if o.Period == 0 {
		o.Period = time.Second
	}
	l, err := NewRateLimit(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestRateLimitDialogue(t *testing.T) {
	type request struct{ at, wait time.Duration }
	const ms = time.Millisecond
	for _, c := range []struct {
		what           string
		average, burst int
		requests       []request
	}{
		{"a burst, then one for each interval", 10, 3, []request{
			{0, 0}, {0, 0}, {0, 0}, {0, 100 * ms}, {40 * ms, 60 * ms}, {100 * ms, 0}, {100 * ms, 100 * ms}, {200 * ms, 0}}},
		{"what is refused costs nothing", 10, 1, []request{
			{0, 0}, {99 * ms, 1 * ms}, {99 * ms, 1 * ms}, {100 * ms, 0}, {100 * ms, 100 * ms}}},
		{"a silence gives no more than a burst", 10, 2, []request{
			{0, 0}, {time.Hour, 0}, {time.Hour, 0}, {time.Hour, 100 * ms}}},
		{"half a burst comes back in half the time", 10, 4, []request{
			{0, 0}, {0, 0}, {0, 0}, {0, 0}, {200 * ms, 0}, {200 * ms, 0}, {200 * ms, 100 * ms}}},
		{"a loop whose clock is behind gets no more", 10, 1, []request{
			{100 * ms, 0}, {95 * ms, 105 * ms}, {200 * ms, 0}}},
	} {
		for _, kind := range []KeyKind{KeyGlobal, KeyClientIP} {
			l := rateLimit(t, RateLimitOptions{Average: c.average, Burst: c.burst, Key: Key{Kind: kind}})
			for i, r := range c.requests {
				if got := l.take(7, reactor.Instant(r.at)); got != r.wait {
					t.Errorf("%s, %v: request %d at %v waits %v, want %v", c.what, kind, i, r.at, got, r.wait)
				}
			}
		}
	}
}

// tokens is the same limit as a bucket of tokens, one of which comes every interval.
type tokens struct{ interval, capacity, level, since int64 }

func (b *tokens) take(now int64) bool {
	b.level, b.since = min(b.level+now-b.since, b.capacity), now
	if b.level < b.interval {
		return false
	}
	b.level -= b.interval
	return true
}

func TestRateLimitIsABucketOfTokens(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		o := RateLimitOptions{Average: 1 + r.IntN(1000), Burst: 1 + r.IntN(20), Period: time.Duration(1+r.IntN(100)) * time.Second,
			Key: Key{Kind: KeyGlobal}}
		l := rateLimit(t, o)
		model := tokens{interval: l.interval, capacity: l.interval * int64(o.Burst), level: l.interval * int64(o.Burst)}
		now := int64(r.IntN(1e9))
		model.since = now
		for i := range 300 {
			now += int64(r.ExpFloat64() * float64(l.interval))
			wait := l.take(3, reactor.Instant(now))
			if want := model.take(now); (wait == 0) != want {
				t.Fatalf("seed %d, %+v, request %d: waits %v, the bucket lets it through: %v", seed, o, i, wait, want)
			}
			if wait > 0 { // and not a nanosecond before
				if _, still := l.step(l.one.word.Load(), reactor.Instant(now+int64(wait)-1)); still != 1 {
					t.Fatalf("seed %d, request %d: told to wait %v, which is too long", seed, i, wait)
				}
			}
		}
	}
}

// sameBuckets are keys that lie in the same bucket of every level.
func sameBuckets(n int) uint64 { return 5<<56 | uint64(n+1)<<42 | 9 }

// room is how many of them a table has room for.
const room = levelCount * bucketSlots

// TestRateLimitIsExact has loops count the same keys at the same moment.
func TestRateLimitIsExact(t *testing.T) {
	const loops, keys, burst = 8, 30, 50
	for _, kind := range []KeyKind{KeyGlobal, KeyClientIP} {
		l := rateLimit(t, RateLimitOptions{Average: 1, Burst: burst, Key: Key{Kind: kind}})
		var passed [keys]atomic.Int64
		var all sync.WaitGroup
		for i := range loops {
			all.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), 2))
				for range 4 * burst * keys / loops {
					if k := r.IntN(keys); l.take(sameBuckets(k), second) == 0 {
						passed[k].Add(1)
					}
				}
				for k := range keys {
					for l.take(sameBuckets(k), second) == 0 {
						passed[k].Add(1)
					}
				}
			})
		}
		all.Wait()
		sum := int64(0)
		for k := range passed {
			if n := passed[k].Load(); kind != KeyGlobal && n != burst {
				t.Errorf("key %d: %d requests of a burst of %d passed", k, n, burst)
			} else {
				sum += n
			}
		}
		if kind == KeyGlobal && sum != burst {
			t.Errorf("%d requests of a burst of %d passed", sum, burst)
		}
	}
}

// TestRateLimitGivesSlotsAway has more keys than there is room for, while loops take slots from each other and their
// clocks go on: of no key may more pass than the bucket of one that is never forgotten would let through.
func TestRateLimitGivesSlotsAway(t *testing.T) {
	const loops, keys, burst, turns = 4, 3 * room, 5, 1500
	l := rateLimit(t, RateLimitOptions{Average: 10, Burst: burst})
	var passed [keys]atomic.Int64
	var clock atomic.Int64
	var all sync.WaitGroup
	for i := range loops {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 3))
			for range turns {
				now := clock.Add(int64(time.Millisecond))
				if k := r.IntN(keys); l.take(sameBuckets(k), reactor.Instant(now)) == 0 {
					passed[k].Add(1)
				}
			}
		})
	}
	all.Wait()
	most := burst + clock.Load()/l.interval + 1
	for k := range passed {
		if n := passed[k].Load(); n > most {
			t.Errorf("key %d: %d requests passed, at most %d may", k, n, most)
		}
	}
}

func TestRateLimitWhoseTableIsFull(t *testing.T) {
	const burst = 3
	l := rateLimit(t, RateLimitOptions{Average: 1, Burst: burst})
	const heavy = room + 1
	for range burst {
		l.take(sameBuckets(heavy), second)
	}
	passed := 0
	for k := range 1000 {
		if l.take(sameBuckets(2*room+k), second) == 0 {
			passed++
		}
	}
	if most := (room - 1) * burst; passed > most || passed < room-1 {
		t.Errorf("%d requests of ever new keys passed, want %d to %d: there is room for %d keys", passed, room-1, most, room)
	}
	if l.take(sameBuckets(heavy), second) == 0 {
		t.Error("a key that had used its burst was forgotten for new ones")
	}
	// The slots of those whose time has passed are given to others, but not before all clocks say so.
	if l.take(sameBuckets(3*room), second+burst*second) != 0 {
		t.Error("with all times passed a new key is refused")
	}
	later := second + burst*second + reactor.Instant(skew) + second
	for k := range room {
		for i := range burst {
			if wait := l.take(sameBuckets(4*room+k), later); wait > 0 && k < room-1 {
				t.Fatalf("key %d of %d, request %d waits %v, although those before are not needed", k, room, i, wait)
			}
		}
	}
}

// TestRateLimitOfManyKeys: as many clients as a flood has, all of which have used what they may.
func TestRateLimitOfManyKeys(t *testing.T) {
	l := rateLimit(t, RateLimitOptions{Average: 1, Burst: 1, Period: time.Hour})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := rand.New(rand.NewPCG(1, 4))
	keys := make([]uint64, manyKeys)
	refused := 0
	for i := range keys {
		keys[i] = r.Uint64() | 1
		if l.take(keys[i], second) != 0 {
			refused++
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	const most = 100 << 20
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc) - int64(8*manyKeys); grown > most {
		t.Errorf("%d keys take %d bytes, more than %d", manyKeys, grown, most)
	}
	if refused > manyKeys/1000 {
		t.Errorf("%d of %d keys found no room", refused, manyKeys)
	}
	for _, k := range keys {
		if l.take(k, 2*second) == 0 {
			t.Fatal("a key that had used its burst was forgotten")
		}
	}
}

// TestTableIsBounded fills one bucket of every level, so that all levels of its shard are there.
func TestTableIsBounded(t *testing.T) {
	l := rateLimit(t, RateLimitOptions{Average: 1, Burst: 1})
	const most, empty = 45_000_000, 20_000
	if n := unsafe.Sizeof(*l.many); n > empty {
		t.Errorf("an empty table has %d bytes, more than %d", n, empty)
	}
	for k := range 2 * room {
		l.take(sameBuckets(k), second)
	}
	size := unsafe.Sizeof(*l.many)
	s := l.many.shard(sameBuckets(0))
	for i := range s.levels {
		size += shardCount * (uintptr(len(*s.levels[i].Load()))*unsafe.Sizeof(bucket{}) + unsafe.Sizeof([]bucket{}))
	}
	if size > most {
		t.Errorf("a full table has %d bytes, more than %d", size, most)
	}
	if n := unsafe.Sizeof(shard{}); n != 64 {
		t.Errorf("a shard has %d bytes and shares cache lines", n)
	}
}

func TestRateLimitAllocatesNothing(t *testing.T) {
	for _, kind := range []KeyKind{KeyGlobal, KeyClientIP, KeyHeader} {
		k := Key{Kind: kind}
		if kind == KeyHeader {
			k.Header = "X-Api-Key"
		}
		x := arrivals(t, "198.51.100.7").request("Accept: */*", "X-Api-Key: one")
		l := rateLimit(t, RateLimitOptions{Average: 1_000_000, Burst: 1_000_000, Key: k})
		if n := testing.AllocsPerRun(100, func() { l.Request(x) }); n != 0 {
			t.Errorf("%v: %v allocations", kind, n)
		}
	}
}

func TestRateLimitOptions(t *testing.T) {
	good := RateLimitOptions{Average: 1, Burst: 1, Period: time.Second}
	for _, c := range []struct {
		change func(*RateLimitOptions)
		want   string
	}{
		{func(o *RateLimitOptions) {}, ""},
		{func(o *RateLimitOptions) { o.Average = 0 }, "average 0"},
		{func(o *RateLimitOptions) { o.Burst = -1 }, "burst -1"},
		{func(o *RateLimitOptions) { o.Period = 0 }, "period 0s"},
		{func(o *RateLimitOptions) { o.Average = 1_000_000 }, ""},
		{func(o *RateLimitOptions) { o.Average = 1_000_001 }, "more than one a microsecond"},
		{func(o *RateLimitOptions) { o.Burst = 365 * 86400 }, ""},
		{func(o *RateLimitOptions) { o.Burst = 365*86400 + 1 }, "more than a year"},
		{func(o *RateLimitOptions) { o.Key.Kind = KeyHeader }, "the name of a field"},
		{func(o *RateLimitOptions) { o.Key.Header = "A" }, "the name of a field"},
	} {
		o := good
		c.change(&o)
		if _, err := NewRateLimit(o); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", o, err, c.want)
		}
	}
}

func BenchmarkRateLimit(b *testing.B) {
	for _, c := range []struct {
		name string
		key  Key
		keys int
	}{{"global", Key{Kind: KeyGlobal}, 1}, {"one", Key{}, 1}, {"thousand", Key{}, 1000}, {"million", Key{}, 1_000_000}} {
		b.Run(c.name, func(b *testing.B) {
			l := rateLimit(b, RateLimitOptions{Average: 1_000_000, Burst: 1_000_000, Key: c.key})
			r := rand.New(rand.NewPCG(1, 5))
			keys := make([]uint64, c.keys)
			for i := range keys {
				keys[i] = r.Uint64() | 1
				l.take(keys[i], second)
			}
			i := 0
			for b.Loop() {
				i = (i + 1) % len(keys)
				l.take(keys[i], second+reactor.Instant(i))
			}
		})
	}
	b.Run("ever new", func(b *testing.B) {
		l := rateLimit(b, RateLimitOptions{Average: 1, Burst: 10})
		r := rand.New(rand.NewPCG(1, 6))
		for b.Loop() {
			l.take(r.Uint64()|1, second)
		}
	})
}
