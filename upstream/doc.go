// Package upstream opens attempts: one request's way to one server of a service.
//
//	exchange ──Service.Open──▶ Balancer.Pick ──▶ pool (of this loop, this server)
//	                                              │ an idle connection │ one of another loop │ a dial │ a place in the queue
//	exchange ◀──Receiver.Ready(Stream)────────────┘
//	exchange ──Stream.Head, Data──▶ h1conn ──▶ reactor.Conn
//	exchange ◀──Receiver.Head, Data── h1conn ◀── reactor.Conn
//
// Pools, attempts and connections belong to one loop. What loops share is in Target, as atomics.
package upstream
