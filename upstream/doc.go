// Package upstream opens attempts: one request's way to one server of a service.
//
//	exchange ──Service.Open──▶ sticky server, or balancer ──▶ pool (of this loop, this server)
//	                                                           │ an idle connection, one of another loop,
//	exchange ◀──Receiver.Ready(Stream)─────────────────────────┘ a dial, or a place in the queue
//	exchange ──Stream.Head, Data──▶ h1conn ──▶ reactor.Conn
//	exchange ◀──Receiver.Head, Data── h1conn ◀── reactor.Conn
//
// A balancer chooses from its roster: the servers that take requests at present, with what they weigh. What says so is
// an operator, a health check (Checker), or how attempts end, which each attempt tells its target and the breaker it
// passed:
//
//	Target.SetWeight, SetDraining, SetHealth ─┐
//	Attempt ends ──judge──▶ Service.failed ───┴─▶ Target's conditions ──Service.epoch──▶ roster of each loop, made anew
//	                   └──▶ breaker of the target ──asked at each choice──▶ balancer
//
// Pools, attempts, balancers and connections belong to one loop. What loops share is in Service, Target and breaker, as
// atomics; locks are taken only where a state changes.
package upstream
