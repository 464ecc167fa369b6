package mw

import (
	"bytes"
	"fmt"
	"strings"

	"traffic_management/codec"
)

// mediaType is a pattern of media types: what they begin and end with. Immutable.
type mediaType struct {
	prefix, suffix string
	exact          bool // prefix is all of it
}

// parseMediaType reads "type/subtype", "type/*" or "type/*+suffix" (RFC 9110 section 8.3.1, RFC 6838 section 4.2.8).
func parseMediaType(s string) (mediaType, error) {
	main, sub, ok := strings.Cut(s, "/")
	before, after, wild := strings.Cut(sub, "*")
	switch {
	case !ok || !codec.IsToken([]byte(main)) || strings.Contains(main, "*"):
	case !wild && codec.IsToken([]byte(sub)):
		return mediaType{prefix: s, exact: true}, nil
	case wild && before == "" && (after == "" || len(after) > 1 && after[0] == '+' && codec.IsToken([]byte(after)) &&
		!strings.Contains(after, "*")):
		return mediaType{prefix: main + "/", suffix: after}, nil
	}
	return mediaType{}, fmt.Errorf("expected a media type such as text/html, text/* or application/*+json, got %q", s)
}

// matches reports whether a media type without parameters is one of those that the pattern means.
func (m *mediaType) matches(b []byte) bool {
	if m.exact {
		return codec.EqualFold(b, m.prefix)
	}
	return len(b) > len(m.prefix)+len(m.suffix) && codec.EqualFold(b[:len(m.prefix)], m.prefix) &&
		codec.EqualFold(b[len(b)-len(m.suffix):], m.suffix)
}

// matchesAny reports whether one of the patterns means the value of a Content-Type field.
func matchesAny(patterns []mediaType, contentType []byte) bool {
	b := essence(contentType)
	for i := range patterns {
		if patterns[i].matches(b) {
			return true
		}
	}
	return false
}

// essence is the media type without its parameters.
func essence(contentType []byte) []byte {
	if i := bytes.IndexByte(contentType, ';'); i >= 0 {
		contentType = contentType[:i]
	}
	return codec.TrimOWS(contentType)
}

func isEventStream(contentType []byte) bool {
	return codec.EqualFold(essence(contentType), "text/event-stream")
}

// isGRPC reports whether content is messages of gRPC, which compresses them itself, and whose clients take them one by one.
func isGRPC(contentType []byte) bool {
	const grpc = "application/grpc"
	return len(contentType) >= len(grpc) && codec.EqualFold(contentType[:len(grpc)], grpc)
}
