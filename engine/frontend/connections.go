package frontend

import (
	"time"

	"traffic_management/codec"
	"traffic_management/codec/h1"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
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

	stage     drainStage
	drained   func() // called when the last connection has ended; nil while not draining, and afterwards
	tunnelEnd reactor.Timer
	cutOff    int    // exchanges that ended because the loop did
	out       []byte // a response head being written
	framer    h1.Framer
}

// NewConnections makes an empty set.
func NewConnections() *Connections { return &Connections{out: make([]byte, 0, 4096)} }

// Open is how many client connections there are.
func (s *Connections) Open() int { return s.Counts().Open() }

// CutOff is how many exchanges were cut off because the loop ended. Any goroutine, once the loop has.
func (s *Connections) CutOff() int { return s.cutOff }

// ShedIdle closes the connection that has been idle for longest. It reports whether there was one.
func (s *Connections) ShedIdle() bool {
	c := s.idle.first
	if c == nil {
		return false
	}
	c.close(false)
	return true
}

var errReplaced = &codec.Error{Side: codec.Internal, Kind: codec.KindCancelled, Status: 503,
	Cause: errText("the configuration that the request came under was replaced too long ago")}

// EndExchanges ends the exchanges that run with a configuration of which old is true, and returns how many. A client
// that was sent nothing yet gets an answer of 503; to the others the response is visibly cut short.
func (s *Connections) EndExchanges(old func(*exchange.Env) bool) (ended int) {
	for c := s.active.first; c != nil; {
		next := c.after // c leaves the list when it is closed
		if c.x != nil && old(c.x.Env()) {
			c.spoilt(errReplaced)
			ended++
		}
		c = next
	}
	for c := s.tunnels.first; c != nil; c = c.after {
		if old(c.x.Env()) {
			c.x.EndTunnel(errReplaced)
			ended++
		}
	}
	return ended
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
