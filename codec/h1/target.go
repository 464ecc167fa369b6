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
		if !validAuthority(t) || portColon(t) >= len(t)-1 {
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
	if !validAuthority(h.Authority) {
		return faultAuthority
	}
	return splitPath(h, t[end:])
}

// splitPath parts path and query.
func splitPath(h *codec.Head, t []byte) fault {
	if i := bytes.IndexByte(t, '?'); i >= 0 {
		h.Query = t[i+1:]
		t = t[:i:i]
	}
	h.Path = t
	if !validPercents(t) {
		return faultPercent
	}
	return faultNone
}

// validPercents reports whether two hexadecimal digits that are not "00" follow each "%" of b.
func validPercents(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '%')
		if i < 0 {
			return true
		}
		b = b[i+1:]
		if len(b) < 2 || codec.Classes[b[0]]&codec.Classes[b[1]]&codec.ClassHex == 0 || b[0] == '0' && b[1] == '0' {
			return false
		}
		b = b[2:]
	}
}

// validAuthority reports whether b is a host with or without a port, and no user information (RFC 3986 section 3.2).
func validAuthority(b []byte) bool {
	i := 0
	for i < len(b) && inName[b[i]] {
		i++
	}
	if i == len(b) || b[i] == ':' {
		return i > 0 && validPort(b[i:])
	}
	if !codec.All(b, codec.ClassHost) || !validPercents(b) {
		return false
	}
	colon := portColon(b)
	return validHost(b[:colon]) && validPort(b[colon:])
}

// inName is the set of bytes of a host that have no syntax of their own: names and IPv4 addresses are of them alone.
var inName = func() (t [256]bool) {
	for c := range t {
		t[c] = c != '%' && codec.Classes[c]&codec.ClassToken != 0 && codec.Classes[c]&codec.ClassHost != 0
	}
	return t
}()

// portColon is the index of the ":" before the port of an authority, or of its end.
func portColon(b []byte) int {
	host := 0
	if len(b) > 0 && b[0] == '[' {
		host = bytes.IndexByte(b, ']') + 1
	}
	if i := bytes.IndexByte(b[host:], ':'); i >= 0 {
		return host + i
	}
	return len(b)
}

// validHost reports whether b, of ClassHost, is a name or an address, an IPv6 one in brackets.
func validHost(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	if b[0] != '[' {
		return bytes.IndexByte(b, '[') < 0 && bytes.IndexByte(b, ']') < 0
	}
	if b[len(b)-1] != ']' {
		return false
	}
	colons := 0
	for _, c := range b[1 : len(b)-1] {
		switch {
		case c == ':':
			colons++
		case c != '.' && codec.Classes[c]&codec.ClassHex == 0:
			return false
		}
	}
	return colons >= 2
}

// validPort reports whether b is empty or ":" and a port of up to 65535, which may be empty (RFC 3986 section 3.2.3).
func validPort(b []byte) bool {
	if len(b) <= 1 {
		return true
	}
	port, ok := parseLength(b[1:])
	return ok && port <= 65535
}

// equalFold reports whether a and b are the same but for the case of ASCII letters.
func equalFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if codec.Lower(c) != codec.Lower(b[i]) {
			return false
		}
	}
	return true
}
