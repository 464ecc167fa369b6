package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// tally counts what clients of one sort met.
type tally struct {
	mu sync.Mutex // every client's goroutine writes what follows

	answered int64            // with 200 and the right content
	failed   map[string]int64 // the others, by what the client saw
	ended    int64            // kept connections that the proxy ended, announced or not
	slowest  time.Duration
}

func newTally() *tally { return &tally{failed: map[string]int64{}} }

func (t *tally) served(took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answered++
	t.slowest = max(t.slowest, took)
}

func (t *tally) fail(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed[why]++
}

func (t *tally) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended++
}

// failures is how many requests failed other than in the ways that are excused.
func (t *tally) failures(excused func(why string) bool) (n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for why, count := range t.failed {
		if excused == nil || !excused(why) {
			n += count
		}
	}
	return n
}

// String tells the counts, with the ways of failing.
func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := &strings.Builder{}
	var sum int64
	for _, n := range t.failed {
		sum += n
	}
	fmt.Fprintf(b, "%d of %d failed", sum, sum+t.answered)
	for _, why := range slices.Sorted(maps.Keys(t.failed)) {
		fmt.Fprintf(b, "; %d: %s", t.failed[why], why)
	}
	return b.String()
}
