package telemetry

import (
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Registry holds every series of the process. Any goroutine may call its methods: they are for building a configuration
// and for scrapes, not for the hot path. What it returns lives as long as the registry, so that counters go on over
// reloads; series of routes that a reload removed stay until the process ends, as Prometheus expects of counters.
type Registry struct {
	// Immutable.
	numLoops int
	version  string
	names    Names
	loops    []*LoopShard
	log      *LogCounts
	handler  http.Handler

	source atomic.Pointer[Source] // nil before SetSource

	mu          sync.Mutex // guards what follows, to staples; never taken by a loop
	routes      map[routeKey]*Route
	entryPoints map[string]*EntryPoint
	services    map[string]*Service
	config      configState
	upgrades    tally
	reloads     tally // of certificates
	staples     tally // OCSP responses

	changing sync.Mutex // guards changes; a loop may take it, when a server or breaker changes
	changes  map[changeKey]uint64
}

// routeKey identifies a Route.
type routeKey struct{ router, service string }

// configState is what is known about loaded configurations.
type configState struct {
	succeeded, failed uint64
	last              loadResult
	lastSuccess       time.Time
}

// loadResult is how the last load of a configuration ended.
type loadResult uint8

const (
	loadNone loadResult = iota // none was loaded so far
	loadSuccess
	loadFailure
)

func (r loadResult) String() string { return [...]string{"none", "success", "failure"}[r] }

// Route is the series of one router with one service.
type Route struct {
	perLoop[RouteShard]
	key routeKey
}

// EntryPoint is the series of one entry point.
type EntryPoint struct {
	perLoop[EntryPointShard]
	name string
}

// Service is the series of one service.
type Service struct {
	perLoop[ServiceShard]
	name string
}

// Names are the values of labels for what others number: loops pass the index. One with an empty name is not exported.
// At most 32 of each kind.
type Names struct {
	Errors     []string // kinds of errors
	Handshakes []string // reasons for which TLS handshakes fail
	HTTP2      []string // reasons for which HTTP/2 connections are ended
}

// New makes a registry for this many event loops, with the collectors of the Go runtime and the process. version is the
// build's. More names than there is room for are a fault of the caller and panic.
func New(loops int, version string, names Names) *Registry {
	for _, list := range [...][]string{names.Errors, names.Handshakes, names.HTTP2} {
		if len(list) > maxKinds {
			panic(fmt.Sprintf("telemetry: there is no room for %d names: %q", len(list), list))
		}
	}
	r := &Registry{
		numLoops:    loops,
		version:     valid(version),
		names:       names,
		loops:       newPerLoop[LoopShard](loops),
		log:         new(LogCounts),
		routes:      make(map[routeKey]*Route),
		entryPoints: make(map[string]*EntryPoint),
		services:    make(map[string]*Service),
		changes:     make(map[changeKey]uint64),
	}
	r.handler = newHandler(r)
	return r
}

// Route returns the series of this router and service; the same pair always gets the same.
func (r *Registry) Route(router, service string) *Route {
	key := routeKey{valid(router), valid(service)}
	r.mu.Lock()
	defer r.mu.Unlock()
	route := r.routes[key]
	if route == nil {
		route = &Route{newPerLoop[RouteShard](r.numLoops), key}
		r.routes[key] = route
	}
	return route
}

// Requests is how many requests have ended, by class of the status code sent.
func (r *Registry) Requests() map[string]uint64 {
	routes, _, _, _, _ := r.snapshot()
	n := make(map[string]uint64, len(codeClasses))
	for i, class := range codeClasses {
		for _, route := range routes {
			n[class] += route.sum(func(s *RouteShard) *counter { return &s.codes[i] })
		}
	}
	return n
}

// Open is how many client connections are open now, and how many of them are tunnels.
func (e *EntryPoint) Open() (connections, tunnels int64) {
	closed := e.sum(func(s *EntryPointShard) *counter { return &s.closed })
	opened := e.sum(func(s *EntryPointShard) *counter { return &s.opened })
	tunnelsClosed := e.sum(func(s *EntryPointShard) *counter { return &s.tunnelsClosed })
	tunnelsOpened := e.sum(func(s *EntryPointShard) *counter { return &s.tunnelsOpened })
	return openNow(opened, closed), openNow(tunnelsOpened, tunnelsClosed)
}

// openNow is how many of opened have not closed. The two are read while loops go on: an unlucky order may show more ends
// than beginnings, which is none.
func openNow(opened, closed uint64) int64 { return max(int64(opened-closed), 0) }

// EntryPoint returns the series of the entry point of this name; the same name always gets the same.
func (r *Registry) EntryPoint(name string) *EntryPoint {
	name = valid(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entryPoints[name]
	if e == nil {
		e = &EntryPoint{newPerLoop[EntryPointShard](r.numLoops), name}
		r.entryPoints[name] = e
	}
	return e
}

// Service returns the series of the service of this name; the same name always gets the same.
func (r *Registry) Service(name string) *Service {
	name = valid(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.services[name]
	if s == nil {
		s = &Service{newPerLoop[ServiceShard](r.numLoops), name}
		r.services[name] = s
	}
	return s
}

// Loop returns the series of the loop of this index, from 0.
func (r *Registry) Loop(i int) *LoopShard { return r.loops[i] }

// AccessLog returns what the access log is to count in, whichever file it writes to.
func (r *Registry) AccessLog() *LogCounts { return r.log }

// ConfigLoaded notes that a configuration was taken (ok) or refused, at this time.
func (r *Registry) ConfigLoaded(ok bool, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !ok {
		r.config.failed++
		r.config.last = loadFailure
		return
	}
	r.config.succeeded++
	r.config.last = loadSuccess
	r.config.lastSuccess = at
}

// result is how an attempt at something ended.
type result uint8

const (
	success result = iota
	failure
	results
)

func (r result) String() string { return [...]string{"success", "failure"}[r] }

// tally counts attempts by result.
type tally [results]uint64

// tally counts one more attempt.
func (r *Registry) tally(t *tally, ok bool) {
	of := failure
	if ok {
		of = success
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t[of]++
}

// UpgradeEnded notes that a new process took over (ok), or that this one goes on because it did not.
func (r *Registry) UpgradeEnded(ok bool) { r.tally(&r.upgrades, ok) }

// CertificatesReloaded notes that changed files of certificates were taken (ok), or that one was refused.
func (r *Registry) CertificatesReloaded(ok bool) { r.tally(&r.reloads, ok) }

// StapleFetched notes that an OCSP response was got (ok), or not.
func (r *Registry) StapleFetched(ok bool) { r.tally(&r.staples, ok) }

// Describe sends the description of every series. It is for the Prometheus library.
func (r *Registry) Describe(out chan<- *prometheus.Desc) {
	for _, d := range descs {
		out <- d
	}
}

// Collect sends the value of every series, summed over the loops, which go on meanwhile. It is for the Prometheus
// library.
func (r *Registry) Collect(out chan<- prometheus.Metric) {
	routes, entryPoints, services, config, tallies := r.snapshot()
	s := scrape{out: out}
	s.gauge(buildInfo, 1, r.version, runtime.Version())
	s.config(config)
	for id, t := range tallies {
		for of, n := range t {
			s.counter(id, n, result(of).String())
		}
	}
	for _, e := range entryPoints {
		s.entryPoint(e, &r.names)
	}
	for _, route := range routes {
		s.route(route)
	}
	for _, svc := range services {
		s.service(svc, r.names.Errors)
	}
	for i, l := range r.loops {
		s.loop(i, l)
	}
	s.accessLog(r.log)
	if source := r.source.Load(); source != nil {
		s.now(r, *source)
	}
}
