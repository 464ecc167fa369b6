package codec

import "bytes"

// ValidAuthority reports whether b is a host with or without a port, and no user information (RFC 3986 section 3.2).
func ValidAuthority(b []byte) bool {
	i := 0
	for i < len(b) && inName[b[i]] {
		i++
	}
	if i == len(b) || b[i] == ':' {
		return i > 0 && validPort(b[i:])
	}
	if !All(b, ClassHost) || !ValidPercents(b) {
		return false
	}
	colon := PortColon(b)
	return validHost(b[:colon]) && validPort(b[colon:])
}

// inName is the set of bytes of a host that have no syntax of their own: names and IPv4 addresses are of them alone.
var inName = func() (t [256]bool) {
	for c := range t {
		t[c] = c != '%' && Classes[c]&ClassToken != 0 && Classes[c]&ClassHost != 0
	}
	return t
}()

// PortColon is the index of the ":" before the port of an authority, or of its end.
func PortColon(b []byte) int {
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
		case c != '.' && Classes[c]&ClassHex == 0:
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
	port, ok := ParseLength(b[1:])
	return ok && port <= 65535
}
