package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"traffic_management/perf/process"
	"traffic_management/perf/report"
)

// TestWrite holds that a run of some scenarios keeps the results of the others.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	var f flags
	for _, name := range []string{"memory", "h1-128"} {
		r := &report.Report{Results: []report.Result{{Name: name, Title: "of " + name}}}
		if err := f.write(r, dir); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "RESULTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	first, second := strings.Index(string(text), "of h1-128"), strings.Index(string(text), "of memory")
	if first < 0 || second < first {
		t.Errorf("not both, or not in order:\n%s", text)
	}
	for _, name := range []string{"results.json", "results.svg"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNothingMeasuredWritesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := new(flags).write(&report.Report{}, dir); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("wrote %v, %v", left, err)
	}
}

func TestFacts(t *testing.T) {
	names := map[string]string{}
	for _, f := range machine() {
		names[f.Name] = f.Value
	}
	for _, want := range []string{"cores", "kernel", "memory"} {
		if names[want] == "" {
			t.Errorf("no %s in %v", want, names)
		}
	}
	root, err := process.ModuleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "perf", "compare", "facts.go")); err != nil {
		t.Errorf("%s is not the module's root: %v", root, err)
	}
}

func TestRefusesBadFlags(t *testing.T) {
	for _, f := range []flags{{rounds: 0, seconds: 1}, {rounds: 1}, {rounds: 1, seconds: 1, scenario: "("}} {
		if err := f.run(t.Context()); err == nil {
			t.Errorf("%+v is taken", f)
		}
	}
}
