// Package traffic_management_test holds what is true of the source tree as a whole.
package traffic_management_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "traffic_management/"

// rooms says which packages of ours each package may import. "/..." at the end stands for everything below. A new
// package needs a row of its own; tests may import what they like.
var rooms = map[string][]string{
	"codec":    {},
	"codec/h1": {"codec", "internal/invariant"},
	"codec/h2": {"codec", "internal/invariant"},
	"routing":  {"codec"},

	// Rooms that anything could be built on.
	"config":             {},
	"telemetry":          {"internal/owned"},
	"internal/invariant": {},
	"internal/owned":     {},

	"engine/reactor":  {"codec", "internal/invariant"},
	"engine/certs":    {"config", "engine/reactor"},
	"engine/systemd":  {},
	"upstream":        {"codec/...", "engine/reactor", "internal/invariant", "internal/owned"},
	"engine/exchange": {"codec/...", "engine/reactor", "internal/invariant", "routing", "upstream"},
	"mw":              {"codec/...", "engine/exchange", "engine/reactor", "internal/invariant", "routing", "upstream"},
	"engine/frontend": {"codec/...", "engine/exchange", "engine/reactor", "internal/invariant", "upstream"},
	"engine":          {"codec/...", "config", "engine/...", "internal/invariant", "mw", "routing", "telemetry", "upstream"},

	"cmd/traffic_management": {"config", "engine", "internal/demo", "telemetry"},
	"internal/demo":          {},

	// internal/sim and internal/testcert are for tests, so they are in no row. The bed of measurements sees the proxy
	// from outside only.
	"internal/sim":      {"codec", "engine/reactor", "internal/invariant"},
	"internal/testcert": {},
	"perf/...":          {"perf/..."},
}

// starters are the files and folders that may start goroutines; everything else runs on a loop, which nothing may
// escape unseen.
var starters = []string{
	"config/watch.go", "engine/*.go", "engine/reactor/job.go", "upstream/health.go", "upstream/resolve.go", "telemetry/accesslog.go",
	"cmd/traffic_management/*.go", "internal/demo/*.go", "perf/*/*.go",
}

// source is one file of Go, its path relative to the module's root.
type source struct {
	path string
	text []byte
}

func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

func TestTree(t *testing.T) {
	files := tree(t)
	for _, fault := range faults(t, files) {
		t.Error(fault)
	}
	for room := range rooms {
		used := func(s source) bool { return !s.test() && covers(room, path.Dir(s.path)) }
		if !slices.ContainsFunc(files, used) {
			t.Errorf("rooms has a row for %s, which is not there", room)
		}
	}
}

// TestFaults shows that each rule notices what breaks it.
func TestFaults(t *testing.T) {
	for _, c := range []struct{ file, text, want string }{
		{"codec/a.go", `import "bytes"`, ""},
		{"codec/a.go", `import "traffic_management/codec/h1"`, "codec/a.go:2: codec may not import codec/h1"},
		{"codec/a_test.go", `import "traffic_management/codec/h1"`, ""},
		{"routing/a.go", `import "traffic_management/codec"`, ""},
		{"routing/a.go", `import _ "traffic_management/upstream"`, "routing/a.go:2: routing may not import upstream"},
		{"config/a.go", `import "traffic_management/codec"`, "config/a.go:2: config may not import codec"},
		{"telemetry/a.go", `import x "traffic_management/config"`, "telemetry/a.go:2: telemetry may not import config"},
		{"upstream/a.go", `import "traffic_management/codec/h2"`, ""},
		{"upstream/a.go", `import "traffic_management/engine/exchange"`,
			"upstream/a.go:2: upstream may not import engine/exchange"},
		{"engine/exchange/a.go", `import "traffic_management/engine/frontend"`,
			"engine/exchange/a.go:2: engine/exchange may not import engine/frontend"},
		{"engine/frontend/a.go", `import "traffic_management/internal/sim"`,
			"engine/frontend/a.go:2: engine/frontend may not import internal/sim"},
		{"engine/frontend/a_test.go", `import "traffic_management/internal/sim"`, ""},
		{"mw/a.go", `import "traffic_management/config"`, "mw/a.go:2: mw may not import config"},
		{"perf/load/a.go", `import "traffic_management/perf/socket"`, ""},
		{"perf/load/a.go", `import "traffic_management/codec"`, "perf/load/a.go:2: perf/load may not import codec"},
		{"engine/other/a.go", ``, "engine/other/a.go:1: rooms has no row for engine/other"},
		{"codecs/a.go", ``, "codecs/a.go:1: rooms has no row for codecs"},
		{"attic/a_test.go", ``, ""},

		{"upstream/a.go", `func f() { go f() }`, "upstream/a.go:2: go starts a goroutine"},
		{"upstream/resolve.go", `func f() { go f() }`, ""},
		{"upstream/a_test.go", `func f() { go f() }`, ""},
		{"engine/a.go", `func f() { go f() }`, ""},
		{"engine/reactor/a.go", `func f() { go f() }`, "engine/reactor/a.go:2: go starts a goroutine"},
		{"engine/reactor/job.go", `func f() { go f() }`, ""},
		{"routing/a.go", "import \"sync\"\nfunc f(w *sync.WaitGroup) { w.Go(nil) }",
			"routing/a.go:3: w.Go starts a goroutine"},
		{"upstream/a.go", "import \"traffic_management/engine/reactor\"\nfunc f() { reactor.Go(nil, nil, nil) }", ""},
		{"upstream/a.go", "import \"time\"\nvar t = time.AfterFunc(1, nil)",
			"upstream/a.go:3: time.AfterFunc starts a goroutine"},
	} {
		got := strings.Join(faults(t, []source{{c.file, []byte("package p\n" + c.text)}}), "; ")
		if got != c.want {
			t.Errorf("%s: %s\n got %q\nwant %q", c.file, c.text, got, c.want)
		}
	}
}

