package upstream

import "slices"

// local is what one loop has of one service. It belongs to the loop.
type local struct {
	service  *Service
	meter    Meter
	setup    *setup // what the rest was made from
	balancer *balancer
	pools    []*pool // by position in setup.targets
	guards   []guard // of the breakers that were used since the setup changed
}

// guard is the parts of a breaker for the servers of a service.
type guard struct {
	of      *ServiceBreaker
	servers []*breaker // by position in local.pools
}

// adopt follows a change of the service's settings or servers. Pools of servers that stay are kept; the balancer is, too,
// unless what it was made from has changed.
func (l *local) adopt(p *Pools, u *setup) {
	was := l.setup
	l.setup, l.guards = u, nil
	if was == nil || !slices.Equal(was.targets, u.targets) {
		l.replacePools(p, u.targets)
	} else if was.options.Strategy == u.options.Strategy && was.table == u.table {
		return
	}
	var latencies []*latency
	for _, q := range l.pools {
		switch {
		case u.options.Strategy != PeakEWMA:
			q.latency = nil
		case q.latency == nil:
			q.latency = &latency{}
		}
		latencies = append(latencies, q.latency)
	}
	l.balancer = newBalancer(l.service, u, p.loop.Index(), p.seed, latencies)
}

// replacePools makes a pool for each server that has none, and retires those of servers that left.
func (l *local) replacePools(p *Pools, targets []*Target) {
	old := l.pools
	l.pools = make([]*pool, len(targets))
	for i, t := range targets {
		for j, q := range old {
			if q != nil && q.target == t {
				l.pools[i], old[j] = q, nil
			}
		}
		if l.pools[i] == nil {
			l.pools[i] = newPool(p, l, t)
		}
	}
	for _, q := range old {
		if q != nil {
			q.retire()
		}
	}
}

// pool is the pool of one server, nil when it is not in the set.
func (l *local) pool(t *Target) *pool {
	for _, q := range l.pools {
		if q.target == t {
			return q
		}
	}
	return nil
}

// servers are the parts of a breaker for the servers, by position.
func (l *local) servers(b *ServiceBreaker) []*breaker {
	for i := range l.guards {
		if l.guards[i].of == b {
			return l.guards[i].servers
		}
	}
	g := guard{of: b}
	for _, q := range l.pools {
		g.servers = append(g.servers, b.server(q.target))
	}
	l.guards = append(l.guards, g)
	return g.servers
}

// choose finds a server for an attempt and passes its breaker; -1 when there is none. broken says that there is one, but
// for its breaker.
func (l *local) choose(p *Pools, q *Query, a *Attempt) (at int, broken bool) {
	b := l.balancer
	v := &b.ask
	v.now, v.tried, v.lost, v.key, v.rnd, v.breakers = a.opened, q.Tried, q.Lost, q.Key, p.rnd.Uint64(), nil
	if q.Breaker != nil {
		v.breakers = l.servers(q.Breaker)
	}
	for {
		at = -1
		if q.Stick != nil {
			at = b.sticks(q.Stick)
		}
		if at < 0 {
			at = b.pick()
		}
		if at < 0 || v.breakers == nil {
			return at, at < 0 && v.breakers != nil && b.usable()
		}
		if a.pass = v.breakers[at].enter(a.opened); a.pass != Refused {
			a.breaker = v.breakers[at]
			return at, false
		}
		// Another loop took the last probe in this moment: takes says so from now on.
	}
}
