package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"traffic_management/config"
	"traffic_management/engine/exchange"
	"traffic_management/mw"
	"traffic_management/upstream"
)

// Middlewares are kinds of middlewares that a program brings beside those of the proxy, by the key that they have in a
// file. Immutable once given to New.
type Middlewares map[string]NewMiddleware

// NewMiddleware makes the filter of one middleware of a configuration. decode stores its settings in a pointer, as
// config.Custom.Decode does. Errors are told with the place in the file. It is called at every load of a configuration,
// also of one that does not come into force, so it starts nothing that would have to be stopped.
type NewMiddleware func(decode func(v any) error) (exchange.Filter, error)

// Kinds are the keys in order, for config.Load and config.Parse.
func (m Middlewares) Kinds() []string { return slices.Sorted(maps.Keys(m)) }

// check finds kinds that files could never mean.
func (m Middlewares) check() error {
	for _, kind := range m.Kinds() {
		if slices.Contains(config.Kinds(), kind) {
			return fmt.Errorf("the proxy has a kind of middleware of its own that is called %q", kind)
		}
	}
	return nil
}

// builder makes the routes of one configuration.
type builder struct {
	config  *config.Config
	known   *catalog
	own     Middlewares
	filters map[string]exchange.Filter // by name of the middleware; all routes that name it share one
	keys    map[keyOrigin]*mw.Keys     // that are fetched
	fetch   map[string]*mw.Keys        // the same, by name of the middleware
	errs    config.Errors
}

// makers make the filter of a middleware, by its kind. Retries and circuit breakers are the exchange's own; chains are
// taken apart before.
var makers = map[string]func(b *builder, name string, m *config.Middleware) (exchange.Filter, error){
	"rate_limit":      (*builder).rateLimit,
	"in_flight_limit": (*builder).inFlightLimit,
	"ip_allow_list":   (*builder).ipAllowList,
	"compress":        (*builder).compress,
	"headers":         (*builder).headers,
	"strip_prefix":    (*builder).stripPrefix,
	"add_prefix":      (*builder).addPrefix,
	"replace_path":    (*builder).replacePath,
	"redirect_scheme": (*builder).redirectScheme,
	"redirect_regex":  (*builder).redirectRegex,
	"forward_auth":    (*builder).forwardAuth,
	"error_pages":     (*builder).errorPages,
	"buffering":       (*builder).buffering,
	"mirror":          (*builder).mirror,
	"basic_auth":      (*builder).basicAuth,
	"jwt":             (*builder).jwt,
}

// makeFilters makes the filters of all middlewares, also of those that no router names: their faults are told, too.
func (b *builder) makeFilters() {
	b.filters, b.keys, b.fetch = map[string]exchange.Filter{}, map[keyOrigin]*mw.Keys{}, map[string]*mw.Keys{}
	for _, name := range slices.Sorted(maps.Keys(b.config.Middlewares)) {
		m := b.config.Middlewares[name]
		var f exchange.Filter
		var err error
		switch kind := m.Kind(); {
		case m.Custom != nil:
			f, err = b.custom(m.Custom)
		case makers[kind] != nil:
			f, err = makers[kind](b, name, m)
		default:
			continue
		}
		if err != nil {
			b.fault("middlewares."+name+"."+m.Kind(), err)
			continue
		}
		b.filters[name] = f
	}
	b.forgetLimits()
	b.known.keys = b.keys
}

// fault notes an error of the key, or those of config.Errors, which have places of their own.
func (b *builder) fault(key string, err error) {
	var list config.Errors
	if !errors.As(err, &list) {
		list = config.Errors{{Position: b.config.Position(key), Key: key, Msg: err.Error()}}
	}
	b.errs = append(b.errs, list...)
}

func (b *builder) custom(c *config.Custom) (exchange.Filter, error) {
	make := b.own[c.Kind]
	if make == nil {
		return nil, fmt.Errorf("the program was not given a middleware of the kind %q", c.Kind)
	}
	f, err := make(c.Decode)
	if err == nil && f == nil {
		return nil, fmt.Errorf("the program made no filter of the kind %q", c.Kind)
	}
	return f, err
}

// routes are where a router leads, by entry point. Entry points that add nothing, or the same, share one.
func (b *builder) routes(router string) map[string]*exchange.Route {
	r := b.config.Routers[router]
	byFlow, byEntry := map[string]*exchange.Route{}, map[string]*exchange.Route{}
	for _, e := range r.EntryPoints {
		flow := b.config.Flow(e, router)
		key := strings.Join(flow, " ")
		if byFlow[key] == nil {
			byFlow[key] = &exchange.Route{Name: router, Service: b.known.services[r.Service],
				ID: b.known.routes.of(routeName{router, r.Service})}
			b.equip(byFlow[key], flow)
		}
		byEntry[e] = byFlow[key]
	}
	return byEntry
}

// equip gives a route middlewares by name. Of two retries or circuit breakers the later holds: the router's own.
func (b *builder) equip(route *exchange.Route, flow []string) {
	var filters []exchange.Filter
	for _, name := range flow {
		m := b.config.Middlewares[name]
		if f := b.filters[name]; f != nil {
			filters = append(filters, f)
		}
		if r := m.Retry; r != nil {
			route.Retry = &exchange.RetryPolicy{
				Attempts:        r.Attempts,
				InitialInterval: r.InitialInterval,
				MaxInterval:     r.MaxInterval,
				AttemptTimeout:  r.AttemptTimeout,
				BudgetPercent:   r.BudgetPercent,
				OnStatus:        statusSet(r.OnStatus),
				NonIdempotent:   r.NonIdempotent,
				MaxBody:         r.MaxBody,
			}
		}
		if b := m.CircuitBreaker; b != nil {
			route.Breaker = route.Service.Breaker(upstream.BreakerPolicy{
				Name:             name,
				FailureThreshold: b.FailureThreshold,
				Recovery:         b.Recovery,
				FailureRatio:     b.FailureRatio,
				MinRequests:      b.MinRequests,
				Window:           b.Window,
				HalfOpenRequests: b.HalfOpenRequests,
				Failures:         statusSet(b.StatusCodes),
			})
		}
	}
	route.Chain = exchange.NewChain(filters...)
}
