package telemetry

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

func TestAppendDecimal(t *testing.T) {
	check := func(n uint64) {
		want := strconv.FormatUint(n, 10)
		if got := string(appendDecimal([]byte{}, n)); got != want {
			t.Fatalf("without room: got %s, want %s", got, want)
		}
		if got := string(appendDecimal(make([]byte, 0, 40), n)); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	for n := range uint64(2000) {
		check(n)
	}
	for p, i := uint64(1), 0; i < 20; i++ {
		check(p - 1)
		check(p)
		check(p + 1)
		p *= 10
	}
	check(math.MaxUint64)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 20000 {
		check(random.Uint64() >> random.UintN(64))
	}
}

func TestAppendInt(t *testing.T) {
	for _, n := range []int64{0, 1, -1, 99, -100, math.MaxInt64, math.MinInt64} {
		if got, want := string(appendInt(nil, n)), strconv.FormatInt(n, 10)+","; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
