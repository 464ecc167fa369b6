package frontend

import (
	"time"

	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

// drainStage is whether connections are to end: all of a loop, or those of an entry point.
type drainStage uint8

const (
	drainNone    drainStage = iota // clients are served for as long as they like
	drainRunning                   // every response is its connection's last
)

func (d drainStage) String() string { return [...]string{"none", "running"}[d] }

// DrainPlan is how connections end.
type DrainPlan struct {
	// IdleClose is the time over which idle connections are closed evenly, so that their clients do not all come to
	// another server at once; 0: at once.
	IdleClose time.Duration
	// TunnelTimeout is when tunnels are ended; 0: at once.
	TunnelTimeout time.Duration
}

// Drain ends all connections gently, when no new ones are accepted any more. Idle ones are closed evenly over
// plan.IdleClose, the longest idle first; a request that comes before its connection's turn is answered. Every response
// from now on is its connection's last and says so, and one whose head has left already has its connection closed behind
// it. done is called on the loop when no connection is left.
//
//	fresh     a first request may be on its way: closed after a second of silence, or when plan.IdleClose is over
//	idle      closed in its turn
//	head      the rest may come within the header timeout, and is answered
//	exchange  runs on; then closed
//	tunnel    ended after plan.TunnelTimeout
//	discard   as before: closed when the rest of the request has come or is given up
func (s *Connections) Drain(loop reactor.Loop, plan DrainPlan, done func()) {
	s.stage, s.drained = drainRunning, done
	s.tunnelEnd.Fire = func() {
		s.EndTunnels()
		loop.Arm(&s.tunnelEnd, lateTunnels)
	}
	loop.Arm(&s.tunnelEnd, plan.TunnelTimeout)
	s.endGently(loop, plan.IdleClose, nil)
	s.checkDrained(loop)
}

// lateTunnels is how often tunnels are ended that began after the others were.
const lateTunnels = time.Second

func (s *Connections) checkDrained(loop reactor.Loop) {
	if s.drained != nil && s.Open() == 0 {
		loop.Stop(&s.tunnelEnd)
		done := s.drained
		s.drained = nil
		done()
	}
}

// Leave ends the entry point's part of the loop gently, when its owner has it accept no more: its connections end as in
// Drain, but tunnels, for which nothing changes.
func (e *EntryPoint) Leave(over time.Duration) {
	e.stage = drainRunning
	e.Conns.endGently(e.Local.Loop, over, e)
}

// ending reports whether responses are to be the last of their connections, for good.
func (e *EntryPoint) ending() bool { return e.stage == drainRunning || e.Conns.stage == drainRunning }

// endGently ends the connections of an entry point, or all when it is nil: idle ones evenly over a time.
func (s *Connections) endGently(loop reactor.Loop, over time.Duration, of *EntryPoint) {
	all, turn := 0, 0
	for c := s.idle.first; c != nil; c = c.after {
		if c.part == partIdle && (of == nil || c.entry == of) {
			all++
		}
	}
	s.each(func(c *connection) {
		switch {
		case of != nil && c.entry != of:
		case c.part == partFresh:
			loop.Arm(&c.readTimer, max(over, freshTime-loop.Now().Sub(c.accepted)))
		case c.part != partIdle:
			c.speaker.drain()
		case over > 0:
			turn++
			loop.Arm(&c.readTimer, over*time.Duration(turn)/time.Duration(all))
		default:
			c.speaker.readExpired()
		}
	})
}

// shed is the speaker's.
func (c *H1) shed() { c.close(false) }

// drain is the speaker's: every response looks whether it is to be the last (EntryPoint.ending).
func (c *H1) drain() {}

// endExchanges is the speaker's.
func (c *H1) endExchanges(old func(*exchange.Env) bool) int {
	switch {
	case c.x == nil || !old(c.x.Env()):
		return 0
	case c.part == partTunnel:
		c.x.EndTunnel(errReplaced)
	default:
		c.spoilt(errReplaced)
	}
	return 1
}

// endTunnels is the speaker's.
func (c *H1) endTunnels() {
	if c.part == partTunnel {
		c.x.EndTunnel(errTunnelEnded)
	}
}
