package engine

import (
	"maps"
	"slices"

	"traffic_management/config"
	"traffic_management/engine/exchange"
	"traffic_management/mw"
	"traffic_management/telemetry"
)

// servicesOf are the services of a configuration by name, also those that middlewares stand for.
func servicesOf(c *config.Config) map[string]*config.Service {
	all := maps.Clone(c.Services)
	for name, m := range c.Middlewares {
		if m.ForwardAuth != nil {
			all[config.ForwardAuthService(name)] = m.ForwardAuth.Service()
		}
	}
	return all
}

func (b *builder) forwardAuth(name string, m *config.Middleware) (exchange.Filter, error) {
	f := m.ForwardAuth
	s := server{url: f.Address.Server}
	return mw.NewForwardAuth(mw.ForwardAuthOptions{Service: b.known.services[config.ForwardAuthService(name)],
		Authority: s.host(), Path: f.Address.Path, Query: f.Address.Query, Timeout: f.Timeout, RequestHeaders: f.RequestHeaders,
		ResponseHeaders: f.ResponseHeaders, TrustForwardHeader: f.TrustForwardHeader})
}

func (b *builder) errorPages(_ string, m *config.Middleware) (exchange.Filter, error) {
	e := m.ErrorPages
	return mw.NewErrorPages(mw.ErrorPagesOptions{Statuses: statusSet(e.Status), Service: b.known.services[e.Service], Path: e.Path})
}

func (b *builder) buffering(_ string, m *config.Middleware) (exchange.Filter, error) {
	return mw.NewBuffering(mw.BufferingOptions{MaxRequestBody: m.Buffering.MaxRequestBody,
		MaxResponseBody: m.Buffering.MaxResponseBody})
}

func (b *builder) mirror(name string, m *config.Middleware) (exchange.Filter, error) {
	return limitOf(b, name, mw.MirrorOptions{Service: b.known.services[m.Mirror.Service], Percent: m.Mirror.Percent}, mw.NewMirror)
}

// mirrors are the filters that copy requests, by name.
func (b *builder) mirrors() map[string]*mw.Mirror {
	all := map[string]*mw.Mirror{}
	for name, f := range b.filters {
		if m, ok := f.(*mw.Mirror); ok {
			all[name] = m
		}
	}
	return all
}

// Mirrors is the telemetry.Source's.
func (s source) Mirrors(yield func(telemetry.MirrorSample)) {
	state := s.current()
	if state == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(state.snapshot.mirrors)) {
		m := state.snapshot.mirrors[name]
		yield(telemetry.MirrorSample{Middleware: name, Sent: m.Sent(), Shed: m.Shed()})
	}
}
