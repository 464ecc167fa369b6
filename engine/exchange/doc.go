// Package exchange is one request's life, of any HTTP version: from its head to the last byte of its response.
//
//	frontend ──Begin, Own, Request──▶ Exchange ──prepare──▶ routing.Match ──▶ upstream.Open
//	frontend ──RequestData──────────▶ Exchange ──Data──▶ codec.Stream (the attempt's)
//	frontend ◀──Client.Head, Data──── Exchange ◀──Head, Data── upstream (codec.Receiver)
//	frontend ◀──Client.Finished────── Exchange.finish ──▶ Observer.Done
//	                                Exchange.repeat ──at once, or after a wait──▶ upstream.Open, of another server
//
// What either side may do when is kept as three states, of the request, the response and the attempt; every event
// changes one of them and then calls settle, which applies the joint rules until nothing changes.
package exchange
