package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"
)

// testQuiet is the quiet time of tests whose steps each make their events at once.
const testQuiet = 50 * time.Millisecond

// sight is what a watcher told.
type sight struct {
	finding finding
	err     error
}

// bed is a directory with a watched file, and what was told of it.
type bed struct {
	*testing.T
	dir    string
	sights chan sight
	stop   func()
}

func newBed(t *testing.T) *bed {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &bed{T: t, dir: dir, sights: make(chan sight, 1000)}
}

func (b *bed) watch(name string, quiet time.Duration) {
	b.Helper()
	b.watchAll(quiet, b.path(name))
}

func (b *bed) watchAll(quiet time.Duration, paths ...string) {
	b.Helper()
	stop, err := watch(paths, quiet, func(f finding, err error) { b.sights <- sight{f, err} })
	if err != nil {
		b.Fatal(err)
	}
	b.stop = stop
	b.Cleanup(stop)
}

// expect takes the next finding.
func (b *bed) expect(want finding) {
	b.Helper()
	select {
	case got := <-b.sights:
		if got.finding != want || (got.err != nil) != (want == faulty) {
			b.Fatalf("told %v %v, want %v", got.finding, got.err, want)
		}
	case <-time.After(20 * time.Second):
		b.Fatalf("nothing was told, want %v", want)
	}
}

func (b *bed) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bed) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bed) write(name, text string) {
	b.Helper()
	b.must(os.MkdirAll(filepath.Dir(b.path(name)), 0o755))
	b.must(os.WriteFile(b.path(name), []byte(text), 0o644))
}

// overwrite changes the beginning of a file in place, by one event.
func (b *bed) overwrite(name, text string) {
	b.Helper()
	f, err := os.OpenFile(b.path(name), os.O_WRONLY, 0)
	b.must(err)
	_, err = f.WriteAt([]byte(text), 0)
	b.must(err)
	b.must(f.Close())
}

func (b *bed) rename(from, to string) {
	b.Helper()
	b.must(os.Rename(b.path(from), b.path(to)))
}

// link makes a symbolic link, or replaces one at once.
func (b *bed) link(target, name string) {
	b.Helper()
	b.must(os.Symlink(target, b.path(name)+".new"))
	b.rename(name+".new", name)
}

func (b *bed) remove(name string) {
	b.Helper()
	b.must(os.RemoveAll(b.path(name)))
}

// TestWatch changes what is watched, step by step. Each way ends with a change in place, which shows that what came
// last is watched too, and that nothing was told beside what the steps expect.
func TestWatch(t *testing.T) {
	for _, tc := range []struct {
		name  string
		steps func(b *bed)
	}{
		{"write in place", func(b *bed) {
			b.write("c.yaml", "1")
			b.watch("c.yaml", testQuiet)
		}},
		{"nothing new", func(b *bed) {
			b.write("c.yaml", "1")
			b.watch("c.yaml", testQuiet)
			b.must(os.Chtimes(b.path("c.yaml"), time.Now(), time.Now()))
			b.expect(unchanged)
			b.overwrite("c.yaml", "1")
			b.expect(unchanged)
		}},
		{"write under another name", func(b *bed) {
			b.write("c.yaml", "1")
			b.must(os.Mkdir(b.path("d"), 0o755))
			b.must(os.Link(b.path("c.yaml"), b.path("d/c.yaml")))
			b.watch("c.yaml", testQuiet)
			b.overwrite("d/c.yaml", "2")
			b.expect(differs)
		}},
		{"rename over it", func(b *bed) {
			b.write("c.yaml", "1")
			b.watch("c.yaml", testQuiet)
			for i := range 3 {
				b.write("c.yaml.tmp", fmt.Sprint("1", i))
				b.rename("c.yaml.tmp", "c.yaml")
				b.expect(differs)
			}
		}},
		{"rename away and write anew", func(b *bed) {
			b.write("c.yaml", "1")
			b.watch("c.yaml", testQuiet)
			b.rename("c.yaml", "c.yaml~")
			b.expect(absent)
			b.write("4913", "2")
			b.rename("4913", "c.yaml")
			b.expect(differs)
		}},
		{"remove and create", func(b *bed) {
			b.write("c.yaml", "1")
			b.watch("c.yaml", testQuiet)
			b.remove("c.yaml")
			b.expect(absent)
			b.write("c.tmp", "1")
			b.rename("c.tmp", "c.yaml")
			b.expect(unchanged)
		}},
		{"not there at first", func(b *bed) {
			b.watch("conf/c.yaml", testQuiet)
			b.write("new/c.yaml", "1")
			b.rename("new", "conf")
			b.expect(differs)
			b.link("conf/c.yaml", "c.yaml")
		}},
		{"config map", func(b *bed) {
			b.write("..2026_1/c.yaml", "1")
			b.link("..2026_1", "..data")
			b.link("..data/c.yaml", "c.yaml")
			b.watch("c.yaml", testQuiet)
			for i := range 3 {
				b.write(fmt.Sprintf("..2026_%d/c.yaml", i+2), fmt.Sprint("1", i))
				b.link(fmt.Sprintf("..2026_%d", i+2), "..data")
				b.expect(differs)
				b.remove(fmt.Sprintf("..2026_%d", i+1))
			}
		}},
		{"links", func(b *bed) {
			b.write("a/real.yaml", "1")
			b.write("b/real.yaml", "2")
			b.link(b.path("a"), "dir")
			b.link("dir/../dir/real.yaml", "c.yaml")
			b.watch("c.yaml", testQuiet)
			b.overwrite("a/real.yaml", "3")
			b.expect(differs)
			b.overwrite("b/real.yaml", "4")
			b.link("b", "dir")
			b.expect(differs)
			b.overwrite("a/real.yaml", "5") // no longer ours
			b.link("a/real.yaml", "c.yaml")
			b.expect(differs)
		}},
		{"link to itself", func(b *bed) {
			b.link("c.yaml", "c.yaml")
			b.watch("c.yaml", testQuiet)
			b.link("d.yaml", "c.yaml")
			b.expect(absent)
			b.write("d.tmp", "1")
			b.rename("d.tmp", "d.yaml")
			b.expect(differs)
		}},
		{"directory replaced", func(b *bed) {
			b.write("conf/here/c.yaml", "1")
			b.write("next/here/c.yaml", "2")
			b.link("conf/here/c.yaml", "c.yaml")
			b.watch("c.yaml", testQuiet)
			b.rename("conf", "old")
			b.expect(absent)
			b.rename("next", "conf")
			b.expect(differs)
			b.overwrite("old/here/c.yaml", "3") // no longer ours
		}},
		{"no file", func(b *bed) {
			b.write("c.yaml", "1")
			b.watch("c.yaml", testQuiet)
			b.must(os.Mkdir(b.path("d"), 0o755))
			b.link("d", "c.yaml")
			b.expect(faulty)
			b.write("e.yaml", "1")
			b.link("e.yaml", "c.yaml")
			b.expect(unchanged)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			tc.steps(b)
			b.overwrite("c.yaml", "x")
			b.expect(differs)
			if len(b.sights) > 0 {
				t.Errorf("told more: %+v", <-b.sights)
			}
		})
	}
}

