package telemetry

import "time"

// maxKinds is the room for kinds, or reasons, of errors in every shard.
const maxKinds = 32

// kindCounters counts errors by the index of their kind.
type kindCounters [maxKinds]counter

// add counts one error. A kind that has no room is a fault of the caller and is not counted.
func (k *kindCounters) add(kind int) {
	if uint(kind) < maxKinds {
		k[kind].add(1)
	}
}

// codeClasses are the values of the label "code". The first is for requests whose client was gone, or was cut off,
// before it got a response.
var codeClasses = [...]string{"0", "1xx", "2xx", "3xx", "4xx", "5xx"}

// RouteShard counts the requests of one router and service on one loop, whose goroutine alone may call its methods.
type RouteShard struct {
	codes    [len(codeClasses)]counter
	bytesIn  counter
	bytesOut counter
	duration histogram
	added    histogram
	_        cachePad
}

// Done counts one exchange that ended. status is the status code sent to the client, 0 when none was; duration is from
// the request's first byte to the response's last, added the part of it that was spent in the proxy; the bytes are
// those received from and sent to the client, heads included.
func (s *RouteShard) Done(status int, duration, added time.Duration, bytesIn, bytesOut uint64) {
	s.count(status, bytesIn, bytesOut)
	s.duration.observe(durationScale, duration)
	s.added.observe(addedScale, added)
}

// Tunnel is Done of an exchange that became a tunnel: how long people talk is no latency, so no time is observed.
func (s *RouteShard) Tunnel(status int, bytesIn, bytesOut uint64) { s.count(status, bytesIn, bytesOut) }

func (s *RouteShard) count(status int, bytesIn, bytesOut uint64) {
	class := uint(status) / 100
	if class >= uint(len(s.codes)) {
		class = 0
	}
	s.codes[class].add(1)
	s.bytesIn.add(bytesIn)
	s.bytesOut.add(bytesOut)
}

// EntryPointShard counts the client connections of one entry point on one loop, whose goroutine alone may call its
// methods.
type EntryPointShard struct {
	opened        counter
	closed        counter
	tunnelsOpened counter
	tunnelsClosed counter
	refused       counter
	handshakes    counter // full ones
	resumptions   counter
	http2Opened   counter
	http2Closed   counter
	errors        kindCounters
	handshakeFail kindCounters
	http2Errors   kindCounters
	_             cachePad
}

// Opened counts a connection that was accepted.
func (s *EntryPointShard) Opened() { s.opened.add(1) }

// Closed counts a connection that ended. It may be called on another loop's shard than Opened was, should a
// connection move.
func (s *EntryPointShard) Closed() { s.closed.add(1) }

// TunnelOpened counts a connection that was upgraded.
func (s *EntryPointShard) TunnelOpened() { s.tunnelsOpened.add(1) }

// TunnelClosed counts the end of what TunnelOpened counted, on this loop or another.
func (s *EntryPointShard) TunnelClosed() { s.tunnelsClosed.add(1) }

// Refused counts a request that was answered with 503 for want of memory, whatever router it was for.
func (s *EntryPointShard) Refused() { s.refused.add(1) }

// ClientError counts an error of the client's that belongs to no route, such as a request that is not HTTP. kind is an
// index into Names.Errors.
func (s *EntryPointShard) ClientError(kind int) { s.errors.add(kind) }

// Handshake counts a TLS handshake that was completed; resumed says that the client came back with a session.
func (s *EntryPointShard) Handshake(resumed bool) {
	if resumed {
		s.resumptions.add(1)
	} else {
		s.handshakes.add(1)
	}
}

// HandshakeFailed counts a TLS handshake that was not completed. reason is an index into Names.Handshakes.
func (s *EntryPointShard) HandshakeFailed(reason int) { s.handshakeFail.add(reason) }

// HTTP2Opened counts a connection that speaks HTTP/2.
func (s *EntryPointShard) HTTP2Opened() { s.http2Opened.add(1) }

// HTTP2Closed counts the end of what HTTP2Opened counted, on this loop or another.
func (s *EntryPointShard) HTTP2Closed() { s.http2Closed.add(1) }

// HTTP2Error counts an HTTP/2 connection that was ended for what its client did. reason is an index into Names.HTTP2.
func (s *EntryPointShard) HTTP2Error(reason int) { s.http2Errors.add(reason) }

// ServiceShard counts what happens between one loop and the servers of one service. The loop's goroutine alone may
// call its methods.
type ServiceShard struct {
	opened         counter
	closed         counter
	reused         counter
	replayed       counter
	retries        counter
	retriesRefused counter
	errors         kindCounters
	_              cachePad
}

// Opened counts a connection to a server that was established.
func (s *ServiceShard) Opened() { s.opened.add(1) }

// Closed counts the end of a connection that Opened counted, on this loop or another.
func (s *ServiceShard) Closed() { s.closed.add(1) }

// Reused counts a request that was sent on a connection that had served one before.
func (s *ServiceShard) Reused() { s.reused.add(1) }

// Replayed counts a request that left a connection it shared unanswered, for another.
func (s *ServiceShard) Replayed() { s.replayed.add(1) }

// Retried counts a further attempt at a request.
func (s *ServiceShard) Retried() { s.retries.add(1) }

// RetryRefused counts a further attempt that was put off or given up, because the budget for them was used up.
func (s *ServiceShard) RetryRefused() { s.retriesRefused.add(1) }

// Error counts a failed attempt. kind is an index into Names.Errors.
func (s *ServiceShard) Error(kind int) { s.errors.add(kind) }

// StallBound is the longest that one turn of a loop should take. All connections of the loop wait as long.
const StallBound = 10 * time.Millisecond

// LoopShard counts what one loop does. The loop's goroutine alone may call its methods.
type LoopShard struct {
	turns        histogram
	stalls       counter
	acceptPauses counter
	shed         counter
	shedUpstream counter
	panics       counter
	_            cachePad
}

// Turn counts one turn of the loop: d from the return of the wait for events to the next wait.
func (s *LoopShard) Turn(d time.Duration) {
	s.turns.observe(turnScale, d)
	if d > StallBound {
		s.stalls.add(1)
	}
}

// AcceptPaused counts that the loop stopped accepting for a while.
func (s *LoopShard) AcceptPaused() { s.acceptPauses.add(1) }

// Shed counts a client's connection that was closed to make room for others.
func (s *LoopShard) Shed() { s.shed.add(1) }

// ShedUpstream counts an idle connection to a server that was closed to make room for others.
func (s *LoopShard) ShedUpstream() { s.shedUpstream.add(1) }

// Panicked counts a panic that was contained: one connection was closed and the loop went on.
func (s *LoopShard) Panicked() { s.panics.add(1) }
