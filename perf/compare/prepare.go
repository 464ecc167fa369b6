package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"traffic_management/perf/peers"
	"traffic_management/perf/scenarios"
)

// buildTimeout bounds one build, installTimeout the installation of the peers.
const (
	buildTimeout   = 5 * time.Minute
	installTimeout = 5 * time.Minute
)

// prepare builds our programs and installs the peers that are missing. A proxy that cannot be had is left out.
func prepare(ctx context.Context, root string, b *scenarios.Bed) error {
	if err := build(ctx, root, b.Peers.Binaries, "./perf/relay", "./perf/backend", "./perf/load"); err != nil {
		return err
	}
	if err := build(ctx, root, b.Peers.Binaries, "./cmd/traffic_management"); err != nil {
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

func build(ctx context.Context, root, to string, packages ...string) error {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	c := exec.CommandContext(ctx, "go", append([]string{"build", "-o", to + "/"}, packages...)...)
	c.Dir = root
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", strings.Join(packages, " "), err, out)
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

// moduleRoot is the directory of go.mod.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	file := strings.TrimSpace(string(out))
	if filepath.Base(file) != "go.mod" {
		return "", errors.New("run it inside the module")
	}
	return filepath.Dir(file), nil
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
