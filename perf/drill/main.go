// Drill does to a proxy under load what happens to it in service, and counts the requests that suffer: servers are
// killed and come back, the configuration changes, the program is replaced.
//
//	go run ./perf/drill                 all of them, some three minutes; into perf/DRILLS.md
//	go run ./perf/drill -drill kill     one, printed and not written
//	go run ./perf/drill -quick          a short look at all, printed and not written
//
// It exits with 1 when a bar was missed and with 2 when a drill could not be done.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"traffic_management/perf/process"
)

// errMissed says that every drill was done and some bar was missed.
var errMissed = errors.New("not every bar was met")

func main() {
	var f flags
	flag.StringVar(&f.drill, "drill", "", "the only drill to do, by `name`")
	flag.BoolVar(&f.quick, "quick", false, "a few seconds of each")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := f.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "drill:", err)
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
	drill string
	quick bool
}

func (f *flags) run(ctx context.Context) error {
	if f.drill != "" && find(f.drill) == nil {
		return fmt.Errorf("-drill %q: there is none of that name", f.drill)
	}
	root, err := process.ModuleRoot(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "drill-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := process.Build(ctx, root, dir, programs...); err != nil {
		return err
	}
	b := &bed{binaries: dir, dir: dir, extent: whole, say: func(format string, a ...any) {
		fmt.Fprintf(os.Stderr, format+"\n", a...)
	}}
	if f.quick {
		b.extent = glance
	}
	var done []result
	for i := range drills {
		d := &drills[i]
		if f.drill != "" && d.name != f.drill {
			continue
		}
		b.say("%s: %s", d.name, d.title)
		r, err := b.run(ctx, d)
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		done = append(done, r)
	}
	if f.quick || f.drill != "" {
		err = write(os.Stdout, done, process.Revision(ctx, root))
	} else {
		err = writeFile(filepath.Join(root, "perf", "DRILLS.md"), func(w io.Writer) error {
			return write(w, done, process.Revision(ctx, root))
		})
	}
	if err == nil && missed(done) > 0 {
		err = errMissed
	}
	return err
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
