// Soak keeps a proxy busy with clients of every mood and then looks whether it is what it was before.
//
//	go run ./perf/soak -seconds 300
//
// Every response is compared with what the backend must have sent. At the end, with all clients gone, the proxy's
// descriptors, goroutines and memory are compared with those after a warm-up of the same kind. It prints PASS, or FAIL
// with the reasons, and exits with 1 then.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"traffic_management/perf/peers"
	"traffic_management/perf/process"
)

func main() {
	var f flags
	flag.Float64Var(&f.seconds, "seconds", 300, "length of the measured part")
	flag.Float64Var(&f.warm, "warm", 20, "seconds of the warm-up")
	flag.IntVar(&f.clients, "clients", 48, "clients at the same time")
	flag.Uint64Var(&f.seed, "seed", uint64(time.Now().UnixNano()), "of everything random")
	flag.StringVar(&f.peer, "peer", string(peers.Ours), "proxy: ours, nginx or haproxy")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	faults, err := f.run(ctx)
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(2)
	case len(faults) > 0:
		fmt.Printf("FAIL\n  %s\n", strings.Join(faults, "\n  "))
		os.Exit(1)
	}
	fmt.Println("PASS")
}

// flags are the command line's.
type flags struct {
	seconds, warm float64
	clients       int
	seed          uint64
	peer          string
}

// run returns the faults of the proxy, or the error that made soaking impossible.
func (f *flags) run(ctx context.Context) ([]string, error) {
	dir, err := os.MkdirTemp("", "soak-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if f.peer == string(peers.Ours) {
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", dir+"/", "traffic_management/cmd/traffic_management").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build: %w\n%s", err, out)
		}
	}
	server, l, err := backend()
	if err != nil {
		return nil, err
	}
	defer server.Close()
	bed := &peers.Bed{Binaries: dir, Dir: dir, LogDir: dir}
	p, err := bed.Start(ctx, peers.Name(f.peer), peers.Options{Backends: []string{l.Addr().String()}, CPU: process.AnyCPU,
		Log: peers.LogNone, Loops: 2, PoolIdle: 2})
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	fmt.Printf("soaking %s in %s with %d clients, -seed %d\n", f.peer, filepath.Base(dir), f.clients, f.seed)
	s := &soak{peer: p, seed: f.seed, acted: map[string]int{}}
	s.run(ctx, f.clients, f.warm)
	before, err := s.calm(ctx, footprint{})
	if err != nil {
		return nil, err
	}
	fmt.Println("before:", before)
	s.run(ctx, f.clients, f.seconds)
	after, err := s.calm(ctx, before)
	if err != nil {
		return nil, err
	}
	fmt.Println("after: ", after)
	fmt.Println("connections by mood:", s.acted)
	if ctx.Err() != nil {
		return nil, errors.New("interrupted")
	}
	return append(s.faults(), before.grown(after)...), nil
}
