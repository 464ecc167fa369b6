package routing

import (
	"bytes"
	"net/netip"

	"traffic_management/codec"
)

// Request is what rules look at. Everything is lent for the call of Match.
type Request struct {
	Head *codec.Head
	Path []byte     // the routing path: normalised, and decoded but for the reserved characters
	Peer netip.Addr // the client's address; the zero value when it has none (unix sockets)
}

// Scratch is room that Match works in, so that it allocates nothing once the room has grown. The zero value is ready.
// One loop owns it. Between calls it holds no reference to a request or a table.
type Scratch struct {
	host    []byte   // the host in lower case, when it came in another
	text    []byte   // decoded keys and values of the query, one behind the other
	params  []param  // of the query
	cursors []cursor // into the lists of candidates
}

// param is one parameter of a query: key is text[start:middle], value text[middle:end].
type param struct{ start, middle, end int }

// query tells whether the query of the request at hand is decoded.
type query uint8

const (
	queryRaw     query = iota // no rule has asked yet
	queryDecoded              // Scratch.params is of this request
)

func (q query) String() string { return [...]string{"raw", "decoded"}[q] }

// lookup is one Match under way: the request and what is worked out from it. It lives on the stack.
type lookup struct {
	head    *codec.Head
	path    []byte
	peer    netip.Addr
	host    []byte // without port and brackets, in lower case
	bare    []byte // host without one trailing dot
	parent  []byte // bare from its first dot on; empty when it has none
	query   query
	scratch *Scratch
}

func (l *lookup) begin(r *Request, s *Scratch) {
	l.head, l.path, l.scratch = r.Head, r.Path, s
	l.peer = r.Peer.Unmap()
	if l.peer.Zone() != "" {
		l.peer = l.peer.WithZone("")
	}
	l.host = s.lower(HostOf(r.Head.Authority))
	l.bare = bytes.TrimSuffix(l.host, dot)
	if i := bytes.IndexByte(l.bare, '.'); i >= 0 {
		l.parent = l.bare[i:]
	}
}

var dot = []byte(".")

// HostOf is the host of an authority as rules see it: without port, and without brackets around an IPv6 address. It is
// lent as the authority is.
func HostOf(authority []byte) []byte {
	a := codec.TrimOWS(authority)
	if len(a) > 0 && a[0] == '[' {
		if i := bytes.IndexByte(a, ']'); i > 0 {
			return a[1:i]
		}
		return a
	}
	if i := bytes.IndexByte(a, ':'); i >= 0 && bytes.IndexByte(a[i+1:], ':') < 0 {
		return a[:i]
	}
	return a
}

// lower is b in lower case: b itself when it is so already, else a copy in the scratch.
func (s *Scratch) lower(b []byte) []byte {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			s.host = append(s.host[:0], b...)
			for j := i; j < len(b); j++ {
				s.host[j] = codec.Lower(b[j])
			}
			return s.host
		}
	}
	return b
}

// params is the decoded query.
func (l *lookup) params() []param {
	if l.query == queryRaw {
		l.query = queryDecoded
		l.scratch.decode(l.head.Query)
	}
	return l.scratch.params
}

// decode splits a query at & and ; and decodes keys and values as HTML forms encode them. A parameter with a malformed
// percent-encoding is left out, as Go's net/url does.
func (s *Scratch) decode(query []byte) {
	s.text, s.params = s.text[:0], s.params[:0]
	for len(query) > 0 {
		part := query
		if i := bytes.IndexAny(query, "&;"); i >= 0 {
			part, query = query[:i], query[i+1:]
		} else {
			query = nil
		}
		if len(part) == 0 {
			continue
		}
		key, value, _ := bytes.Cut(part, equals)
		p := param{start: len(s.text)}
		ok := s.unescape(key)
		p.middle = len(s.text)
		ok = ok && s.unescape(value)
		p.end = len(s.text)
		if !ok {
			s.text = s.text[:p.start]
			continue
		}
		s.params = append(s.params, p)
	}
}

var equals = []byte("=")

// unescape appends b to text with %XX decoded and + as a blank. It returns false when an encoding is malformed.
func (s *Scratch) unescape(b []byte) bool {
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(b) || codec.Classes[b[i+1]]&codec.ClassHex == 0 || codec.Classes[b[i+2]]&codec.ClassHex == 0 {
				return false
			}
			c = unhex(b[i+1])<<4 | unhex(b[i+2])
			i += 2
		}
		s.text = append(s.text, c)
	}
	return true
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return codec.Lower(c) - 'a' + 10
}
