package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"traffic_management/perf/peers"
	"traffic_management/perf/process"
	"traffic_management/perf/scenarios"
)

// installTimeout bounds the installation of a peer.
const installTimeout = 5 * time.Minute

// prepare builds our programs and installs the peers that are missing. A proxy that cannot be had is left out.
func prepare(ctx context.Context, root string, b *scenarios.Bed) error {
	if err := process.Build(ctx, root, b.Peers.Binaries, "./perf/relay", "./perf/backend", "./perf/load"); err != nil {
		return err
	}
	if err := process.Build(ctx, root, b.Peers.Binaries, "./cmd/traffic_management"); err != nil {
		b.Absent[peers.Ours] = errors.New("cmd/traffic_management does not build")
		b.Say("%v", err)
	}
	for _, name := range []peers.Name{peers.Nginx, peers.HAProxy} {
		if b.Peers.Missing(name) == nil {
			continue
		}
		if err := install(ctx, string(name)); err != nil {
			b.Absent[name] = err
			b.Say("%v", err)
		}
	}
	return nil
}

// install installs one Debian package without starting the service that comes with it.
func install(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	args := []string{"env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "install", "-y", "--no-install-recommends", name}
	if os.Geteuid() != 0 {
		args = append([]string{"sudo", "-n"}, args...)
	}
	if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("install %s: %w: %s", name, err, lines[len(lines)-1])
	}
	return nil
}

// memoryDir makes a directory on a file system in memory, or in dir when there is none.
func memoryDir(dir string) (string, error) {
	if made, err := os.MkdirTemp("/dev/shm", "compare-"); err == nil {
		return made, nil
	}
	return os.MkdirTemp(dir, "logs-")
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
