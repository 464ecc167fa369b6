package mw

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"traffic_management/engine/reactor"
)

const (
	// maxWaiting is how many checks may be under way: one runs, the others mostly wait for their turn.
	maxWaiting = 256
	// longestWait is how long a check may take, the wait for its turn included.
	longestWait = 5 * time.Second
)

var errBusy = errors.New("the credentials could not be checked in time")

// budget bounds work that takes a processor for long beside the loops, such as checks of passwords and rewriting: a share of the
// processors at most. Any goroutine.
type budget struct {
	turns chan struct{} // has room for those that run
	taken atomic.Int32  // places, at most maxWaiting
}

func newBudget() *budget {
	return &budget{turns: make(chan struct{}, reactor.Share())}
}

// enter takes a place, if there is one; leave gives it back. It never waits.
func (b *budget) enter() bool {
	if b.taken.Add(1) <= maxWaiting {
		return true
	}
	b.taken.Add(-1)
	return false
}

func (b *budget) leave() { b.taken.Add(-1) }

// run calls work when it is its turn, and reports false when ctx was done before. Whoever calls it has a place.
func (b *budget) run(ctx context.Context, work func()) bool {
	select {
	case b.turns <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-b.turns }()
	if ctx.Err() != nil { // both were ready
		return false
	}
	runtime.Gosched() // whoever had the turn made this the next to run, before a loop that waits
	work()
	return true
}
