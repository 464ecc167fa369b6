package engine

import (
	"maps"
	"slices"

	"traffic_management/config"
	"traffic_management/telemetry"
)

// openFor opens what a compiled configuration names, as far as it is not open already.
func (e *Engine) openFor(ch *change) error {
	now, next, c := e.current(), ch.next, ch.next.config
	if now == nil {
		now = &state{config: new(config.Config)}
	}
	ch.match(now.doors)
	if err := e.openDoors(ch, now.doors); err != nil {
		return err
	}
	if a := c.AccessLog; a != nil {
		next.accessLog = now.accessLog
		if !sameLog(a, now.config.AccessLog) {
			log, err := telemetry.OpenAccessLog(a.File, e.options.Loops, telemetry.AccessLogOptions{
				Fields: a.Fields, Sample: a.Sample, Seed: e.seed, Counts: e.registry.AccessLog()})
			if err != nil {
				return at(c, "access_log.file", err)
			}
			next.accessLog = log
		}
	}
	return e.openWebs(now, next)
}

// openDoors opens the doors that are missing, with sockets that were passed to the process where there are such.
func (e *Engine) openDoors(ch *change, now []*door) error {
	next, in := ch.next, e.options.Inherited
	for _, renamed := range []bool{false, true} {
		for i, ep := range next.snapshot.entryPoints {
			if next.doors[i] != nil {
				continue
			}
			key := "entrypoints." + ep.name
			given := in.take(key, ep.address, renamed)
			if given == nil && !renamed {
				continue // first those that are surely meant
			}
			d, err := openDoor(ep, &e.clients, slices.Concat(now, ch.opened), given)
			if err != nil {
				return at(next.config, key+".address", err)
			}
			next.doors[i] = d
			ch.opened = append(ch.opened, d)
		}
	}
	return nil
}

// openWebs opens what answers operators, as far as it is not open already.
func (e *Engine) openWebs(now, next *state) (err error) {
	c, in := next.config, e.options.Inherited
	if m := c.Metrics; m != nil {
		if next.metrics, err = now.metrics.at(m.Address, in.take("metrics", m.Address, true)); err != nil {
			return at(c, "metrics.address", err)
		}
	}
	if a := c.Admin; a != nil {
		if next.admin, err = now.admin.at(a.Address, in.take("admin", a.Address, true)); err != nil {
			return at(c, "admin.address", err)
		}
	}
	return nil
}

func sameLog(a, b *config.AccessLog) bool {
	return b != nil && a.File == b.File && a.Sample == b.Sample && maps.Equal(a.Fields, b.Fields)
}

// match gives entry points the doors that are open at their addresses, first those of the same name, and leaves what is
// not used. A port of 0 is one address however often it is listened on.
func (ch *change) match(doors []*door) {
	entryPoints := ch.next.snapshot.entryPoints
	ch.next.doors = make([]*door, len(entryPoints))
	ch.leave = slices.Clone(doors)
	for _, sameName := range []bool{true, false} {
		for i, ep := range entryPoints {
			at := slices.IndexFunc(ch.leave, func(d *door) bool {
				return d.address == ep.address && (d.name == ep.name || !sameName)
			})
			if ch.next.doors[i] == nil && at >= 0 {
				ch.next.doors[i] = ch.leave[at]
				ch.leave = slices.Delete(ch.leave, at, at+1)
			}
		}
	}
}
