package engine

import "traffic_management/upstream"

// Looking replaces how names of servers are looked up, and what passes until the next time.
func (o Options) Looking(lookup upstream.Lookup, sleep upstream.Sleep) Options {
	o.lookup, o.sleep = lookup, sleep
	return o
}
