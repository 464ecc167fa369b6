package h1

import (
	"bytes"

	"traffic_management/codec"
)

var (
	schemeHTTP  = []byte("http")
	schemeHTTPS = []byte("https")
)

// splitTarget takes h.Target apart by its form (RFC 9112 section 3.2). Whether the asterisk form belongs to the method
// is left to the caller, since the HTTP/2 preface has it too.
func splitTarget(h *codec.Head) fault {
	t := h.Target
	switch {
	case len(t) == 0:
		return faultTarget
	case h.Method == codec.MethodConnect:
		h.Form = codec.AuthorityForm
		h.Authority = t
		if t[0] == '/' || t[0] == '*' {
			return faultForm
		}
		if !codec.ValidAuthority(t) || codec.PortColon(t) >= len(t)-1 {
			return faultAuthority
		}
		return faultNone
	case t[0] == '/':
		h.Form = codec.OriginForm
		return splitPath(h, t)
	case len(t) == 1 && t[0] == '*':
		h.Form = codec.AsteriskForm
		h.Path = t
		return faultNone
	}
	return splitAbsolute(h, t)
}

// splitAbsolute takes a target in absolute form apart. Its path may be empty.
func splitAbsolute(h *codec.Head, t []byte) fault {
	h.Form = codec.AbsoluteForm
	switch {
	case len(t) >= 7 && codec.EqualFold(t[:7], "http://"):
		h.Scheme, t = schemeHTTP, t[7:]
	case len(t) >= 8 && codec.EqualFold(t[:8], "https://"):
		h.Scheme, t = schemeHTTPS, t[8:]
	default:
		return faultScheme
	}
	end := bytes.IndexAny(t, "/?")
	if end < 0 {
		end = len(t)
	}
	h.Authority = t[:end:end]
	if !codec.ValidAuthority(h.Authority) {
		return faultAuthority
	}
	return splitPath(h, t[end:])
}

// splitPath parts path and query.
func splitPath(h *codec.Head, t []byte) fault {
	var ok bool
	if h.Path, h.Query, ok = codec.SplitTarget(t); !ok {
		return faultPercent
	}
	return faultNone
}
