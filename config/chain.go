package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Chain is other middlewares under one name.
type Chain struct {
	Middlewares []string // names, in the order of a request; at least one
}

func (c *Chain) keys(o *object) {
	o.require("middlewares", list(&c.Middlewares, 1, name("the name of a middleware")),
		"the middlewares, in the order in which they are given a request; chains among them, too")
}

// Flow is what is done to the requests that come to a router by an entry point: the names of the entry point's
// middlewares and then the router's, in the order of a request, each chain replaced by what is in it.
func (c *Config) Flow(entryPoint, router string) []string {
	return c.flatten(c.flatten(nil, c.EntryPoints[entryPoint].Middlewares), c.Routers[router].Middlewares)
}

// flatten appends the names to flat, those of a chain in its place. No chain contains itself.
func (c *Config) flatten(flat, names []string) []string {
	for _, name := range names {
		if m := c.Middlewares[name]; m.Chain != nil {
			flat = c.flatten(flat, m.Chain.Middlewares)
		} else {
			flat = append(flat, name)
		}
	}
	return flat
}

// maxChain is how many middlewares a chain may come to, with those of chains in it.
const maxChain = 100

// alone are the kinds of which a request can have one at most: a second would not act.
var alone = []string{"retry", "circuit_breaker"}

// checkChains tells of names in chains that name nothing, and of chains that contain themselves or too much.
func (l *loader) checkChains(c *Config) {
	w := chainWalk{loader: l, config: c, state: map[string]walkState{}, size: map[string]int{}}
	for _, name := range slices.Sorted(maps.Keys(c.Middlewares)) {
		w.enter(name)
	}
}

// chainWalk goes through what chains contain, each once.
type chainWalk struct {
	*loader
	config *Config
	path   []string // from the chain it began with to the one it is in
	state  map[string]walkState
	size   map[string]int // what chains come to, of those behind
}

// walkState is how far the walk has come with a chain.
type walkState uint8

const (
	walkAhead  walkState = iota // not met
	walkInside                  // on the path
	walkBehind                  // all that is in it was met
)

func (s walkState) String() string { return [...]string{"ahead", "inside", "behind"}[s] }

func (w *chainWalk) enter(name string) {
	chain := w.config.Middlewares[name].Chain
	if chain == nil {
		w.size[name] = 1
	}
	if chain == nil || w.state[name] == walkBehind {
		return
	}
	size := 0
	w.state[name] = walkInside
	w.path = append(w.path, name)
	for i, member := range chain.Middlewares {
		at := fmt.Sprintf("middlewares.%s.chain.middlewares[%d]", name, i)
		_, known := w.config.Middlewares[member]
		switch {
		case member == "": // told
		case !known:
			w.unknownName(at, "middleware", member, slices.Sorted(maps.Keys(w.config.Middlewares)))
		case w.state[member] == walkInside:
			round := append(slices.Clone(w.path[slices.Index(w.path, member):]), member)
			w.wrong(at, "the chain contains itself: %s", strings.Join(round, " -> "))
		default:
			w.enter(member)
			size += w.size[member]
		}
	}
	if w.size[name] = min(size, maxChain); size > maxChain { // told once, not again where it is used
		w.wrong("middlewares."+name+".chain.middlewares", "more than %d middlewares, with those of the chains in it", maxChain)
	}
	w.path = w.path[:len(w.path)-1]
	w.state[name] = walkBehind
}

// checkMiddlewareNames tells of names in the list of a router or entry point that name nothing, and of a second one of the
// kinds that can act only once, also inside chains.
func (l *loader) checkMiddlewareNames(path string, c *Config, names []string) {
	first := map[string]string{} // name of the first of each kind
	var seen []string            // chains, so that one that contains itself ends
	var check func(at, name string)
	check = func(at, name string) {
		m := c.Middlewares[name]
		if m == nil {
			return
		}
		kind := m.Kind()
		if earlier, taken := first[kind]; taken && slices.Contains(alone, kind) {
			l.wrong(at, "a second %s, after %q", strings.ReplaceAll(kind, "_", " "), earlier)
			return
		}
		first[kind] = name
		if m.Chain != nil && !slices.Contains(seen, name) {
			seen = append(seen, name)
			for _, member := range m.Chain.Middlewares {
				check(at, member)
			}
		}
	}
	for i, name := range names {
		at := fmt.Sprintf("%s.middlewares[%d]", path, i)
		if _, ok := c.Middlewares[name]; !ok && name != "" {
			l.unknownName(at, "middleware", name, slices.Sorted(maps.Keys(c.Middlewares)))
			continue
		}
		check(at, name)
	}
}
