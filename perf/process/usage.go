package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc/PID/stat. Linux shows 100 a second to programs, whatever it counts with.
const tick = 10 * time.Millisecond

// Usage is what a program, all its threads and its children in the same group have used.
type Usage struct {
	CPU          time.Duration // exact, from the scheduler
	User, System time.Duration // the kernel's sampled division of it
}

// Sub is what was used from v to u.
func (u Usage) Sub(v Usage) Usage {
	return Usage{u.CPU - v.CPU, u.User - v.User, u.System - v.System}
}

// Split divides CPU the way User and System are divided.
func (u Usage) Split() (user, system time.Duration) {
	sum := u.User + u.System
	if sum <= 0 {
		return 0, u.CPU
	}
	user = time.Duration(float64(u.CPU) * float64(u.User) / float64(sum))
	return user, u.CPU - user
}

// Usage reads what the program has used since it started.
func (p *Process) Usage() (Usage, error) {
	pids, err := p.Members()
	if err != nil {
		return Usage{}, err
	}
	var sum Usage
	for _, pid := range pids {
		u, err := usage(pid)
		if err != nil {
			return Usage{}, err
		}
		sum.CPU += u.CPU
		sum.User += u.User
		sum.System += u.System
	}
	return sum, nil
}

func usage(pid int) (u Usage, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return u, err
	}
	for _, path := range threads {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // a thread that ended meanwhile
		}
		ran, _, _ := strings.Cut(string(b), " ")
		ns, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			return u, fmt.Errorf("%s: %w", path, err)
		}
		u.CPU += time.Duration(ns)
	}
	f, err := stat(pid)
	if err != nil {
		return u, err
	}
	u.User, err = ticks(f[11])
	if err != nil {
		return u, err
	}
	u.System, err = ticks(f[12])
	return u, err
}

func ticks(s string) (time.Duration, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	return time.Duration(n) * tick, err
}

// stat is the fields of /proc/PID/stat behind the name, which is in parentheses and may hold anything: state first.
func stat(pid int) ([]string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 13 {
		return nil, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(f))
	}
	return f, nil
}

// Members lists the running processes of the program's group; none is an error.
func (p *Process) Members() ([]int, error) {
	// The list is not one instant's: of two processes that follow one another the look may miss the second, which was not
	// there yet, and then the first, which is not there any more. A second look does not.
	for range 2 {
		if pids, err := p.look(); err != nil || len(pids) > 0 {
			return pids, err
		}
	}
	return nil, fmt.Errorf("process %d is gone", p.Pid)
}

// look lists the running processes of the program's group as it finds them one after another.
func (p *Process) look() ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return nil, err
		}
		// The state comes first, the process group third. A process that ended is none of ours, even when nobody has
		// asked for its status yet (Z).
		if f, err := stat(pid); err == nil && f[2] == strconv.Itoa(p.Pid) && f[0] != "Z" && f[0] != "X" {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// Memory is what a program and its children hold, in bytes. Memory of the kernel's sockets is in neither.
type Memory struct {
	RSS int64 // resident, shared pages counted in each process
	PSS int64 // resident, shared pages divided among those who share them
}

// Memory reads what the program holds now.
func (p *Process) Memory() (m Memory, err error) {
	pids, err := p.Members()
	if err != nil {
		return m, err
	}
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return m, err
		}
		m.RSS += kilobytes(b, "Rss:")
		m.PSS += kilobytes(b, "Pss:")
	}
	return m, nil
}

// kilobytes finds the line that begins with name and returns its value in bytes, 0 when there is none.
func kilobytes(b []byte, name string) int64 {
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n << 10
		}
	}
	return 0
}

// Descriptors counts the open descriptors of the program itself.
func (p *Process) Descriptors() (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Pid))
	return len(entries), err
}
