package engine

import (
	"errors"
	"maps"
	"net/netip"
	"slices"

	"traffic_management/codec/h1"
	"traffic_management/config"
	"traffic_management/engine/exchange"
	"traffic_management/engine/frontend"
	"traffic_management/engine/reactor"
	"traffic_management/routing"
	"traffic_management/upstream"
)

// snapshot is a configuration compiled for the loops. It is immutable but for the servers behind names, which the
// services take from the resolver.
type snapshot struct {
	entryPoints []*entryPoint     // by name
	routes      []*exchange.Route // by exchange.Route.ID
	services    []*service        // by name
	conflicts   []string          // what is odd about the routers, for the log
}

// entryPoint is one entry point, without its sockets.
type entryPoint struct {
	name           string
	address        string
	maxConnections int
	env            *exchange.Env
	settings       *frontend.Settings
}

// service is one service and the servers it was configured with.
type service struct {
	*upstream.Service
	servers []server
}

// server is one configured server; a name stands for any number of addresses.
type server struct {
	url    config.ServerURL
	weight int
}

// fixed is the server's address when no name has to be resolved for it.
func (s *server) fixed() (reactor.Addr, bool) {
	if s.url.Path != "" {
		return reactor.Addr{Path: s.url.Path}, true
	}
	ip, err := netip.ParseAddr(s.url.Host)
	return reactor.Addr{TCP: netip.AddrPortFrom(ip, s.url.Port)}, err == nil
}

// responseLimits bounds the response heads of servers. They are configured by nobody: a server is trusted more than a
// client, and many send large heads.
var responseLimits = h1.Limits{HeadBytes: 64 << 10, Fields: 256}

// build compiles a configuration. The errors are of config.Errors, all at once.
func build(c *config.Config) (*snapshot, error) {
	s := &snapshot{}
	byName := map[string]*upstream.Service{}
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		v := buildService(name, c.Services[name])
		s.services = append(s.services, v)
		byName[name] = v.Service
	}
	var errs config.Errors
	entries := make(map[string][]routing.Entry[*exchange.Route])
	for _, name := range slices.Sorted(maps.Keys(c.Routers)) {
		r := c.Routers[name]
		rule, err := routing.Parse(r.Rule)
		if err != nil {
			errs = append(errs, ruleError(c, name, err))
			continue
		}
		route := &exchange.Route{Name: name, Service: byName[r.Service], ID: len(s.routes)}
		s.routes = append(s.routes, route)
		for _, e := range r.EntryPoints {
			entries[e] = append(entries[e], routing.Entry[*exchange.Route]{
				Name: name, Rule: rule, Priority: r.Priority, Value: route})
		}
	}
	if len(errs) > 0 {
		errs.Sort()
		return nil, errs
	}
	for _, name := range slices.Sorted(maps.Keys(c.EntryPoints)) {
		e := buildEntryPoint(name, c.EntryPoints[name])
		e.env.EntryPoint = len(s.entryPoints)
		e.env.Table = routing.NewTable(entries[name])
		s.entryPoints = append(s.entryPoints, e)
		for _, conflict := range routing.Conflicts(entries[name]) {
			s.conflicts = append(s.conflicts, "entry point "+name+": "+conflict.Text)
		}
	}
	return s, nil
}

// Check finds what Load cannot know to be wrong with a configuration: rules that do not parse, an error of
// config.Errors, and, as warnings, routers that can never be reached or that only their names put in order.
func Check(c *config.Config) (warnings []string, err error) {
	s, err := build(c)
	if err != nil {
		return nil, err
	}
	return s.conflicts, nil
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

func buildService(name string, c *config.Service) *service {
	strategy, err := upstream.ParseStrategy(string(c.LoadBalancer.Strategy))
	if err != nil {
		panic("engine: a strategy that config takes is not known: " + err.Error())
	}
	v := &service{Service: upstream.NewService(name, &upstream.Options{
		Strategy:       strategy,
		ConnectTimeout: c.Timeouts.Connect,
		RequestTimeout: c.Timeouts.Request,
		ResponseIdle:   c.Timeouts.ResponseIdle,
		QueueTimeout:   c.Timeouts.Queue,
		IdleTimeout:    c.Pool.IdleTimeout,
		MaxIdle:        c.Pool.MaxIdlePerServer,
		MaxConnections: c.Pool.MaxConnectionsPerServer,
		PassHost:       c.PassHostHeader,
		HeadLimits:     responseLimits,
	}, nil)}
	for _, s := range c.Servers {
		v.servers = append(v.servers, server{url: s.URL, weight: s.Weight})
	}
	return v
}

func buildEntryPoint(name string, c *config.EntryPoint) *entryPoint {
	alias := map[config.AliasHeaders]exchange.AliasPolicy{
		config.AliasDrop: exchange.AliasDrop, config.AliasReject: exchange.AliasReject, config.AliasKeep: exchange.AliasKeep}
	h := &c.HTTP
	return &entryPoint{
		name:           name,
		address:        c.Address.String(),
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
		},
	}
}

// host is the server's own Host field.
func (s *server) host() string {
	switch {
	case s.url.Path != "":
		return "localhost"
	case s.url.Port == 80:
		return hostOnly(s.url.Host)
	}
	return s.url.Address.String()
}

// hostOnly is a host as a Host field has it, an IPv6 address in brackets.
func hostOnly(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		return "[" + host + "]"
	}
	return host
}
