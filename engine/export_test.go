package engine

import "traffic_management/upstream"

// Looking replaces how names of servers are looked up, and what passes until the next time.
func (o Options) Looking(lookup upstream.Lookup, sleep upstream.Sleep) Options {
	o.lookup, o.sleep = lookup, sleep
	return o
}

// Burden makes a loop believe that it has so many client connections more.
func (e *Engine) Burden(loop int, n int64) { e.workers[loop].clients.Add(n) }

// Clients is how many client connections a loop believes it has.
func (e *Engine) Clients(loop int) int64 { return e.workers[loop].clients.Load() }

// Makes reports whether something comes of a kind of middleware.
func Makes(kind string) bool {
	switch kind {
	case "retry", "circuit_breaker", "chain":
		return true
	}
	return makers[kind] != nil
}
