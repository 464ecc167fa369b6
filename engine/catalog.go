package engine

import (
	"maps"
	"slices"

	"traffic_management/engine/certs"
	"traffic_management/mw"
	"traffic_management/telemetry"
	"traffic_management/upstream"
)

// catalog gives what configurations name an identity that lasts over reloads: services and limits by name, and numbers for
// routes and entry points, by which loops find their counters. Numbers are never given twice, so that an exchange of an old
// configuration still finds its own. Not shared: a change works on a clone, which is taken over with the change.
type catalog struct {
	events      func(upstream.Event) // told what happens to servers; immutable
	keeper      *certs.Keeper        // immutable, shared by clones
	services    map[string]*upstream.Service
	limits      map[string]limit       // by name of the middleware
	passwords   *mw.Passwords          // immutable, shared by clones
	keys        map[keyOrigin]*mw.Keys // that are fetched
	routes      numbering[routeName]
	entryPoints numbering[string]
}

// routeName is what makes a route the same one.
type routeName struct{ router, service string }

// numbering numbers keys in the order they are first seen.
type numbering[K comparable] struct {
	keys    []K
	numbers map[K]int
}

func newCatalog(events func(upstream.Event), keeper *certs.Keeper) *catalog {
	return &catalog{
		events:      events,
		keeper:      keeper,
		services:    map[string]*upstream.Service{},
		limits:      map[string]limit{},
		passwords:   mw.NewPasswords(),
		routes:      numbering[routeName]{numbers: map[routeName]int{}},
		entryPoints: numbering[string]{numbers: map[string]int{}},
	}
}

func (c *catalog) clone() *catalog {
	return &catalog{events: c.events, keeper: c.keeper, services: maps.Clone(c.services),
		limits: maps.Clone(c.limits), passwords: c.passwords, keys: c.keys, routes: c.routes.clone(), entryPoints: c.entryPoints.clone()}
}

func (n *numbering[K]) clone() numbering[K] {
	return numbering[K]{slices.Clone(n.keys), maps.Clone(n.numbers)}
}

func (n *numbering[K]) of(key K) int {
	number, ok := n.numbers[key]
	if !ok {
		number = len(n.keys)
		n.keys = append(n.keys, key)
		n.numbers[key] = number
	}
	return number
}

// tables are one loop's counters by the catalogue's numbers; immutable.
type tables struct {
	routes   []*telemetry.RouteShard
	services []*telemetry.ServiceShard // of the route of the same number
	entries  []*telemetry.EntryPointShard
}

// tables finds the counters of one loop.
func (c *catalog) tables(loop int, r *telemetry.Registry) *tables {
	t := new(tables)
	for _, name := range c.routes.keys {
		t.routes = append(t.routes, r.Route(name.router, name.service).Shard(loop))
		t.services = append(t.services, r.Service(name.service).Shard(loop))
	}
	for _, name := range c.entryPoints.keys {
		t.entries = append(t.entries, r.EntryPoint(name).Shard(loop))
	}
	return t
}
