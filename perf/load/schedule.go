package main

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// run carries the plan out. It returns when the window was measured, or with the error that made going on impossible.
func (g *generator) run() error {
	// Waits shorter than a millisecond are only exact without the kernel's timer slack, which belongs to the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return err
	}
	g.epoch = time.Now()
	if g.rate == 0 {
		return g.closedLoop()
	}
	return g.openLoop()
}

// closedLoop keeps every connection busy.
func (g *generator) closedLoop() error {
	for range g.idle.len() {
		g.send(g.idle.pop(), 0)
	}
	for {
		now := g.clock()
		limit := int64(g.warm)
		switch {
		case g.began == 0 && now >= limit:
			g.begin(now)
			continue
		case g.began > 0 && g.over(now):
			g.end(now)
			return nil
		case g.began > 0 && g.measure == 0:
			limit = now + int64(time.Second)
		case g.began > 0:
			limit = g.began + int64(g.measure)
		}
		if err := g.turn(time.Duration(limit - now)); err != nil {
			return err
		}
	}
}

// openLoop sends requests when they are due, whether or not earlier ones were answered. Latency counts from when a
// request was due, so a server that stalls is charged for all the requests that had to wait.
func (g *generator) openLoop() error {
	gap := float64(time.Second) / g.rate
	for i, due := int64(0), int64(0); ; {
		now := g.clock()
		if g.began == 0 && now >= int64(g.warm) {
			g.begin(now)
		}
		if g.began > 0 && g.over(now) {
			g.end(now)
			return g.lastAnswers(now + int64(g.drain))
		}
		for due <= now {
			g.start(due)
			i++
			due = int64(float64(i) * gap)
		}
		if err := g.turn(time.Duration(due - g.clock())); err != nil {
			return err
		}
	}
}

// start sends the request that was due, or remembers that it is late.
func (g *generator) start(due int64) {
	if g.idle.len() == 0 {
		g.late.push(due)
		return
	}
	g.send(g.idle.pop(), due)
}

// lastAnswers waits for what was sent inside the window and counts what never came as failed.
func (g *generator) lastAnswers(until int64) error {
	for g.idle.len() < g.plan.lanes() && g.clock() < until {
		if err := g.turn(time.Duration(until - g.clock())); err != nil {
			return err
		}
	}
	lost := g.plan.lanes() - g.idle.len() + g.late.len()
	g.result.failed += int64(lost)
	return nil
}

// turn lets what was written leave, waits for events, at most d, and handles them.
func (g *generator) turn(d time.Duration) error {
	if err := g.flush(); err != nil {
		return err
	}
	ready, err := g.set.WaitFor(d)
	for i := range ready {
		if err := g.handle(int(ready[i].Fd), ready[i].Events); err != nil {
			return err
		}
		if err := g.flush(); err != nil {
			return err
		}
	}
	return err
}
