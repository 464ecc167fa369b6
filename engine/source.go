package engine

import (
	"traffic_management/engine/reactor"
	"traffic_management/internal/invariant"
	"traffic_management/telemetry"
	"traffic_management/upstream"
)

// source tells scrapes how things are.
type source struct{ *Engine }

// Servers is the telemetry.Source's.
func (s source) Servers(yield func(*telemetry.ServerSample)) {
	state, now := s.current(), reactor.Clock()
	if state == nil {
		return
	}
	for _, v := range state.snapshot.services {
		for _, t := range v.Targets() {
			st := t.Status(now)
			yield(&telemetry.ServerSample{Service: v.Name, Server: t.ID, Up: st.Healthy, Ejected: st.EjectedFor > 0,
				Draining: st.State == upstream.TargetDraining, Weight: weightInForce(t, &st), InFlight: st.InFlight,
				Open: st.Open, Idle: st.Idle, Succeeded: st.Succeeded, Failed: st.Failed})
		}
	}
}

// Breakers is the telemetry.Source's.
func (s source) Breakers(yield func(telemetry.BreakerSample)) {
	state, now := s.current(), reactor.Clock()
	if state == nil {
		return
	}
	for _, v := range state.snapshot.services {
		for _, b := range v.Breakers(now) {
			yield(telemetry.BreakerSample{Service: v.Name, Breaker: b.Name, State: breakerStates[b.State.String()]})
		}
		for _, t := range v.Targets() {
			for _, b := range t.Status(now).Breakers {
				yield(telemetry.BreakerSample{Service: v.Name, Server: t.ID, Breaker: b.Name, State: breakerStates[b.State.String()]})
			}
		}
	}
}

// Certificates is the telemetry.Source's.
func (s source) Certificates(yield func(telemetry.CertificateSample)) {
	state := s.current()
	if state == nil {
		return
	}
	for name, server := range state.snapshot.secured.servers {
		for _, c := range server.Certificates() {
			yield(telemetry.CertificateSample{EntryPoint: name, File: c.File, Name: c.Name, Expires: c.Expires})
		}
	}
}

// breakerStates are the states as the series have them, by their names in package upstream.
var breakerStates = map[string]telemetry.BreakerState{
	upstream.BreakerClosed.String():   telemetry.BreakerClosed,
	upstream.BreakerHalfOpen.String(): telemetry.BreakerHalfOpen,
	upstream.BreakerOpen.String():     telemetry.BreakerOpen,
}

// Process is the telemetry.Source's.
func (s source) Process() telemetry.ProcessSample {
	o := s.Overload()
	return telemetry.ProcessSample{OldSnapshots: s.OldSnapshots(), Overload: int(o.Level), MemoryUsed: o.Used,
		MemoryLimit: o.Limit, InvariantsBroken: invariant.Broken()}
}
