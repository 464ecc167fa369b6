package upstream

import (
	"fmt"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
)

// OutlierPolicy says when a target that fails is left out for a while. Immutable.
type OutlierPolicy struct {
	ConsecutiveErrors int           // that eject a target, over all loops
	BaseEjection      time.Duration // of the first ejection; each that follows closely is longer by as much
	MaxEjectedPercent int           // of the service's targets, rounded down, but one of two or more
}

// maxEjectionFactor bounds the length of an ejection, in times the first.
const maxEjectionFactor = 10

// failed counts one error of a target: e, or else a response of this status. Any goroutine.
func (s *Service) failed(t *Target, p *OutlierPolicy, now reactor.Instant, e *codec.Error, status int) {
	if t.has(isEjected) {
		return // of a request that began before
	}
	if n := int(t.errors.Add(1)); n >= p.ConsecutiveErrors {
		s.eject(t, p, now, func() string {
			if e != nil {
				return fmt.Sprintf("%d consecutive errors, the last: %v", n, e)
			}
			return fmt.Sprintf("%d consecutive errors, the last: status %d", n, status)
		})
	}
}

// succeeded counts one success of a target. Any goroutine. It writes only after an error.
func (t *Target) succeeded() {
	if t.errors.Load() != 0 {
		t.errors.Store(0)
	}
}

// eject leaves a target out, unless too many are already; then the next error tries again.
func (s *Service) eject(t *Target, p *OutlierPolicy, now reactor.Instant, why func() string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	targets, ejected := s.Targets(), 0
	for _, other := range targets {
		if other == t && other.has(isEjected) {
			return
		}
		if other.has(isEjected) {
			ejected++
		}
	}
	most := len(targets) * p.MaxEjectedPercent / 100
	if most == 0 && len(targets) > 1 && p.MaxEjectedPercent > 0 {
		most = 1
	}
	if ejected >= most {
		return
	}
	// It follows the one before closely when the target did not hold out for as long as it had been out.
	row := t.ejectedRow.Load()
	held := now.Sub(reactor.Instant(t.ejectedUntil.Load()))
	if row > 0 && held <= time.Duration(row)*p.BaseEjection {
		row = min(row+1, maxEjectionFactor)
	} else {
		row = 1
	}
	length := time.Duration(row) * p.BaseEjection
	t.ejectedRow.Store(row)
	t.ejectedUntil.Store(int64(now.Add(length)))
	t.ejections.Add(1)
	t.errors.Store(0)
	t.mark(isEjected, true)
	t.tell(Event{What: EventEjected, From: "in", To: "out", Why: fmt.Sprintf("for %v: %s", length, why())})
}

// settle ends an ejection that is over and returns what is true of the target now. Any goroutine.
func (t *Target) settle(now reactor.Instant) condition {
	c := condition(t.condition.Load())
	if c&isEjected == 0 || int64(now) < t.ejectedUntil.Load() {
		return c
	}
	if s := t.service.Load(); s != nil {
		s.readmit(t, now, "its time is over")
	}
	return condition(t.condition.Load())
}

// readmit ends the ejection of a target whose time is over by now. It begins slowly.
func (s *Service) readmit(t *Target, now reactor.Instant, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !t.has(isEjected) || int64(now) < t.ejectedUntil.Load() {
		return // another goroutine was first
	}
	t.join(now)
	t.mark(isEjected, false)
	t.tell(Event{What: EventReturned, From: "out", To: "in", Why: why})
}

// blames reports whether an error speaks against the server: not when the client, a limit of ours, or the end of an
// idle connection was the cause, nor when it asked for the next connection, nor when a tunnel was reset, which is how some
// servers end theirs.
func blames(e *codec.Error) bool {
	return e.Side == codec.Upstream && e.Kind != codec.KindQueue && e.Kind != codec.KindNoTarget &&
		e.Retry != codec.RetryIdle && e != errUnsent && e != errNotTaken && e != errTunnelLost
}
