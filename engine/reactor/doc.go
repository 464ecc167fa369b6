// Package reactor does the input and output of the proxy: event loops, sockets, listeners, timers. It knows no HTTP.
//
// A loop is one goroutine. All its connections, timers and memory belong to it, so nothing here takes a lock but Post and,
// for a handshake, Handshakes.
// One turn of a loop:
//
//	             ┌────────────────────────── nothing to do: block ◀──────────────────────────┐
//	             ▼                                                                           │
//	epoll ──▶ events ──▶ posted ──▶ visits ──▶ timers ──▶ flush ──▶ close, accept ──▶ hooks ──▶ alarm
//	            │                     ▲                      │
//	            ├ readable: read into the loop's buffer      └ one send a connection, many in one system call
//	            │           ──▶ Sink.OnData, keep the rest
//	            ├ writable: send what is queued
//	            │           ──▶ Sink.OnDrained
//	            └ failed:   close, and later ──▶ Sink.OnClosed
//
// After each event the functions given to Defer run. Visits are sockets that have something to do without a new event:
// reading was resumed, Wake was called, or more was there to read than one event may.
//
// Bytes come in through one buffer that all connections of a loop share, and are lent to the sink; what it leaves is
// kept in pooled memory and lies in front of the next read. Bytes go out from where they lie when they are many, and
// are gathered for the end of the turn when they are few. An idle connection holds no buffer.
//
// Where the kernel has a ring for us, sockets that are ready together are received from in one system call, and what
// was gathered is sent in one. All of it has ended when the call returns, so this is a matter of speed alone: a sink
// hears the same with a ring and without.
//
// Back-pressure is counted: a sink whose output passed codec.HighMark holds its source, and lets go when OnDrained
// says that codec.LowMark was reached. A held connection is not read, so its peer runs into the TCP window.
//
// Sockets are registered once, edge-triggered. So each socket remembers what it was told (inputState, outputState), and
// an event is a hint: the system call's result is what counts.
//
// TLS is a Conn over a socket whose sink it is. The handshake computes on a goroutine, and no more of them at once than
// Handshakes allows; then records are opened on the loop as they come, and what a turn wrote is sealed before its flush.
//
// Work that computes for long runs on goroutines (Go), which let others run every half a millisecond at least: a loop that
// wakes on the same core waits that long, and no turn is interrupted.
//
// A panic in a sink costs that connection alone: it is reset, its sink hears OnClosed, the loop goes on.
package reactor
