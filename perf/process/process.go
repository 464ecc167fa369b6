// Package process starts the programs that are measured and reads what the kernel counts of them in /proc.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Bounds of starting and stopping.
const (
	readyTimeout = 10 * time.Second
	stopTimeout  = 5 * time.Second
	pollInterval = 20 * time.Millisecond
)

// AnyCPU lets a process run on every core.
const AnyCPU = -1

// Spec is what to start.
type Spec struct {
	Path   string
	Args   []string
	CPU    int       // core the process is tied to, or AnyCPU
	Idle   bool      // it runs when nothing else wants its core (SCHED_IDLE)
	Stdin  io.Reader // nil is empty
	Stdout io.Writer // nil is dropped
	Log    string    // file for standard error; its end is part of errors
}

// Process is one started program and whatever it forks. It may be used from any goroutine.
type Process struct {
	Pid  int
	log  string
	stop sync.Once
	done chan struct{}
	err  atomic.Pointer[error] // set before done is closed
}

// Start starts a program in a process group of its own. It ends when ctx does, when Stop is called, or when we die.
func Start(ctx context.Context, s Spec) (*Process, error) {
	path, args := s.Path, s.Args
	if s.CPU != AnyCPU {
		path, args = "taskset", append([]string{"-c", strconv.Itoa(s.CPU), s.Path}, s.Args...)
	}
	if s.Idle {
		path, args = "chrt", append([]string{"--idle", "0", path}, args...)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin, cmd.Stdout = s.Stdin, s.Stdout
	// SIGTERM, not SIGKILL: a master process passes it on to its workers.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	log, err := os.Create(s.Log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{Pid: cmd.Process.Pid, log: s.Log, done: make(chan struct{})}
	go func() {
		err := cmd.Wait()
		p.err.Store(&err)
		close(p.done)
	}()
	context.AfterFunc(ctx, p.Stop)
	return p, nil
}

// Wait waits for the end of the program or of ctx. A program that failed is an error with the end of its log.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.done:
	}
	if err := *p.err.Load(); err != nil {
		return fmt.Errorf("%w: %s", err, p.tail())
	}
	return nil
}

// Ready waits until the program accepts TCP connections on address.
func (p *Process) Ready(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if c, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			return c.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("ended before it listened on %s: %s", address, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("does not listen on %s: %w: %s", address, ctx.Err(), p.tail())
		case <-tick.C:
		}
	}
}

// Stop ends the program and its children, gently first. It returns when all of them are gone.
func (p *Process) Stop() { p.stop.Do(p.end) }

func (p *Process) end() {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
	}
	// Whatever of the group is left has had its time.
	p.signal(syscall.SIGKILL)
	<-p.done
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for begun := time.Now(); time.Since(begun) < stopTimeout; <-tick.C {
		if _, err := p.Members(); err != nil {
			return
		}
	}
}

func (p *Process) signal(s syscall.Signal) { _ = syscall.Kill(-p.Pid, s) }

// tail is the end of what the program wrote to standard error, on one line.
func (p *Process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil || len(b) == 0 {
		return "nothing on standard error"
	}
	end := strings.TrimSpace(string(b[max(0, len(b)-2000):]))
	return strings.ReplaceAll(end, "\n", " | ")
}

// FreeAddress is a loopback address whose port nobody listened on a moment ago.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Capped returns how many of want descriptors the process limit allows, after raising the soft limit to the hard one.
func Capped(want int) (int, error) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0, err
	}
	r.Cur = r.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r); err != nil && !errors.Is(err, syscall.EPERM) {
		return 0, err
	}
	return int(min(uint64(want), r.Cur)), nil
}
