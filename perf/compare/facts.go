package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"traffic_management/perf/peers"
	"traffic_management/perf/report"
	"traffic_management/perf/scenarios"
)

// machine tells what the figures were measured on. What the machine does not tell is left out.
func machine() []report.Fact {
	facts := []report.Fact{{Name: "cores", Value: fmt.Sprint(runtime.NumCPU())}}
	if model := line("/proc/cpuinfo", "model name"); model != "" {
		facts = append(facts, report.Fact{Name: "processor", Value: model})
	}
	if total := line("/proc/meminfo", "MemTotal"); total != "" {
		facts = append(facts, report.Fact{Name: "memory", Value: total})
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		facts = append(facts, report.Fact{Name: "kernel", Value: unix.ByteSliceToString(u.Release[:])})
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		facts = append(facts, report.Fact{Name: "load average at the beginning", Value: strings.TrimSpace(string(load))})
	}
	return facts
}

// line is the value of the first "name: value" line of a file.
func line(file, name string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for l := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// versions asks each program that takes part.
func versions(ctx context.Context, b *scenarios.Bed) []report.Fact {
	facts := []report.Fact{{Name: "go", Value: runtime.Version()}}
	for _, p := range []struct {
		name peers.Name
		args []string
	}{
		{peers.Nginx, []string{"nginx", "-v"}},
		{peers.HAProxy, []string{"haproxy", "-v"}},
		{peers.Ours, []string{b.Peers.Binaries + "/traffic_management", "--version"}},
	} {
		if b.Absent[p.name] != nil {
			continue
		}
		// nginx writes its version to standard error.
		out, err := exec.CommandContext(ctx, p.args[0], p.args[1:]...).CombinedOutput()
		if first, _, _ := strings.Cut(string(out), "\n"); err == nil {
			facts = append(facts, report.Fact{Name: string(p.name), Value: first})
		}
	}
	return facts
}

// command is how this program was called.
func command() string {
	return strings.TrimSpace("go run ./perf/compare " + strings.Join(os.Args[1:], " "))
}
