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

// Connections is all client connections of one loop, whatever their entry point and whatever they speak. It belongs to
// the loop.
//
// A request costs one move, to the back of idle when it is over: a connection that stops being idle stays in that list
// until somebody looks for an idle one.
type Connections struct {
	idle    roll // in partIdle, the longest idle first, and some of the others between them
	busy    roll // in all other parts
	counts  [parts]int
	tunnels int // HTTP/2 connections may have several

	stage     drainStage
	drained   func() // called when the last connection has ended; nil while not draining, and afterwards
	tunnelEnd reactor.Timer
	cutOff    int    // exchanges that ended because the loop did
	out       []byte // a response head being written
	framer    h1.Framer

	freeStreams *stream // of HTTP/2 connections
}

// NewConnections makes an empty set.
func NewConnections() *Connections { return &Connections{out: make([]byte, 0, 4096)} }

// Open is how many client connections there are.
func (s *Connections) Open() int { return s.idle.n + s.busy.n }

// CutOff is how many exchanges were cut off because the loop ended. Any goroutine, once the loop has.
func (s *Connections) CutOff() int { return s.cutOff }

// ShedIdle closes the connection that has been idle for longest. It reports whether there was one.
func (s *Connections) ShedIdle() bool {
	if s.counts[partIdle] == 0 {
		return false
	}
	for c := s.idle.first; ; c = s.idle.first {
		if c.part == partIdle {
			c.speaker.shed()
			return true
		}
		s.idle.remove(c)
		s.busy.add(c)
	}
}

var errReplaced = &codec.Error{Side: codec.Internal, Kind: codec.KindCancelled, Status: 503,
	Cause: errText("the configuration that the request came under was replaced too long ago")}

// EndExchanges ends the exchanges that run with a configuration of which old is true, and returns how many. A client
// that was sent nothing yet gets an answer of 503; to the others the response is visibly cut short.
func (s *Connections) EndExchanges(old func(*exchange.Env) bool) (ended int) {
	s.each(func(c *connection) { ended += c.speaker.endExchanges(old) })
	return ended
}

// each calls f with every connection; f may end the one it is given.
func (s *Connections) each(f func(*connection)) {
	for _, r := range [...]*roll{&s.idle, &s.busy} {
		for c := r.first; c != nil; {
			next := c.after
			f(c)
			c = next
		}
	}
}

func (s *Connections) add(c *connection) {
	s.counts[c.part]++
	s.busy.add(c)
}

func (s *Connections) forget(c *connection) {
	s.counts[c.part]--
	c.list.remove(c)
}

// enter says which part of its life a connection is in now; one that becomes idle goes behind the others that are.
func (s *Connections) enter(c *connection, p part) {
	s.counts[c.part]--
	s.counts[p]++
	c.part = p
	if p == partIdle && s.idle.last != c {
		c.list.remove(c)
		s.idle.add(c)
	}
}

// roll is a list of connections, in the order they entered it.
type roll struct {
	first, last *connection
	n           int
}

func (r *roll) add(c *connection) {
	c.list, c.before, c.after = r, r.last, nil
	if r.last == nil {
		r.first = c
	} else {
		r.last.after = c
	}
	r.last = c
	r.n++
}

func (r *roll) remove(c *connection) {
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
