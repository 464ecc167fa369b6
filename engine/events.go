package engine

import (
	"log/slog"

	"traffic_management/telemetry"
	"traffic_management/upstream"
)

// eventQueue is how many events may wait to be logged. More at once are counted, not logged.
const eventQueue = 256

// happened takes note of what happened to a server or a service. Any goroutine, also a loop's, which must not write.
func (e *Engine) happened(v upstream.Event) {
	e.count(&v)
	select {
	case e.events <- v:
	default:
	}
}

// count counts what happened.
func (e *Engine) count(v *upstream.Event) {
	server := ""
	if v.Target != nil {
		server = v.Target.ID
	}
	switch v.What {
	case upstream.EventBreaker:
		e.registry.BreakerChanged(v.Service.Name, server, v.Breaker, breakerStates[v.To])
	case upstream.EventEjected:
		e.registry.ServerChanged(v.Service.Name, server, telemetry.ServerEjected)
	case upstream.EventReturned:
		e.registry.ServerChanged(v.Service.Name, server, telemetry.ServerReturned)
	case upstream.EventHealth:
		to := telemetry.ServerDown
		if v.To == "up" {
			to = telemetry.ServerUp
		}
		e.registry.ServerChanged(v.Service.Name, server, to)
	}
}

// logEvents is the goroutine that writes events to the log.
func (e *Engine) logEvents() {
	for {
		select {
		case v := <-e.events:
			e.logEvent(&v)
		case <-e.ended:
			return
		}
	}
}

func (e *Engine) logEvent(v *upstream.Event) {
	level, about := slog.LevelWarn, []any{"service", v.Service.Name}
	if v.What == upstream.EventReturned || v.What == upstream.EventHealth && v.To == "up" {
		level = slog.LevelInfo
	}
	if v.Target != nil {
		about = append(about, "server", v.Target.ID)
	}
	if v.Breaker != "" {
		about = append(about, "breaker", v.Breaker)
	}
	about = append(about, "from", v.From, "to", v.To, "why", v.Why)
	e.logger.Log(e.ctx, level, eventTexts[v.What], about...)
}

var eventTexts = map[upstream.EventKind]string{
	upstream.EventHealth:   "the health of a server changed",
	upstream.EventEjected:  "a server that fails is left out for a while",
	upstream.EventReturned: "a server that was left out is used again",
	upstream.EventBreaker:  "a circuit breaker changed its state",
}
