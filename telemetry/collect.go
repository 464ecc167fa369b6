package telemetry

import (
	"maps"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// snapshot copies what mu guards, so that a slow scrape does not hold up a reload.
func (r *Registry) snapshot() ([]*Route, []*EntryPoint, []*Service, configState, map[series]tally) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.routes)), slices.Collect(maps.Values(r.entryPoints)),
		slices.Collect(maps.Values(r.services)), r.config,
		map[series]tally{upgradesEnded: r.upgrades, tlsCertificateReloads: r.reloads, tlsOCSPFetches: r.staples}
}

// scrape sends the values of one scrape. Label values are in the catalogue's order.
type scrape struct {
	out chan<- prometheus.Metric
}

func (s scrape) counter(id series, v uint64, labels ...string) {
	s.out <- prometheus.MustNewConstMetric(descs[id], prometheus.CounterValue, float64(v), labels...)
}

func (s scrape) gauge(id series, v float64, labels ...string) {
	s.out <- prometheus.MustNewConstMetric(descs[id], prometheus.GaugeValue, v, labels...)
}

func (s scrape) histogram(id series, r *reading, labels ...string) {
	byBound, count := r.cumulative(catalogue[id].scale)
	s.out <- prometheus.MustNewConstHistogram(descs[id], count, r.seconds(), byBound, labels...)
}

func (s scrape) config(c configState) {
	s.counter(configLoads, c.succeeded, loadSuccess.String())
	s.counter(configLoads, c.failed, loadFailure.String())
	s.gauge(configLastLoadSuccessful, truth(c.last == loadSuccess))
	if c.succeeded > 0 {
		s.gauge(configLastSuccess, float64(c.lastSuccess.UnixMilli())/1e3)
	}
}

func (s scrape) route(r *Route) {
	router, service := r.key.router, r.key.service
	for i, class := range codeClasses {
		n := r.sum(func(s *RouteShard) *counter { return &s.codes[i] })
		s.counter(requests, n, router, service, class)
	}
	var duration, added reading
	for _, shard := range r.perLoop {
		duration.add(&shard.duration)
		added.add(&shard.added)
	}
	s.histogram(requestDuration, &duration, router, service)
	s.histogram(addedDuration, &added, router, service)
	s.counter(requestBytes, r.sum(func(s *RouteShard) *counter { return &s.bytesIn }), router, service)
	s.counter(responseBytes, r.sum(func(s *RouteShard) *counter { return &s.bytesOut }), router, service)
}

func (s scrape) entryPoint(e *EntryPoint, names *Names) {
	connections, tunnels := e.Open()
	s.gauge(entryPointOpenConnections, float64(connections), e.name)
	s.gauge(entryPointOpenTunnels, float64(tunnels), e.name)
	s.counter(entryPointConnections, e.sum(func(s *EntryPointShard) *counter { return &s.opened }), e.name)
	s.counter(entryPointTunnels, e.sum(func(s *EntryPointShard) *counter { return &s.tunnelsOpened }), e.name)
	s.counter(entryPointRefused, e.sum(func(s *EntryPointShard) *counter { return &s.refused }), e.name)
	s.counter(tlsHandshakes, e.sum(func(s *EntryPointShard) *counter { return &s.handshakes }), e.name, "false")
	s.counter(tlsHandshakes, e.sum(func(s *EntryPointShard) *counter { return &s.resumptions }), e.name, "true")
	closed := e.sum(func(s *EntryPointShard) *counter { return &s.http2Closed })
	opened := e.sum(func(s *EntryPointShard) *counter { return &s.http2Opened })
	s.counter(http2Connections, opened, e.name)
	s.gauge(http2OpenConnections, float64(openNow(opened, closed)), e.name)
	s.byName(clientErrors, e, names.Errors, func(s *EntryPointShard) *kindCounters { return &s.errors })
	s.byName(tlsHandshakeFailures, e, names.Handshakes, func(s *EntryPointShard) *kindCounters { return &s.handshakeFail })
	s.byName(http2Errors, e, names.HTTP2, func(s *EntryPointShard) *kindCounters { return &s.http2Errors })
}

// byName sends what an entry point counted under each of the names.
func (s scrape) byName(id series, e *EntryPoint, names []string, of func(*EntryPointShard) *kindCounters) {
	for i, name := range names {
		if name != "" {
			s.counter(id, e.sum(func(s *EntryPointShard) *counter { return &of(s)[i] }), e.name, name)
		}
	}
}