// TestWatchBurst holds that many writes in a row are one change.
func TestWatchBurst(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.write("c.yaml", "1")
	b.watch("c.yaml", time.Second)
	for i := range 50 {
		b.write("c.yaml", strings.Repeat("x", i))
	}
	b.expect(differs)
	b.overwrite("c.yaml", "x")
	b.expect(unchanged)
}

// TestWatchSeveral has several files, of which one cannot be read for a while.
func TestWatchSeveral(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.write("a/a.pem", "1")
	b.write("b/b.pem", "1")
	// The one that is to be faulty is looked at last: when that is told, nothing of the look is to come.
	b.watchAll(testQuiet, b.path("b/b.pem"), b.path("c/c.pem"), b.path("a/a.pem"))
	b.overwrite("b/b.pem", "2")
	b.expect(differs)
	b.overwrite("a/a.pem", "1") // of the three one is not there
	b.expect(absent)
	b.remove("a/a.pem")
	b.expect(absent)
	b.must(os.Mkdir(b.path("a/a.pem"), 0o755))
	b.expect(faulty)
	b.overwrite("b/b.pem", "3")
	b.expect(faulty)
	b.expect(differs)
	b.write("new/c.pem", "1")
	b.rename("new", "c")
	b.expect(faulty)
	b.expect(differs)
}

// TestWatchCalls is of what Watch makes of findings.
func TestWatchCalls(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.write("c.yaml", "1")
	calls := make(chan string, 10)
	var stop func()
	stop, err := Watch([]string{b.path("c.yaml")}, func() {
		calls <- "changed"
		stop()
	}, func(err error) { calls <- err.Error() })
	b.must(err)
	b.must(os.Mkdir(b.path("d"), 0o755))
	b.link("d", "c.yaml")
	if got := <-calls; !strings.HasPrefix(got, "read "+b.path("c.yaml")) {
		t.Error(got)
	}
	b.write("e.yaml", "2")
	b.link("e.yaml", "c.yaml")
	if got := <-calls; got != "changed" {
		t.Error(got)
	}
}

// TestWatchStop runs before the tests that run in parallel, since it looks at every goroutine there is.
func TestWatchStop(t *testing.T) {
	running := func() bool {
		var b bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&b, 2); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(b.String(), "config.(*watcher)") || strings.Contains(b.String(), "fsnotify")
	}
	b := newBed(t)
	b.write("c.yaml", "1")
	b.watch("c.yaml", testQuiet)
	b.overwrite("c.yaml", "2")
	b.expect(differs)
	if !running() {
		t.Fatal("no goroutine watches")
	}
	b.stop()
	b.stop()
	for deadline := time.Now().Add(20 * time.Second); running(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("goroutines are left")
		}
	}
	if len(b.sights) > 0 {
		t.Errorf("told more: %+v", <-b.sights)
	}
}

func TestLookups(t *testing.T) {
	b := newBed(t)
	b.write("a/b/c.yaml", "1")
	b.link("b", "a/l")
	b.link(b.path("a/l/c.yaml"), "c.yaml")
	b.link("loop", "loop")
	above := lookups(b.dir)
	for file, want := range map[string]string{
		"a/b/c.yaml":     "a a/b a/b/c.yaml",
		"a/../a/l/../b/": "a a a/l a/b a/b",
		"none/c.yaml":    "none",
		"a/b/c.yaml/d":   "a a/b a/b/c.yaml a/b/c.yaml/d",
	} {
		var names []string
		for _, name := range lookups(b.dir + "/" + file)[len(above):] {
			names = append(names, strings.TrimPrefix(name, b.dir+"/"))
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
	}
	want := slices.Concat(above, []string{b.path("c.yaml")}, above,
		[]string{b.path("a"), b.path("a/l"), b.path("a/b"), b.path("a/b/c.yaml")})
	if got := lookups(b.path("c.yaml")); !slices.Equal(got, want) {
		t.Errorf("an absolute link: %v, want %v", got, want)
	}
	if got := len(lookups(b.path("loop"))) - len(above); got != maxLinks+1 {
		t.Errorf("%d names of a link to itself, want %d", got, maxLinks+1)
	}
}
