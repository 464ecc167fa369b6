package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"traffic_management/perf/process"
)

// programs are what drills start.
var programs = []string{"./cmd/traffic_management", "./perf/backend"}

// extent is how much of a drill is done.
type extent uint8

const (
	whole  extent = iota // what the bars were set for
	glance               // a few seconds, for tests and a short look
)

func (e extent) String() string { return [...]string{"whole", "glance"}[e] }

// bed is what every drill works on.
type bed struct {
	binaries string // directory of our programs
	dir      string // scratch, emptied by its owner
	extent   extent
	say      func(format string, a ...any)
}

// drill is one of them.
type drill struct {
	name, title string
	do          func(ctx context.Context, b *bed) ([]finding, error)
}

// drills in the order they are done and reported.
var drills = []drill{
	{"kill", "one of three servers is killed and started again, over and over", killing},
	{"reload", "the configuration changes, with a WebSocket open", reloading},
	{"upgrade", "the program is replaced by a new process", upgrading},
}

func find(name string) *drill {
	for i := range drills {
		if drills[i].name == name {
			return &drills[i]
		}
	}
	return nil
}

// finding is what came of a drill: a figure, and for a bar whether it was met.
type finding struct {
	what, found string
	verdict     verdict
}

// verdict is what a finding means.
type verdict uint8

const (
	told   verdict = iota // a figure without a bar
	met                   // a bar
	notMet                // a bar
)

func (v verdict) String() string { return [...]string{"", "PASS", "FAIL"}[v] }

// bar is a finding that must be ok.
func bar(what string, ok bool, format string, a ...any) finding {
	v := notMet
	if ok {
		v = met
	}
	return finding{what, fmt.Sprintf(format, a...), v}
}

// figure is a finding that is only told.
func figure(what, format string, a ...any) finding {
	return finding{what, fmt.Sprintf(format, a...), told}
}

// result is a drill that was done.
type result struct {
	*drill
	took     time.Duration
	findings []finding
}

func (b *bed) run(ctx context.Context, d *drill) (result, error) {
	began := time.Now()
	f, err := d.do(ctx, b)
	if err == nil {
		err = ctx.Err()
	}
	for _, x := range f {
		b.say("  %-4v %s: %s", x.verdict, x.what, x.found)
	}
	return result{d, time.Since(began), f}, err
}

func missed(done []result) (n int) {
	for _, r := range done {
		for _, f := range r.findings {
			if f.verdict == notMet {
				n++
			}
		}
	}
	return n
}

// write writes the results as a document.
func write(w io.Writer, done []result, revision string) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "# Drills\n\nWritten by `make drill`; do not edit. What is done to the proxy under load, and what its clients notice. Taken %s\n"+
		"at revision %s, with %s on %d cores for everything.\n", time.Now().UTC().Format("2006-01-02 15:04 MST"), revision, runtime.Version(),
		runtime.NumCPU())
	for _, r := range done {
		fmt.Fprintf(b, "\n## `%s`: %s\n\n%d seconds.\n\n| what | found | |\n|---|---|---|\n", r.name, r.title, int(r.took.Seconds()))
		for _, f := range r.findings {
			fmt.Fprintf(b, "| %s | %s | %v |\n", f.what, f.found, f.verdict)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// proxy is the program with a configuration of its own.
type proxy struct {
	*process.Process
	file string // its configuration
	log  string // what it wrote
}

// startProxy runs the proxy, which must accept connections at address.
func (b *bed) startProxy(ctx context.Context, address, configuration string) (*proxy, error) {
	dir, err := os.MkdirTemp(b.dir, "proxy-")
	if err != nil {
		return nil, err
	}
	p := &proxy{file: filepath.Join(dir, "proxy.yaml"), log: filepath.Join(dir, "stderr")}
	if err := os.WriteFile(p.file, []byte(configuration), 0o600); err != nil {
		return nil, err
	}
	p.Process, err = process.Start(ctx, process.Spec{Path: filepath.Join(b.binaries, "traffic_management"),
		Args: []string{"-c", p.file}, CPU: process.AnyCPU, Log: p.log})
	if err != nil {
		return nil, err
	}
	if err := p.Ready(ctx, address); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}
