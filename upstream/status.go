package upstream

import (
	"time"

	"traffic_management/engine/reactor"
)

// TargetState says in one word why a target gets requests or not.
type TargetState uint8

// States of a target, the first that holds.
const (
	TargetDraining TargetState = iota // an operator's wish, or weight 0: only requests that stick to it
	TargetDown                        // health checks fail
	TargetEjected                     // failed too often, for a while
	TargetUp                          // takes requests
	targetStates
)

var targetStateNames = [targetStates]string{TargetDraining: "draining", TargetDown: "down", TargetEjected: "ejected",
	TargetUp: "up"}

func (s TargetState) String() string {
	if s < targetStates {
		return targetStateNames[s]
	}
	return "?"
}

// Status is what is known of a target at one moment.
type Status struct {
	State      TargetState
	Healthy    bool          // health checks do not fail, or there are none
	EjectedFor time.Duration // still; 0 when it is not ejected
	Ejections  int           // ever
	LastError  string        // of a health check while they fail, else of the last attempt that failed; "" without one
	SlowStart  float64       // share of its weight that it has now, 0 to 1
	InFlight   int64
	Open       int64
	Idle       int64
	Succeeded  uint64          // requests answered with a status below 500, ever
	Failed     uint64          // those that were not, by the server's fault
	Breakers   []BreakerStatus // of the service's circuit breakers, for this target
}

// Status reports on the target, for people and metrics. Any goroutine. It ends an ejection that is over.
func (t *Target) Status(now reactor.Instant) Status {
	c := t.settle(now)
	st := Status{
		State:     TargetUp,
		Healthy:   c&isDown == 0,
		Ejections: int(t.ejections.Load()),
		SlowStart: 1,
		InFlight:  t.InFlight(),
		Open:      t.Open(),
		Idle:      t.Idle(),
	}
	for i := range t.counts {
		st.Succeeded += uint64(t.counts[i].Succeeded.Load())
		st.Failed += uint64(t.counts[i].Failed.Load())
	}
	switch {
	case c&takenOut != 0:
		st.State = TargetDraining
	case c&isDown != 0:
		st.State = TargetDown
	case c&isEjected != 0:
		st.State = TargetEjected
	}
	if c&isEjected != 0 {
		st.EjectedFor = max(reactor.Instant(t.ejectedUntil.Load()).Sub(now), 0)
	}
	if why := t.lastCheck.Load(); why != nil && c&isDown != 0 {
		st.LastError = *why
	} else if e := t.lastFailure.Load(); e != nil {
		st.LastError = e.Error()
	}
	if s := t.service.Load(); s != nil {
		st.SlowStart = float64(t.share(now, s.Options().SlowStart)) / wholeWeight
		for _, b := range s.breakers() {
			st.Breakers = append(st.Breakers, b.server(t).status(b.policy.Name, now))
		}
	}
	return st
}
