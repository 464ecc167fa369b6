package engine

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"traffic_management/engine/reactor"
	"traffic_management/upstream"
)

// firstLookups is how long starting waits for the addresses of names. A service whose names have none by then answers
// 503 until they do.
const firstLookups = 3 * time.Second

// names gives services their servers, and keeps those behind names at the addresses that the names have.
type names struct {
	services []*service // immutable
	loops    int        // immutable
	resolver *upstream.Resolver

	mu      sync.Mutex
	targets map[targetKey]*upstream.Target // in use; a server keeps its target while its address stays
}

// targetKey is what makes a server the same one after a change of others.
type targetKey struct {
	service *service
	server  int
	addr    netip.Addr
}

// resolve gives every service its servers and begins to watch the names among them.
func (e *Engine) resolve(ctx context.Context) *names {
	n := &names{services: e.snapshot.services, loops: e.options.Loops, targets: map[targetKey]*upstream.Target{}}
	n.resolver = upstream.NewResolver(upstream.SystemLookup, upstream.SystemSleep, 0, func(host string, addrs []netip.Addr) {
		e.logger.Info("addresses of a name", "name", host, "addresses", addrs)
		n.update(host)
	})
	var hosts []string
	for _, v := range n.services {
		for i := range v.servers {
			if _, ok := v.servers[i].fixed(); !ok {
				hosts = append(hosts, v.servers[i].url.Host)
			}
		}
		n.set(v)
	}
	ctx, cancel := context.WithTimeout(ctx, firstLookups)
	defer cancel()
	n.resolver.Watch(ctx, hosts...)
	for _, host := range hosts {
		if addrs, err := n.resolver.Addresses(host); len(addrs) == 0 {
			e.logger.Warn("a server's name has no address yet", "name", host, "error", err)
		}
	}
	return n
}

// update follows a change of a name's addresses, on the resolver's goroutine.
func (n *names) update(host string) {
	for _, v := range n.services {
		for i := range v.servers {
			if v.servers[i].url.Host == host {
				n.set(v)
				break
			}
		}
	}
}

// set gives a service the servers it has now.
func (n *names) set(v *service) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var set []*upstream.Target
	for i := range v.servers {
		s := &v.servers[i]
		if addr, ok := s.fixed(); ok {
			set = append(set, n.target(targetKey{v, i, addr.TCP.Addr()}, s.url.String(), addr))
			continue
		}
		addrs, _ := n.resolver.Addresses(s.url.Host)
		for _, ip := range addrs {
			addr := reactor.Addr{TCP: netip.AddrPortFrom(ip, s.url.Port)}
			set = append(set, n.target(targetKey{v, i, ip}, s.url.String()+" "+addr.String(), addr))
		}
	}
	inUse := map[*upstream.Target]bool{}
	for _, t := range set {
		inUse[t] = true
	}
	for key, t := range n.targets {
		if key.service == v && !inUse[t] {
			delete(n.targets, key)
		}
	}
	v.SetTargets(set)
}

// target returns the target of a server at an address, the same as long as it is in use.
func (n *names) target(key targetKey, id string, addr reactor.Addr) *upstream.Target {
	t := n.targets[key]
	if t == nil {
		s := &key.service.servers[key.server]
		t = upstream.NewTarget(id, addr, s.host(), n.loops)
		t.SetWeight(s.weight)
		n.targets[key] = t
	}
	return t
}

func (n *names) stop() { n.resolver.Stop() }
