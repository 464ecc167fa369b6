// Package h1 is the HTTP/1.1 message syntax of RFC 9112: heads are parsed and appended, content is taken out of its
// framing. It is pure functions and small state machines over bytes at hand; "more is needed" is never an error, and
// nothing is allocated on the way of a message.
//
//	bytes ──ParseRequestHead, ParseResponseHead──▶ codec.Head      Body.Decode ──▶ content, trailers
//	bytes ◀──AppendRequestHead, AppendResponseHead── codec.Head    Framer.Frame, AppendTrailers ◀── content, trailers
//
// It is strict: what two recipients could read in two ways is refused (RFC 9112 section 11.2), and what could not be
// parsed again is never appended.
package h1
