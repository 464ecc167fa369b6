package mw

import (
	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// vary tells caches that the response depends on a field of the request, also one that has nothing of it: with another
// request it would have been another (RFC 9110 section 12.5.5).
func vary(x *exchange.Exchange, h *codec.Head, name []byte) {
	var last *codec.Field
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.ID != codec.FieldVary {
			continue
		}
		if hasElement(f.Value, name) || hasElement(f.Value, "*") {
			return
		}
		last = f
	}
	if last != nil && len(last.Value) > 0 {
		last.Value = x.Keep(last.Value, listSep, name)
		return
	}
	h.Set(codec.FieldVary, name)
}

// hasElement reports whether a list has this element, in any case of its letters.
func hasElement[S string | []byte](list []byte, element S) bool {
	for list != nil {
		var e []byte
		if e, list = codec.NextElement(list); codec.EqualFold(e, element) {
			return true
		}
	}
	return false
}
