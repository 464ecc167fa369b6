package engine

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"traffic_management/engine/exchange"
)

// generations are the configurations that were replaced and that exchanges still run with.
//
//	commit ──add──▶ list ──▶ each loop: exchange.Generation.Retire ──last one ended──▶ ended
//	followGenerations ◀── ended: drop from the list, forget the services that nothing uses any more
type generations struct {
	ended chan struct{} // of capacity 1: one may have ended

	mu   sync.Mutex
	list []*generation // the oldest first
}

// generation is one of them.
type generation struct {
	// Immutable:
	state    *state
	replaced time.Time

	late bool // its exchanges were told to end; guarded by generations.mu

	loops atomic.Int32 // on which exchanges still run with it
}

// OldSnapshots is how many configurations that were replaced still have exchanges running. Any goroutine.
func (e *Engine) OldSnapshots() (n int) {
	e.old.mu.Lock()
	defer e.old.mu.Unlock()
	for _, g := range e.old.list {
		if g.loops.Load() > 0 {
			n++
		}
	}
	return n
}

// add enters a configuration that is being replaced; nil is none. over is to be called by each loop once, when nothing
// runs there any more with it.
func (s *generations) add(old *state, loops int) (over func()) {
	if old == nil {
		return func() {}
	}
	g := &generation{state: old, replaced: time.Now()}
	g.loops.Store(int32(loops))
	s.mu.Lock()
	s.list = append(s.list, g)
	s.mu.Unlock()
	s.look() // for its deadline
	return func() {
		if g.loops.Add(-1) == 0 {
			s.look()
		}
	}
}

// look makes followGenerations look. Any goroutine.
func (s *generations) look() {
	select {
	case s.ended <- struct{}{}:
	default: // it was told and has not looked yet
	}
}

// followGenerations is a goroutine that gives up what old configurations needed when they have ended, and ends the
// exchanges of those that were replaced too long ago.
func (e *Engine) followGenerations() {
	deadline := time.NewTimer(0)
	defer deadline.Stop()
	for {
		select {
		case <-e.old.ended:
		case <-deadline.C:
		case <-e.ended:
			return
		}
		e.dropEnded()
		if wait, ok := e.endLate(); ok {
			deadline.Reset(wait)
		}
	}
}

// endLate ends the exchanges of configurations that were replaced too long ago. It returns when to look again, if ever.
func (e *Engine) endLate() (wait time.Duration, ok bool) {
	limit := e.Config().Reload.OldExchanges
	e.old.mu.Lock()
	defer e.old.mu.Unlock()
	for _, g := range e.old.list {
		if wait = limit - time.Since(g.replaced); wait > 0 {
			return wait, true
		}
		if !g.late {
			g.late = true
			e.running.Go(func() { e.endExchanges(g.state.generation) })
		}
	}
	return 0, false
}

// endExchanges ends the exchanges of a configuration and says how many there were.
func (e *Engine) endExchanges(generation uint64) {
	n := int64(0)
	e.onLoops(func(w *worker) {
		ended := w.conns.EndExchanges(func(env *exchange.Env) bool { return env.Generation.Number == generation })
		atomic.AddInt64(&n, int64(ended))
	})
	e.logger.Warn("requests were ended that ran with a configuration replaced too long ago",
		"requests", n, "generation", generation)
}

// dropEnded drops the configurations that have ended, and the services that no other has.
func (e *Engine) dropEnded() {
	e.changing.Lock()
	defer e.changing.Unlock()
	if e.stage != stageServing {
		return
	}
	used := e.current().services()
	e.old.mu.Lock()
	e.old.list = slices.DeleteFunc(e.old.list, func(g *generation) bool { return g.loops.Load() == 0 })
	for _, g := range e.old.list {
		for name := range g.state.services() {
			used[name] = true
		}
	}
	e.old.mu.Unlock()
	for name, v := range e.catalog.services {
		if !used[name] {
			delete(e.catalog.services, name)
			e.names.forget(name)
			for _, w := range e.workers {
				w.loop.Post(func() { w.pools.Forget(v) })
			}
		}
	}
}

// services are the names of the services of a configuration.
func (s *state) services() map[string]bool {
	names := map[string]bool{}
	for _, v := range s.snapshot.services {
		names[v.Name] = true
	}
	return names
}