func (s scrape) service(v *Service, kinds []string) {
	closed := v.sum(func(s *ServiceShard) *counter { return &s.closed })
	opened := v.sum(func(s *ServiceShard) *counter { return &s.opened })
	s.counter(upstreamConnections, opened, v.name)
	s.gauge(upstreamOpenConnections, float64(openNow(opened, closed)), v.name)
	s.counter(upstreamReuses, v.sum(func(s *ServiceShard) *counter { return &s.reused }), v.name)
	s.counter(upstreamReplays, v.sum(func(s *ServiceShard) *counter { return &s.replayed }), v.name)
	s.counter(upstreamRetries, v.sum(func(s *ServiceShard) *counter { return &s.retries }), v.name)
	s.counter(upstreamRetriesRefused, v.sum(func(s *ServiceShard) *counter { return &s.retriesRefused }), v.name)
	for i, kind := range kinds {
		if kind != "" {
			n := v.sum(func(s *ServiceShard) *counter { return &s.errors[i] })
			s.counter(upstreamErrors, n, v.name, kind)
		}
	}
}

func (s scrape) loop(index int, l *LoopShard) {
	loop := strconv.Itoa(index)
	var turns reading
	turns.add(&l.turns)
	s.histogram(loopTurnDuration, &turns, loop)
	s.counter(loopStalls, l.stalls.load(), loop)
	s.counter(loopAcceptPauses, l.acceptPauses.load(), loop)
	s.counter(loopShed, l.shed.load(), loop)
	s.counter(loopShedUpstream, l.shedUpstream.load(), loop)
	s.counter(loopPanics, l.panics.load(), loop)
}

func (s scrape) accessLog(c *LogCounts) {
	s.counter(accessLogLines, c.written.Load())
	s.counter(accessLogDropped, c.dropped.Load())
	s.counter(accessLogWriteErrors, c.writeErrors.Load())
}

// now sends what a source says.
func (s scrape) now(r *Registry, source Source) {
	inUse := map[[2]string]bool{}
	source.Servers(func(v *ServerSample) {
		key := [2]string{valid(v.Service), valid(v.Server)}
		if !inUse[key] { // the library refuses the whole scrape for a series that comes twice
			inUse[key] = true
			s.server(key[0], key[1], v)
		}
	})
	breakers := map[changeKey]bool{}
	source.Breakers(func(b BreakerSample) {
		key := changeKey{valid(b.Service), valid(b.Server), valid(b.Breaker), ""}
		inUse[[2]string{key.service, key.server}] = true
		if !breakers[key] {
			breakers[key] = true
			s.gauge(breakerState, float64(b.State), key.service, key.server, key.breaker)
		}
	})
	for k, n := range r.changesOf(inUse) {
		if k.breaker == "" {
			s.counter(serverChanges, n, k.service, k.server, k.to)
		} else {
			s.counter(breakerChanges, n, k.service, k.server, k.breaker, k.to)
		}
	}
	mirrors := map[string]bool{}
	source.Mirrors(func(m MirrorSample) {
		if name := valid(m.Middleware); !mirrors[name] {
			mirrors[name] = true
			s.counter(mirrorSent, uint64(m.Sent), name)
			s.counter(mirrorShed, uint64(m.Shed), name)
		}
	})
	keys := map[string]bool{}
	source.Keys(func(k KeysSample) {
		if name := valid(k.Middleware); !keys[name] {
			keys[name] = true
			s.keys(name, &k)
		}
	})
	certificates := map[[2]string]bool{}
	source.Certificates(func(c CertificateSample) {
		key := [2]string{valid(c.EntryPoint), valid(c.File)}
		if !certificates[key] {
			certificates[key] = true
			s.gauge(tlsCertificateExpiry, float64(c.Expires.Unix()), key[0], key[1], valid(c.Name))
		}
	})
	s.process(source.Process())
}

func (s scrape) server(service, name string, v *ServerSample) {
	s.counter(serverRequests, v.Succeeded, service, name, "success")
	s.counter(serverRequests, v.Failed, service, name, "failure")
	s.gauge(serverUp, truth(v.Up), service, name)
	s.gauge(serverEjected, truth(v.Ejected), service, name)
	s.gauge(serverDraining, truth(v.Draining), service, name)
	s.gauge(serverWeight, v.Weight, service, name)
	s.gauge(serverInFlight, float64(v.InFlight), service, name)
	s.gauge(serverOpenConnections, float64(v.Open), service, name)
	s.gauge(serverIdleConnections, float64(v.Idle), service, name)
}

func (s scrape) keys(middleware string, k *KeysSample) {
	s.counter(keysFetches, k.Fetched, middleware, success.String())
	s.counter(keysFetches, k.Failed, middleware, failure.String())
	last := 0.0
	if !k.Last.IsZero() {
		last = float64(k.Last.UnixMilli()) / 1e3
	}
	s.gauge(keysLastFetch, last, middleware)
}

func (s scrape) process(p ProcessSample) {
	s.gauge(oldSnapshots, float64(p.OldSnapshots))
	s.gauge(overloadLevel, float64(p.Overload))
	s.gauge(memoryUsed, float64(p.MemoryUsed))
	s.gauge(memoryLimit, float64(p.MemoryLimit))
	s.counter(invariantsBroken, p.InvariantsBroken)
}

// truth is a condition as a gauge.
func truth(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}
