package engine

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"traffic_management/engine/reactor"
	"traffic_management/upstream"
)

// firstLookups is how long a start or a reload waits for the addresses of names. A service whose names have none by
// then answers 503 until they do.
const firstLookups = 3 * time.Second

// names gives services their servers, keeps those behind names at the addresses that the names have, and has them
// checked. Over reloads a server keeps its target, with its connections and all that is known of its health.
type names struct {
	loops    int          // immutable
	logger   *slog.Logger // immutable
	resolver *upstream.Resolver
	checker  *upstream.Checker

	mu        sync.Mutex
	services  map[string]*service // by name: those in use, also by nothing but exchanges of old configurations
	targets   map[targetKey]*upstream.Target
	overrides map[*upstream.Target]override
}

// targetKey is what makes a server the same one after a change of others.
type targetKey struct {
	service string
	url     string
	nth     int // of the servers of this URL
	addr    netip.Addr
}

func newNames(o *Options) *names {
	lookup, sleep := o.lookup, o.sleep
	if lookup == nil {
		lookup, sleep = upstream.SystemLookup, upstream.SystemSleep
	}
	n := &names{loops: o.Loops, logger: o.Logger, services: map[string]*service{}, targets: map[targetKey]*upstream.Target{},
		overrides: map[*upstream.Target]override{}}
	n.checker = upstream.NewChecker(reactor.Clock, upstream.SystemSleep)
	n.resolver = upstream.NewResolver(lookup, sleep, 0, func(host string, addrs []netip.Addr) {
		n.logger.Info("addresses of a name", "name", host, "addresses", addrs)
		n.update(host)
	})
	return n
}

// watch finds the addresses of the servers of services that are about to be used. Either use or unwatch follows for each.
func (n *names) watch(ctx context.Context, services []*service) {
	ctx, cancel := context.WithTimeout(ctx, firstLookups)
	defer cancel()
	var hosts []string
	for _, v := range services {
		hosts = append(hosts, v.hosts()...)
	}
	n.resolver.Watch(ctx, hosts...)
	for _, host := range hosts {
		if addrs, err := n.resolver.Addresses(host); len(addrs) == 0 {
			n.logger.Warn("a server's name has no address yet", "name", host, "error", err)
		}
	}
}

func (n *names) unwatch(v *service) { n.resolver.Unwatch(v.hosts()...) }

// use gives a service the settings and servers that it is described with, instead of those before. It ends overrides.
func (n *names) use(v *service) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !sameOptions(v.options, v.Options()) {
		v.SetOptions(v.options)
	}
	for _, t := range v.Targets() {
		delete(n.overrides, t)
	}
	before := n.services[v.Name]
	n.services[v.Name] = v
	n.set(v)
	n.checker.Set(v.Service, v.health)
	if before != nil {
		n.unwatch(before)
	}
}

// sameOptions compares settings. Those of TLS hold sessions, which change all the time: the same ones are the same object.
func sameOptions(a, b *upstream.Options) bool {
	x, y := *a, *b
	x.TLS, y.TLS = nil, nil
	return a.TLS == b.TLS && reflect.DeepEqual(x, y)
}

// secure gives a service that is in use another TLS for connections that are opened from now on.
func (n *names) secure(name string, c *tls.Config) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if v := n.services[name]; v != nil {
		o := *v.Options()
		o.TLS = c
		v.SetOptions(&o)
	}
}

// forget takes the servers from a service that nothing uses any more.
func (n *names) forget(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	v := n.services[name]
	delete(n.services, name)
	n.checker.Set(v.Service, nil)
	n.set(&service{Service: v.Service})
	n.unwatch(v)
}

// update follows a change of a name's addresses, on the resolver's goroutine.
func (n *names) update(host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, v := range n.services {
		if slices.Contains(v.hosts(), host) {
			n.set(v)
		}
	}
}

// set gives a service the servers it has now; n.mu is held.
func (n *names) set(v *service) {
	var set []*upstream.Target
	inUse := map[*upstream.Target]bool{}
	add := func(s *server, nth int, id string, addr reactor.Addr) {
		if nth > 0 { // the same URL once more
			id += " #" + strconv.Itoa(nth+1)
		}
		t := n.target(targetKey{v.Name, s.url.String(), nth, addr.TCP.Addr()}, s, id, addr)
		set = append(set, t)
		inUse[t] = true
	}
	seen := map[string]int{}
	for i := range v.servers {
		s := &v.servers[i]
		url := s.url.String()
		nth := seen[url]
		seen[url]++
		if addr, ok := s.fixed(); ok {
			add(s, nth, url, addr)
			continue
		}
		addrs, _ := n.resolver.Addresses(s.url.Host)
		for _, ip := range addrs {
			addr := reactor.Addr{TCP: netip.AddrPortFrom(ip, s.url.Port)}
			add(s, nth, url+" "+addr.String(), addr)
		}
	}
	for key, t := range n.targets {
		if key.service == v.Name && !inUse[t] {
			delete(n.targets, key)
			delete(n.overrides, t)
		}
	}
	if !slices.Equal(set, v.Targets()) {
		v.SetTargets(set)
	}
}

// target returns the target of a server at an address, the same as long as it is in use; n.mu is held.
func (n *names) target(key targetKey, s *server, id string, addr reactor.Addr) *upstream.Target {
	t := n.targets[key]
	if t == nil {
		t = upstream.NewTarget(id, addr, s.host(), n.loops)
		t.Protocol = protocols[s.url.Scheme]
		n.targets[key] = t
	}
	t.SetBackup(s.backup)
	if _, ok := n.overrides[t]; !ok {
		t.SetWeight(s.weight)
		t.SetDraining(false)
	}
	return t
}

func (n *names) stop() {
	n.checker.Stop()
	n.resolver.Stop()
}
