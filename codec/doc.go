// Package codec is the vocabulary that every HTTP version and every room of the proxy speaks: Head, Field, data,
// trailers, reset, and Error. It knows no sockets and does no input or output.
//
//	codec/h1 ──parse──▶ Head ──▶ routing, exchange, upstream ──▶ Head ──append──▶ codec/h1
package codec
