package reactor

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Descriptors counts the sockets of all loops against the process's limit, so that accepting pauses before the kernel
// refuses: some descriptors stay reserved for files, for the loops themselves, and half of them for dialling, without
// which no request could be served.
//
// Atomic, any goroutine.
type Descriptors struct {
	forAccept, forDial int64 // immutable: how many may be in use when one is taken
	inUse              atomic.Int64
}

// NewDescriptors lets limit descriptors be open, reserve of them not for accepted connections.
func NewDescriptors(limit, reserve int) *Descriptors {
	return &Descriptors{forAccept: int64(limit - reserve), forDial: int64(limit - reserve/2)}
}

// ProcessDescriptors raises the process's limit as far as it may be raised, and reserves 64 and one in a hundred.
func ProcessDescriptors() (*Descriptors, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return nil, fmt.Errorf("reactor: descriptor limit: %w", err)
	}
	if r.Cur < r.Max {
		raised := unix.Rlimit{Cur: r.Max, Max: r.Max}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			r = raised
		}
	}
	limit := int(min(r.Cur, 1<<30))
	return NewDescriptors(limit, 64+limit/100), nil
}

// InUse is how many descriptors connections hold now.
func (d *Descriptors) InUse() int { return int(d.inUse.Load()) }

// take counts one more if fewer than bound are in use.
func (d *Descriptors) take(bound int64) bool {
	if d.inUse.Add(1) <= bound {
		return true
	}
	d.inUse.Add(-1)
	return false
}

// give counts one less.
func (d *Descriptors) give() { d.inUse.Add(-1) }
