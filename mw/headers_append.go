package mw

import (
	"slices"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// singletons are fields of which a message has one line at most: their values are no lists (RFC 9110 section 5.3), and whoever
// reads two takes the first, the last, or neither. Set-Cookie is the one that may have many all the same.
var singletons = []string{"Access-Control-Allow-Credentials", "Access-Control-Allow-Origin", "Access-Control-Max-Age", "Age", "Authorization",
	"Content-Disposition", "Content-Length", "Content-Location", "Content-Range", "Content-Type", "Cookie", "Date", "ETag", "Expires",
	"From", "Host", "If-Modified-Since", "If-Range", "If-Unmodified-Since", "Last-Modified", "Location", "Max-Forwards", "Origin",
	"Range", "Referer", "Referrer-Policy", "Retry-After", "Server", "Strict-Transport-Security", "User-Agent",
	"X-Content-Type-Options", "X-Frame-Options"}

// newFieldLines compiles lines that are added to what a message has.
func newFieldLines(key string, options []FieldOption) ([]fieldSetter, error) {
	var lines []fieldSetter
	for i := range options {
		name := options[i].Name
		s, err := newFieldSetter(key, &options[i])
		switch {
		case err != nil:
			return nil, err
		case slices.ContainsFunc(singletons, func(n string) bool { return codec.EqualFold(s.field.Name, n) }):
			return nil, wrong(key+"."+name, "a message has one line of this field at most, which can only be set")
		case isOrigin(s.field.Name):
			return nil, wrong(key+"."+name, "the proxy says in this field where the request came from; it can only be set")
		case options[i].Value == "":
			return nil, wrong(key+"."+name, "expected a value")
		}
		lines = append(lines, s)
	}
	return lines, nil
}

// isOrigin reports whether a field says where a request came from, so that a line more would change who the client is.
func isOrigin(name []byte) bool {
	switch codec.LookupFieldID(name) {
	case codec.FieldForwarded, codec.FieldXRealIP, codec.FieldXRequestID:
		return true
	}
	return codec.EqualFold(name[:min(len(name), len(forwardedPrefix))], forwardedPrefix)
}

// appendLines adds lines to a head, lent as long as the exchange. One that has nothing to say is left out.
func appendLines(h *codec.Head, lines []fieldSetter, x *exchange.Exchange) {
	for i := range lines {
		if f := lines[i].of(x); len(f.Value) > 0 {
			h.Fields = append(h.Fields, f)
		}
	}
}
