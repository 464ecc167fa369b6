package frontend

import (
	"time"

	"traffic_management/codec/h1"
)

// freshTime is how long a connection that has sent nothing yet is not given up for others: its first request may lie
// unread in the kernel, and would be lost to a reset.
const freshTime = time.Second

// Connections is all client connections of one loop, whatever their entry point. It belongs to the loop.
type Connections struct {
	fresh   roll // in phaseFresh
	idle    roll // in phaseIdle, the longest idle first
	tunnels roll // in phaseTunnel and phaseTunnelEnded
	active  roll // in all other phases

	draining bool
	drained  func()
	out      []byte // a response head being written
	framer   h1.Framer
}

// NewConnections makes an empty set.
func NewConnections() *Connections { return &Connections{out: make([]byte, 0, 4096)} }

// Open is how many client connections there are.
func (s *Connections) Open() int { return s.fresh.n + s.idle.n + s.tunnels.n + s.active.n }

// ShedIdle closes the connection that has been idle for longest. It reports whether there was one.
func (s *Connections) ShedIdle() bool {
	c := s.idle.first
	if c == nil {
		return false
	}
	c.close(false)
	return true
}

// Drain closes idle connections now and the others after the response they are at; done is called when there are
// none left.
func (s *Connections) Drain(done func()) {
	s.draining, s.drained = true, done
	for s.fresh.first != nil {
		s.fresh.first.close(false)
	}
	for s.ShedIdle() {
	}
	s.checkDrained()
}

func (s *Connections) checkDrained() {
	if s.draining && s.Open() == 0 && s.drained != nil {
		done := s.drained
		s.drained = nil
		done()
	}
}

// roll is the list of the connections in this phase.
func (s *Connections) roll(p phase) *roll {
	switch p {
	case phaseFresh:
		return &s.fresh
	case phaseIdle:
		return &s.idle
	case phaseTunnel, phaseTunnelEnded:
		return &s.tunnels
	}
	return &s.active
}

// move changes a connection's phase to one of another list.
func (s *Connections) move(c *H1, p phase) {
	s.roll(c.phase).remove(c)
	c.phase = p
	s.roll(p).add(c)
}

// roll is a list of connections, in the order they entered it.
type roll struct {
	first, last *H1
	n           int
}

func (r *roll) add(c *H1) {
	c.before, c.after = r.last, nil
	if r.last == nil {
		r.first = c
	} else {
		r.last.after = c
	}
	r.last = c
	r.n++
}

func (r *roll) remove(c *H1) {
	if c.before == nil {
		r.first = c.after
	} else {
		c.before.after = c.after
	}
	if c.after == nil {
		r.last = c.before
	} else {
		c.after.before = c.before
	}
	c.before, c.after = nil, nil
	r.n--
}
