package process

import (
	"context"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func start(t *testing.T, ctx context.Context, script string, out io.Writer) *Process {
	t.Helper()
	p, err := Start(ctx, Spec{Path: "sh", Args: []string{"-c", script}, CPU: AnyCPU, Stdout: out, Log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

// TestUsage burns some CPU in a child of the program and holds that it is found, and that a program at rest uses none.
func TestUsage(t *testing.T) {
	r, w := io.Pipe()
	// The child says when it is done burning; both stay until they are stopped.
	p := start(t, t.Context(), `sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo burnt; exec sleep 1000' & wait`, w)
	line := make([]byte, 6)
	if _, err := io.ReadFull(r, line); err != nil || string(line) != "burnt\n" {
		t.Fatalf("said %q, %v", line, err)
	}
	burnt, err := p.Usage()
	if err != nil {
		t.Fatal(err)
	}
	if burnt.CPU < 20*time.Millisecond || burnt.User+burnt.System < 10*time.Millisecond {
		t.Errorf("burning used %+v", burnt)
	}
	user, system := burnt.Split()
	if user+system != burnt.CPU {
		t.Errorf("%v is split into %v and %v", burnt.CPU, user, system)
	}
	later, err := p.Usage()
	if err != nil || later.Sub(burnt).CPU > burnt.CPU/2 {
		t.Errorf("at rest it used %+v, %v", later.Sub(burnt), err)
	}
	m, err := p.Memory()
	if err != nil || m.RSS < 100<<10 || m.PSS <= 0 || m.PSS > m.RSS {
		t.Errorf("memory %+v, %v", m, err)
	}
	if n, err := p.Descriptors(); err != nil || n < 3 {
		t.Errorf("%d descriptors, %v", n, err)
	}
}

// TestStopEndsChildren holds that nothing of the group is left.
func TestStopEndsChildren(t *testing.T) {
	r, w := io.Pipe()
	p := start(t, t.Context(), `trap '' TERM; sleep 1000 & echo up; while :; do wait; done`, w)
	if _, err := r.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, r)
	p.Stop()
	if pids, err := p.Members(); err == nil {
		t.Errorf("still running: %v", pids)
	}
	if _, err := p.Usage(); err == nil {
		t.Error("a stopped program has usage")
	}
}

func TestContextStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := start(t, ctx, "sleep 1000", nil)
	cancel()
	if err := p.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("ended with %v, want a signal", err)
	}
}

func TestReady(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := start(t, t.Context(), "sleep 1000", nil).Ready(t.Context(), l.Addr().String()); err != nil {
		t.Error(err)
	}
	free, err := FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	err = start(t, t.Context(), "echo no; echo such port >&2; exit 3", nil).Ready(t.Context(), free)
	if err == nil || !strings.Contains(err.Error(), "such port") {
		t.Errorf("a program that ended gives %v, want its standard error", err)
	}
}

func TestCapped(t *testing.T) {
	few, err := Capped(10)
	if err != nil || few != 10 {
		t.Errorf("10 are capped to %d, %v", few, err)
	}
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		t.Fatal(err)
	}
	if many, err := Capped(1 << 40); err != nil || uint64(many) > r.Max {
		t.Errorf("capped to %d over %d, %v", many, r.Max, err)
	}
}

// TestIdle lets the program ask the kernel how it is scheduled and where.
func TestIdle(t *testing.T) {
	if _, err := exec.LookPath("chrt"); err != nil {
		t.Skip(err)
	}
	var out strings.Builder
	p, err := Start(t.Context(), Spec{Path: "sh", Args: []string{"-c", "chrt -p $$; taskset -cp $$"}, CPU: 0, Idle: true, Stdout: &out,
		Log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); !strings.Contains(s, "SCHED_IDLE") || !strings.Contains(s, "list: 0\n") {
		t.Errorf("it says %q", s)
	}
}
