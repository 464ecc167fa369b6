package engine

import (
	"context"

	"traffic_management/upstream"
)

// names keeps the servers behind names at the addresses that the names have.
type names struct{}

// resolve gives every service its servers.
func (e *Engine) resolve(context.Context) *names {
	for _, v := range e.snapshot.services {
		var set []*upstream.Target
		for i := range v.servers {
			s := &v.servers[i]
			if addr, ok := s.fixed(); ok {
				set = append(set, upstream.NewTarget(s.url.String(), addr, s.host(), s.weight, e.options.Loops))
			}
		}
		v.SetTargets(set)
	}
	return &names{}
}

func (n *names) stop() {}
