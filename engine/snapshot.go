package engine

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"traffic_management/codec/h1"
	"traffic_management/codec/h2"
	"traffic_management/config"
	"traffic_management/engine/certs"
	"traffic_management/engine/exchange"
	"traffic_management/engine/frontend"
	"traffic_management/mw"
	"traffic_management/routing"
)

// snapshot is a configuration compiled for the loops. It is immutable but for the servers behind names, which the
// services take from the resolver.
type snapshot struct {
	entryPoints []*entryPoint // by name
	services    []*service    // by name, those that middlewares stand for included
	mirrors     map[string]*mw.Mirror
	fetched     map[string]*mw.Keys // by name of the middleware
	warnings    []string            // what is odd about routers and certificates, for the log
	secured     secured
	credentials map[string]refreshable // that were read from files, by name of the middleware
}

// entryPoint is one entry point, without its sockets.
type entryPoint struct {
	name           string
	address        config.Address
	maxConnections int
	env            *exchange.Env // to be copied for each loop
	settings       *frontend.Settings
	tls            *frontend.TLS // nil: clear text
	conflicts      []routing.Conflict
}

// build compiles a configuration with what the catalogue knows of those before, and enters what is new to it. own are the
// kinds of middlewares that the program brings. The errors are of config.Errors, all at once.
func build(c *config.Config, known *catalog, own Middlewares) (*snapshot, error) {
	services := servicesOf(c)
	with, errs := secure(c, services, known.keeper)
	s := &snapshot{secured: with}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		s.services = append(s.services, buildService(name, services[name], known, s.secured.clients[name]))
	}
	b := &builder{config: c, known: known, own: own}
	b.makeFilters()
	s.mirrors, s.fetched = b.mirrors(), b.fetch
	s.credentials = refreshables(b.filters)
	entries := make(map[string][]routing.Entry[*exchange.Route])
	for _, name := range slices.Sorted(maps.Keys(c.Routers)) {
		r := c.Routers[name]
		rule, err := routing.Parse(r.Rule)
		if err != nil {
			errs = append(errs, ruleError(c, name, err))
			continue
		}
		for e, route := range b.routes(name) {
			entries[e] = append(entries[e], routing.Entry[*exchange.Route]{
				Name: name, Rule: rule, Priority: r.Priority, Value: route})
		}
	}
	if errs = append(errs, b.errs...); len(errs) > 0 {
		errs.Sort()
		return nil, errs
	}
	for _, name := range slices.Sorted(maps.Keys(c.EntryPoints)) {
		e := buildEntryPoint(name, c.EntryPoints[name])
		e.env.EntryPoint = known.entryPoints.of(name)
		e.env.Table = routing.NewTable(entries[name])
		if server := s.secured.servers[name]; server != nil {
			e.tls = &frontend.TLS{Config: server.Config(), HandshakeTimeout: c.EntryPoints[name].TLS.HandshakeTimeout}
			e.env.Hosts = server // also where all hosts have the same options: a reload may have given them others
		}
		s.entryPoints = append(s.entryPoints, e)
		e.conflicts = routing.Conflicts(entries[name])
		for _, conflict := range e.conflicts {
			s.warnings = append(s.warnings, "entry point "+name+": "+conflict.Text)
		}
	}
	s.warnings = append(s.warnings, s.secured.warnings(time.Now())...)
	return s, nil
}

// Check finds what Load cannot know to be wrong with a configuration: rules that do not parse, and certificates and
// settings of middlewares that cannot be used, errors of config.Errors, and, as warnings, routers that can never be reached
// or that only their names put in order, and certificates that have expired. own is Options.Middlewares.
func Check(c *config.Config, own Middlewares) (warnings []string, err error) {
	s, err := build(c, newCatalog(nil, certs.NewKeeper(slog.New(slog.DiscardHandler), nil, nil)), own)
	if err != nil {
		return nil, err
	}
	return s.warnings, nil
}

// ruleError places an error of a router's rule in the file.
func ruleError(c *config.Config, router string, err error) config.Error {
	key := "routers." + router + ".rule"
	e := config.Error{Position: c.Position(key), Key: key, Msg: err.Error()}
	if syntax := (*routing.SyntaxError)(nil); errors.As(err, &syntax) && syntax.Line == 1 {
		e.Column += syntax.Column - 1
	}
	return e
}

// maxBurst is how many requests of one client's HTTP/2 connection begin before others have their turn: what they cost,
// where each opens a connection to a server and is reset, stays below a millisecond.
const maxBurst = 16

func buildEntryPoint(name string, c *config.EntryPoint) *entryPoint {
	alias := map[config.AliasHeaders]exchange.AliasPolicy{
		config.AliasDrop: exchange.AliasDrop, config.AliasReject: exchange.AliasReject, config.AliasKeep: exchange.AliasKeep}
	h := &c.HTTP
	return &entryPoint{
		name:           name,
		address:        c.Address,
		maxConnections: c.MaxConnections,
		env: &exchange.Env{
			Trusted:  c.ForwardedHeaders.TrustedIPs,
			Alias:    alias[h.AliasHeaders],
			MaxBody:  h.MaxBodyBytes,
			Upgrades: h.UpgradeProtocols,
		},
		settings: &frontend.Settings{
			HeaderTimeout: h.HeaderTimeout,
			BodyIdle:      h.BodyIdleTimeout,
			BodyGrace:     h.BodyGrace,
			BodyMinRate:   h.BodyMinBytesPerSecond,
			IdleTimeout:   h.IdleTimeout,
			WriteTimeout:  h.WriteTimeout,
			TunnelIdle:    h.TunnelIdleTimeout,
			Limits:        h1.Limits{HeadBytes: h.MaxHeadBytes, Fields: h.MaxHeaders},
			MaxRequests:   int(h.MaxRequestsPerConnection),
			HTTP2: &h2.Config{
				MaxStreams:      h.HTTP2.MaxConcurrentStreams,
				StreamWindow:    h.HTTP2.InitialWindow,
				ConnWindow:      h.HTTP2.ConnectionWindow,
				MaxHeadBytes:    h.MaxHeadBytes,
				MaxFields:       h.MaxHeaders,
				MaxBurst:        maxBurst,
				ExtendedConnect: slices.Contains(h.UpgradeProtocols, "websocket"),
				WriteStall:      h.WriteTimeout,
			},
		},
	}
}
