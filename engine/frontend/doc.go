// Package frontend drives client connections: it turns bytes into requests for the exchange and responses into bytes.
//
//	reactor.Conn ──OnData──▶ H1 ──ParseRequestHead──▶ exchange.Request
//	                         H1 ──Body.Decode──▶ exchange.RequestData
//	reactor.Conn ◀──Writev── H1 ◀──Head, Data, Trailers── exchange
//
// A connection belongs to the loop that accepted it.
package frontend
