package upstream

import (
	"sync"
	"time"
	"weak"

	"traffic_management/engine/reactor"
)

// ServiceBreaker is a circuit breaker of a service, and one of each of its targets. Exchanges pass the first, attempts
// the others. Any goroutine.
type ServiceBreaker struct {
	// Immutable:
	service *Service
	policy  *BreakerPolicy
	whole   *breaker

	mu      sync.Mutex
	servers map[*Target]*breaker
}

// Breaker returns the service's circuit breaker of these settings: the one there is as long as anything refers to it,
// so that it keeps its state when a configuration is replaced. Any goroutine.
func (s *Service) Breaker(p BreakerPolicy) *ServiceBreaker {
	s.mu.Lock()
	defer s.mu.Unlock()
	live := s.guards[:0]
	var found *ServiceBreaker
	for _, w := range s.guards {
		if b := w.Value(); b != nil {
			live = append(live, w)
			if *b.policy == p {
				found = b
			}
		}
	}
	s.guards = live
	if found == nil {
		found = &ServiceBreaker{service: s, policy: &p, servers: map[*Target]*breaker{}}
		found.whole = newBreaker(&p, func(from, to BreakerState, why string) {
			s.tell(Event{What: EventBreaker, Breaker: p.Name, From: from.String(), To: to.String(), Why: why})
		})
		s.guards = append(s.guards, weak.Make(found))
	}
	return found
}

// breakers are the circuit breakers in use.
func (s *Service) breakers() (all []*ServiceBreaker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.guards {
		if b := w.Value(); b != nil {
			all = append(all, b)
		}
	}
	return all
}

// Breakers reports on the circuit breakers of the service as a whole. Any goroutine.
func (s *Service) Breakers(now reactor.Instant) (all []BreakerStatus) {
	for _, b := range s.breakers() {
		all = append(all, b.whole.status(b.policy.Name, now))
	}
	return all
}

// server is the breaker of one target. Those of targets that left are forgotten when another is made.
func (b *ServiceBreaker) server(t *Target) *breaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.servers[t]
	if one == nil {
		present := b.service.Targets()
		for other := range b.servers {
			if !other.among(present) {
				delete(b.servers, other)
			}
		}
		name := b.policy.Name
		one = newBreaker(b.policy, func(from, to BreakerState, why string) {
			t.tell(Event{What: EventBreaker, Breaker: name, From: from.String(), To: to.String(), Why: why})
		})
		b.servers[t] = one
	}
	return one
}

// Enter asks to let an exchange through: Refused while the breaker is open. Each other pass needs one Leave.
func (b *ServiceBreaker) Enter(now reactor.Instant) Pass { return b.whole.enter(now) }

// Leave tells how an exchange that Enter let through ended. Tell it as soon as it is known, at the latest when the
// final response head is: while a probe is under way nothing else passes.
func (b *ServiceBreaker) Leave(now reactor.Instant, p Pass, o Outcome) { b.whole.leave(now, p, o) }

// Fails reports whether a response of this status counts as a failure.
func (b *ServiceBreaker) Fails(status int) bool { return b.policy.Failures.Has(status) }

// RetryAfter is how long a client that was refused should wait, at least a second.
func (b *ServiceBreaker) RetryAfter(now reactor.Instant) time.Duration {
	return max(reactor.Instant(b.whole.until.Load()).Sub(now), time.Second)
}
