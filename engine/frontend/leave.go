package frontend

import "time"

// Leave ends the entry point's part of the loop gently, when its owner has it accept no more: every response from now on
// is its connection's last, and connections that are idle are closed evenly over this time, the longest idle first. A
// client that sends a request before its turn is answered.
func (e *EntryPoint) Leave(over time.Duration) {
	e.leaving = true
	n := 0
	e.eachIdle(func(*H1) { n++ })
	turn := 0
	e.eachIdle(func(c *H1) {
		turn++
		e.Local.Loop.Arm(&c.readTimer, over*time.Duration(turn)/time.Duration(n))
	})
}

// ending reports whether responses are to be the last of their connections.
func (e *EntryPoint) ending() bool { return e.leaving || e.Conns.draining }

func (e *EntryPoint) eachIdle(f func(*H1)) {
	for c := e.Conns.idle.first; c != nil; c = c.after {
		if c.entry == e {
			f(c)
		}
	}
}
