// Package h2 is HTTP/2 (RFC 9113) with HPACK (RFC 7541) and extensible priorities (RFC 9218), for either side of a
// connection. A Session is the whole protocol of one connection: bytes that came are given to it, bytes to send it
// writes to its Wire, and what they mean goes to Events and to the receivers of streams. It knows no sockets, no clock
// and no goroutines.
//
//	bytes ──Receive──▶ frames ─▶ HPACK ─▶ codec.Head ──Events.Request──▶ codec.Receiver ◀── content, trailers, Failed
//	bytes ◀──Wire───── frames ◀─ queues, windows, priorities ◀── Stream (codec.Stream): Head, Data, Trailers, Reset
//
// It is as strict as codec/h1, with the same tables: what HTTP/1.1 could not carry is malformed here. What a peer may
// make it do is bounded: see budget.go.
package h2
