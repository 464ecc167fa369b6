package engine

import (
	"time"

	"traffic_management/engine/systemd"
)

// keepAlive is a goroutine that tells the service manager so for as long as every loop answers. A loop that does not
// has the process killed and started again.
func (e *Engine) keepAlive() {
	in := e.options.Inherited
	if in == nil || in.watchdog == 0 {
		return
	}
	due := time.NewTicker(in.watchdog / 3)
	defer due.Stop()
	for {
		select {
		case <-due.C:
		case <-e.ctx.Done(): // nobody watches a process that ends
			return
		}
		if e.allAnswer() {
			in.tell(e.logger, systemd.Alive)
		}
	}
}

// allAnswer reports whether every loop makes turns.
func (e *Engine) allAnswer() bool {
	for _, answer := range poll(e.workers, func(*worker) bool { return true }) {
		if answer == nil {
			return false
		}
	}
	return true
}