// tree reads every file of Go of this module.
func tree(t *testing.T) []source {
	t.Helper()
	var files []source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(name, d.Name())
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(name)
		files = append(files, source{name, text})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// skip leaves out what the go command leaves out of the module.
func skip(name, base string) error {
	if name == "." {
		return nil
	}
	if base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_' {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// faults lists what breaks the rules, as file:line: what.
func faults(t *testing.T, files []source) []string {
	t.Helper()
	var found []string
	for _, s := range files {
		if s.test() {
			continue
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, s.path, s.text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		at := func(p token.Pos, what string) {
			found = append(found, fmt.Sprintf("%s:%d: %s", s.path, set.Position(p).Line, what))
		}
		room := path.Dir(s.path)
		allowed, ok := row(room)
		if !ok {
			at(f.Package, "rooms has no row for "+room)
			continue
		}
		for _, i := range f.Imports {
			to, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if to, ours := strings.CutPrefix(to, module); ours && !coversAny(allowed, to) {
				at(i.Pos(), room+" may not import "+to)
			}
		}
		if !mayStart(s.path) {
			eachStart(f, at)
		}
	}
	return found
}

// row is what a package may import: its own row, or else the longest that covers it.
func row(room string) ([]string, bool) {
	var covering []string
	for pattern := range rooms {
		if covers(pattern, room) {
			covering = append(covering, pattern)
		}
	}
	if len(covering) == 0 {
		return nil, false
	}
	return rooms[slices.MaxFunc(covering, func(a, b string) int { return cmp.Compare(len(a), len(b)) })], true
}

func coversAny(patterns []string, room string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return covers(p, room) })
}

func covers(pattern, room string) bool {
	above, all := strings.CutSuffix(pattern, "/...")
	return room == above || all && strings.HasPrefix(room, above+"/")
}

func mayStart(file string) bool {
	return slices.ContainsFunc(starters, func(pattern string) bool {
		ok, err := path.Match(pattern, file)
		return err == nil && ok
	})
}

// eachStart calls at for what starts a goroutine: the statement, a method named Go as of sync.WaitGroup, AfterFunc.
// reactor.Go is the way to do it, so it is let through, and exchange.Go, which is the same for filters.
func eachStart(f *ast.File, at func(token.Pos, string)) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			at(n.Pos(), "go starts a goroutine")
		case *ast.CallExpr:
			s, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || s.Sel.Name != "Go" && s.Sel.Name != "AfterFunc" {
				break
			}
			of := "it"
			if x, ok := s.X.(*ast.Ident); ok {
				of = x.Name
			}
			if of != "reactor" && of != "exchange" {
				at(n.Pos(), of+"."+s.Sel.Name+" starts a goroutine")
			}
		}
		return true
	})
}
