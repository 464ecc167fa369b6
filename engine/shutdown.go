package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"traffic_management/engine/frontend"
	"traffic_management/engine/systemd"
	"traffic_management/telemetry"
)

// Shutdown accepts no more connections, closes idle ones one after another, waits until running exchanges have ended and
// what they sent has left, or ctx is done, and then ends what is left. The error says how many exchanges were cut off.
func (e *Engine) Shutdown(ctx context.Context) error {
	e.stop()
	e.changing.Lock()
	if e.stage != stageReplaced {
		e.options.Inherited.tell(e.logger, systemd.Stopping, systemd.Status("ending what runs"))
	}
	e.stage = stageDraining
	if e.unwatch != nil {
		e.unwatch()
	}
	e.certificates.end()
	e.credentials.end()
	e.changing.Unlock()
	e.stopListening()
	var draining sync.WaitGroup
	draining.Add(len(e.workers))
	plan := e.drainPlan()
	e.onLoops(func(w *worker) { w.drain(plan, draining.Done) })
	e.logger.Info("draining", "timeout", e.Config().Shutdown.DrainTimeout)
	drained := make(chan struct{})
	go func() {
		draining.Wait()
		close(drained)
	}()
	select {
	case <-drained:
		e.awaitSent(ctx)
	case <-ctx.Done():
	}
	e.release()
	cut := 0
	for _, w := range e.workers {
		cut += w.conns.CutOff()
	}
	if cut > 0 {
		return fmt.Errorf("%d requests were cut off at the end of the drain time", cut)
	}
	return nil
}

// stopListening takes the connections that wait already, and then lets new clients be refused, rather than wait for nobody.
func (e *Engine) stopListening() {
	e.onLoops(func(w *worker) {
		for _, k := range w.doorkeepers {
			k.finish()
		}
	})
	for _, d := range e.current().doors {
		d.listener.Close()
	}
}

// drainPlan is how client connections end. Idle ones do so before the drain time is over, however it was chosen.
func (e *Engine) drainPlan() frontend.DrainPlan {
	s := &e.Config().Shutdown
	return frontend.DrainPlan{IdleClose: min(s.IdleClose, s.DrainTimeout*9/10), TunnelTimeout: s.TunnelTimeout}
}

// awaitSent waits for the connections that nobody uses any more: the end of a last response may still be on its way.
func (e *Engine) awaitSent(ctx context.Context) {
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for e.openSockets() > 0 {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// openSockets is how many connections there are, of clients and to servers.
func (e *Engine) openSockets() (n int64) {
	for _, w := range e.workers {
		n += w.loop.Stats().Open.Load()
	}
	return n
}

// release closes everything, in the order that nothing is used after its end.
func (e *Engine) release() {
	e.stop()
	close(e.ended)
	for _, w := range e.workers {
		w.loop.Shutdown()
	}
	s := e.current()
	if s != nil {
		s.metrics.close()
		s.admin.close()
	}
	e.running.Wait()
	e.names.stop()
	if e.first != nil {
		e.abandon(e.first)
	}
	if s != nil {
		e.closeLog(s.accessLog)
	}
}

// closeLog closes an access log that loops write to no more; nil is none.
func (e *Engine) closeLog(log *telemetry.AccessLog) {
	if log == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := log.Close(ctx); err != nil {
		e.logger.Error("the end of the access log was not written", "error", err)
	}
}
