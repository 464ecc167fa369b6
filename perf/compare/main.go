// Compare measures nginx, HAProxy, a bare relay and Traffic Management against each other on this machine and writes
// RESULTS.md, results.json and results.svg.
//
//	go run ./perf/compare                       everything, about half an hour; the machine must be quiet
//	go run ./perf/compare -scenario '^h1-128$'  one scenario; the results of the others are kept
//	go run ./perf/compare -quick                a short look, printed and not written
//
// It exits with 1 when a bar was missed and with 2 when something could not be measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"traffic_management/perf/peers"
	"traffic_management/perf/process"
	"traffic_management/perf/report"
	"traffic_management/perf/scenarios"
)

// errMissed says that everything was measured and some bar was missed.
var errMissed = errors.New("not every bar was met")

func main() {
	var f flags
	flag.BoolVar(&f.quick, "quick", false, "2 rounds of 1 second, printed instead of written")
	flag.StringVar(&f.scenario, "scenario", "", "run only scenarios whose name matches this `regexp`")
	flag.IntVar(&f.rounds, "rounds", 5, "interleaved rounds")
	flag.Float64Var(&f.seconds, "seconds", 4, "length of one measurement")
	flag.Parse()
	if f.quick {
		f.rounds, f.seconds = 2, 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := f.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
	}
	switch {
	case errors.Is(err, errMissed):
		os.Exit(1)
	case err != nil:
		os.Exit(2)
	}
}

// flags are the command line's.
type flags struct {
	quick    bool
	scenario string
	rounds   int
	seconds  float64
}

func (f *flags) run(ctx context.Context) error {
	pattern, err := regexp.Compile(f.scenario)
	if err != nil {
		return err
	}
	if f.rounds < 1 || f.seconds <= 0 {
		return errors.New("-rounds and -seconds must be more than nothing")
	}
	root, err := process.ModuleRoot(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	logs, err := memoryDir(dir)
	if err != nil {
		return err
	}
	defer os.RemoveAll(logs)
	b := &scenarios.Bed{
		Peers:  &peers.Bed{Binaries: dir, Dir: dir, LogDir: logs},
		Rounds: f.rounds, Window: time.Duration(f.seconds * float64(time.Second)), Quick: f.quick,
		Absent: map[peers.Name]error{},
		Say:    func(format string, a ...any) { fmt.Fprintf(os.Stderr, format+"\n", a...) },
	}
	if err := prepare(ctx, root, b); err != nil {
		return err
	}
	r := &report.Report{Machine: machine(), Versions: versions(ctx, b), Commands: []string{"make bench", command()}}
	failed := runAll(ctx, b, r, pattern, process.Revision(ctx, root))
	if err := f.write(r, filepath.Join(root, "perf")); err != nil {
		return errors.Join(failed, err)
	}
	if failed == nil && r.Missed() > 0 {
		failed = errMissed
	}
	return failed
}

// runAll runs the scenarios whose names match. One that fails does not keep the others from running.
func runAll(ctx context.Context, b *scenarios.Bed, r *report.Report, pattern *regexp.Regexp, revision string) error {
	var failed error
	for _, s := range scenarios.All() {
		if !pattern.MatchString(s.Name) {
			continue
		}
		b.Say("%s: %s", s.Name, s.Title)
		x, err := s.Run(ctx, b)
		if ctx.Err() != nil {
			return errors.Join(failed, ctx.Err())
		}
		if err != nil {
			failed = errors.Join(failed, err)
			b.Say("  %v", err)
			continue
		}
		x.Taken = "Taken " + time.Now().UTC().Format("2006-01-02 15:04 MST") + " at revision " + revision
		r.Results = append(r.Results, x)
		for _, bar := range x.Bars {
			b.Say("  %s: %s: %s", bar.Verdict, bar.Claim, bar.Found)
		}
	}
	return failed
}

// write writes the three files, or prints a quick look.
func (f *flags) write(r *report.Report, dir string) error {
	if f.quick {
		return r.Markdown(os.Stdout)
	}
	if len(r.Results) == 0 {
		return nil
	}
	earlier, err := report.Read(filepath.Join(dir, "results.json"))
	if err != nil {
		return err
	}
	var order []string
	for _, s := range scenarios.All() {
		order = append(order, s.Name)
	}
	r.Adopt(earlier, order)
	return errors.Join(writeFile(filepath.Join(dir, "results.json"), r.JSON),
		writeFile(filepath.Join(dir, "results.svg"), r.SVG), writeFile(filepath.Join(dir, "RESULTS.md"), r.Markdown))
}
