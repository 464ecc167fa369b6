package exchange

import (
	"time"

	"traffic_management/codec"
)

// longestFilter is how long a filter may make an exchange wait whose service has no RequestTimeout.
const longestFilter = time.Minute

// errHeld ends an exchange that a filter keeps.
var errHeld = &codec.Error{Side: codec.Internal, Kind: codec.KindTimeout, Retry: codec.RetryNever, Status: 504,
	Cause: errText("a middleware did not go on in time")}

// armLimit bounds how long a filter keeps a request, a response's head, or the rest of its content when the server has sent
// all of it: RequestTimeout for each of them, whoever is to end the wait.
func (x *Exchange) armLimit() {
	d := x.Route.Service.Options().RequestTimeout
	if d == 0 {
		d = longestFilter
	}
	x.passed = x.BytesOut
	x.local.Loop.Arm(&x.limit, d)
}

// overdue is the limit's. Filters that wait for a server that sends, or have given the client something meanwhile, are given
// the same time again.
func (x *Exchange) overdue() {
	switch sending := x.state == AttemptOpen || x.relayed != nil; {
	case x.response >= ResponseWhole:
	case x.state == AttemptFiltered:
		x.giveUp(errHeld)
		x.settle()
	case sending && x.flow&holdsServer == 0, x.withheld == nil && (x.BytesOut != x.passed || x.client.Queued() > 0):
		x.armLimit()
	default:
		x.giveUp(errHeld)
		x.settle()
	}
}
