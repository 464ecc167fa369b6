// Package mw holds the middlewares: one file and one exchange.Filter for each kind that changes, refuses or answers
// requests and responses. Retries and circuit breakers are not here: they are the exchange's and upstream's own.
//
//	request   entry point's filters ──▶ router's filters, in order ──▶ circuit breaker ──▶ server, with retries
//	                 │ Answered: goes no further, and back through those that saw the request
//	response  client ◀── the same filters in reverse ◀── the server's final head, or the proxy's own reply
//	content   client ◀── Body of the first filter ◀── ... ◀── Body of the last filter ◀── server
//
// All loops share a filter: what it holds is immutable or atomic, and what belongs to one exchange is kept with
// SetState. What takes longer than some 100 us runs with exchange.Go while the filter waits, and lets others run
// every half a millisecond at least (runtime.Gosched), for a loop may want the same core.
package mw
