package engine

import (
	"bytes"
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/fstest"

	"traffic_management/config"
	"traffic_management/engine/exchange"
)

const (
	calm  = exchange.PressureNormal
	tight = exchange.PressureNoKeepAlive
	full  = exchange.PressureRefuse
)

// The levels that follow on each other as memory fills and empties: the way down is not the way up.
func TestLevels(t *testing.T) {
	const limit = 1000
	level := calm
	for _, c := range []struct {
		used uint64
		want exchange.PressureLevel
	}{
		{0, calm}, {800, calm}, {801, tight}, {900, tight}, {750, tight}, {700, tight},
		{699, calm}, {790, calm}, {850, tight}, {901, full}, {5000, full}, {899, full}, {850, full},
		{849, tight}, {880, tight}, {901, full}, {600, calm}, {950, full}, {720, tight},
	} {
		if level = nextLevel(level, c.used, limit); level != c.want {
			t.Fatalf("with %d of %d in use: %v, want %v", c.used, limit, level, c.want)
		}
	}
	for _, now := range []exchange.PressureLevel{calm, tight, full} {
		if got := nextLevel(now, math.MaxUint64, 0); got != calm {
			t.Errorf("%v without a limit: %v", now, got)
		}
	}
}

// What a look does at each level, and what it says.
func TestLook(t *testing.T) {
	var log bytes.Buffer
	var used uint64
	var fresh bool
	shed, letGo := 0, 0
	o := newOverload(slog.New(slog.NewTextHandler(&log, nil)), func(f bool) uint64 { fresh = f; return used },
		func() { shed++ }, func() { letGo++ })
	o.look()
	if used = 5000; shed+letGo != 0 || o.forRequests() != nil {
		t.Fatal("something was done without a limit")
	}
	o.limit.Store(1000)
	for _, c := range []struct {
		used         uint64
		level        exchange.PressureLevel
		fresh        bool // asked for
		shed, letGo  int
		wantLogLines int
	}{
		{100, calm, false, 0, 0, 0},
		{850, tight, false, 1, 0, 1},
		{850, tight, true, 2, 0, 1},
		{950, full, true, 3, 1, 2},
		{950, full, true, 4, 2, 2},
		{100, calm, true, 4, 2, 3},
		{100, calm, false, 4, 2, 3},
	} {
		used = c.used
		o.look()
		lines := strings.Count(log.String(), "\n")
		if got := o.forRequests().Level(); got != c.level || fresh != c.fresh || shed != c.shed || letGo != c.letGo ||
			lines != c.wantLogLines || o.used.Load() != c.used {
			t.Fatalf("with %d: %v, fresh %v, shed %d times, let go %d times, %d log lines; want %+v", c.used, got, fresh, shed,
				letGo, lines, c)
		}
	}
	if want := `level="no keep-alive" before=normal used=850 limit=1000`; !strings.Contains(log.String(), want) {
		t.Errorf("the log lacks %s:\n%s", want, &log)
	}
}

// A level ends with the limit that it came from, and the goroutine with the engine.
func TestWatch(t *testing.T) {
	looked := make(chan struct{})
	o := newOverload(slog.New(slog.DiscardHandler), func(bool) uint64 { looked <- struct{}{}; return 1000 }, func() {}, func() {})
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		o.watch(ended)
	}()
	t.Setenv("GOMEMLIMIT", "")
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	o.configure(config.Limits{MemoryBytes: 1000})
	for range 3 {
		<-looked
	}
	// Each look begins when the one before has ended, so at least one has by now.
	if got := o.pressure.Level(); got != full {
		t.Errorf("%v", got)
	}
	if got := debug.SetMemoryLimit(-1); got != 900 {
		t.Errorf("the collector's limit is %d", got)
	}
	close(ended)
	for over := false; !over; {
		select {
		case <-looked:
		case <-done:
			over = true
		}
	}
}

// The collector's limit is left to who set it in the environment.
func TestCollectorLimitOfTheEnvironment(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "1GiB")
	before := debug.SetMemoryLimit(-1)
	o := newOverload(slog.New(slog.DiscardHandler), nil, nil, nil)
	o.configure(config.Limits{MemoryBytes: 1000})
	if got := debug.SetMemoryLimit(-1); got != before || o.limit.Load() != 1000 {
		t.Errorf("the collector's limit went from %d to %d; ours is %d", before, got, o.limit.Load())
	}
}

// Ballast is held where there is room for it, and is no memory that is in use.
func TestBallast(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "off") // which leaves the collector's limit alone
	o := newOverload(slog.New(slog.DiscardHandler), func(bool) uint64 { return 100 << 20 }, func() {}, func() {})
	for _, tc := range []struct {
		limit int64
		used  uint64
	}{{1 << 30, 84 << 20}, {roomBytes, 84 << 20}, {roomBytes - 1, 100 << 20}, {1 << 30, 84 << 20}} {
		o.configure(config.Limits{MemoryBytes: tc.limit})
		o.look()
		if got := o.used.Load(); got != tc.used || (len(o.ballast) > 0) != (tc.used < 100<<20) {
			t.Errorf("limit %d: %d bytes in use and %d of ballast", tc.limit, got, len(o.ballast))
		}
	}
}

// What lives is measured, what is garbage is not, and it is noticed when what lived has become garbage.
func TestMemoryMeter(t *testing.T) {
	const size = 64 << 20
	m := newMemoryMeter()
	runtime.GC()
	before := m.read(false)
	ballast := make([]byte, size)
	runtime.GC()
	with := m.read(false)
	if grown := int64(with - before); grown < size*9/10 || grown > size*11/10 {
		t.Errorf("%d bytes more make %d bytes more", size, grown)
	}
	runtime.KeepAlive(ballast)
	m.collected = m.collected.Add(-2 * freshTime)
	if fell := int64(with - m.read(true)); fell < size*9/10 {
		t.Errorf("%d bytes fewer make %d bytes fewer", size, fell)
	}
}

// The limit of the control group, of version 1, 2 or both, or of one around it.
func TestGroupLimit(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  uint64
	}{
		{"no groups", nil, 0},
		{"version 2", map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "1000\n"}, 1000},
		{"version 2, none", map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}, 0},
		{"version 2, the group around it", map[string]string{"proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "2000\n", "sys/fs/cgroup/a/memory.max": "1000\n"}, 1000},
		{"version 2, in a container", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1000\n"}, 1000},
		{"version 1", map[string]string{"proc/self/cgroup": "5:cpu,memory:/a\n4:cpu:/c\n0::/\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1000\n", "sys/fs/cgroup/memory/c/memory.limit_in_bytes": "10\n"}, 1000},
		{"version 1, none", map[string]string{"proc/self/cgroup": "4:memory:/a\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		{"version 1, the path of the host", map[string]string{"proc/self/cgroup": "4:memory:/docker/123\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "1000\n"}, 1000},
		{"nonsense", map[string]string{"proc/self/cgroup": "0::/a\nx\n", "sys/fs/cgroup/a/memory.max": "much\n"}, 0},
	} {
		root := fstest.MapFS{}
		for name, text := range c.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := groupLimit(root); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
