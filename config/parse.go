package config

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// Load is Parse of a file. The error is Errors, or that of reading the file.
func Load(path string, env func(string) (string, bool), kinds ...string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(path, data, env, kinds...)
}

// Parse reads one configuration document. name stands for the file in positions; env looks up what ${env:NAME} names,
// as os.LookupEnv does; kinds are those of middlewares that the program brings. The error is Errors: everything that is
// wrong, by position. data is not kept.
func Parse(name string, data []byte, env func(string) (string, bool), kinds ...string) (*Config, error) {
	root, err := parseDocument(name, data)
	if err != nil {
		return nil, Errors{*err}
	}
	c := &Config{file: name, positions: map[string]Position{}}
	l := &loader{file: name, env: env, kinds: kinds, positions: c.positions, told: map[fault]bool{}}
	top := section(c)
	top.reset()
	if root == nil || root.ShortTag() == "!!null" {
		l.fail(site{pos: Position{name, 1, 1}}, "expected a mapping, got an empty document")
	} else {
		top.load(l, site{pos: l.position(root)}, resolve(root))
	}
	l.checkAddresses(c)
	l.checkTLS(c)
	l.checkServices(c)
	l.checkMiddlewares(c)
	l.checkChains(c)
	l.checkRouters(c)
	l.checkAdmin(c)
	l.checkShutdown(c)
	if len(l.errs) > 0 {
		l.errs.Sort()
		return nil, l.errs
	}
	c.complete()
	return c, nil
}

// complete puts in the defaults that depend on other keys.
func (c *Config) complete() {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(c.EntryPoints)) {
		if c.EntryPoints[name].Protocol == ProtocolHTTP {
			all = append(all, name)
		}
	}
	for _, r := range c.Routers {
		if len(r.EntryPoints) == 0 {
			r.EntryPoints = all
		}
	}
	for _, m := range c.Middlewares {
		if r := m.RateLimit; r != nil && r.Burst == 0 {
			r.Burst = r.Average
		}
	}
	if c.Shutdown.TunnelTimeout == unset {
		c.Shutdown.TunnelTimeout = c.Shutdown.DrainTimeout
	}
}

// checkAddresses tells of addresses that more than one listener is to have. Port 0 is another port each time.
func (l *loader) checkAddresses(c *Config) {
	listeners := map[string]Address{} // by key path
	for name, e := range c.EntryPoints {
		listeners["entrypoints."+name+".address"] = e.Address
	}
	if c.Metrics != nil {
		listeners["metrics.address"] = c.Metrics.Address
	}
	if c.Admin != nil {
		listeners["admin.address"] = c.Admin.Address
	}
	paths := slices.SortedFunc(maps.Keys(listeners), func(a, b string) int {
		return cmp.Or(comparePositions(l.positions[a], l.positions[b]), strings.Compare(a, b))
	})
	takers := map[Address]string{}
	for _, path := range paths {
		a := listeners[path]
		taker, taken := takers[a]
		switch {
		case a.Path == "" && a.Port == 0: // so is an address that was not read
		case taken:
			l.failAt(l.positions[path], site{path: path}, "%s is taken by %s on line %d", a, taker, l.positions[taker].Line)
		default:
			takers[a] = path
		}
	}
}

// checkRouters tells of names in routers and entry points that name nothing.
func (l *loader) checkRouters(c *Config) {
	for _, name := range slices.Sorted(maps.Keys(c.EntryPoints)) {
		l.checkMiddlewareNames("entrypoints."+name, c, c.EntryPoints[name].Middlewares)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Routers)) {
		r, path := c.Routers[name], "routers."+name
		for i, e := range r.EntryPoints {
			if _, ok := c.EntryPoints[e]; !ok && e != "" {
				l.unknownName(fmt.Sprintf("%s.entrypoints[%d]", path, i), "entry point", e, slices.Sorted(maps.Keys(c.EntryPoints)))
			}
		}
		if _, ok := c.Services[r.Service]; !ok && r.Service != "" {
			l.unknownName(path+".service", "service", r.Service, slices.Sorted(maps.Keys(c.Services)))
		}
		l.checkMiddlewareNames(path, c, r.Middlewares)
	}
}

func (l *loader) unknownName(path, what, name string, known []string) {
	hint := ""
	if near := nearest(name, known); near != "" {
		hint = fmt.Sprintf(", did you mean %q?", near)
	}
	l.wrong(path, "unknown %s %q%s", what, name, hint)
}
