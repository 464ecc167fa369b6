package mw

import (
	"bytes"
	"net/netip"
	"unsafe"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// ClientIP is the address of the client a request comes from. Nothing that a peer says counts unless the entry point
// trusts it: the peer is the client then.
//
// With depth 0 X-Forwarded-For is read from the right, and the first address that is not itself a trusted one is the
// client; where all are, or one cannot be read, it is the last that could be trusted to be right. With depth n it is the
// n-th from the right of what the trusted peer sent, the zero Addr when there is none. It is the zero Addr also of a
// client on a unix socket. On the exchange's loop; it allocates nothing for what well-behaved proxies send.
func ClientIP(x *exchange.Exchange, depth int) netip.Addr {
	client := x.Peer.Addr.Addr()
	trusted := x.Env().Trusted
	if !x.Peer.Trusted(x.Env()) {
		return client
	}
	f := forwardedFor{fields: x.RequestHead.Fields}
	node, ok := f.last()
	if ok && parseNode(node) == client { // the proxy's own element, for the server
		node, ok = f.last()
	}
	for n := 1; ok; n++ {
		a := parseNode(node)
		switch {
		case n == depth:
			return a
		case depth > 0:
		case !a.IsValid():
			return client
		case !isIn(a, trusted):
			return a
		default:
			client = a
		}
		node, ok = f.last()
	}
	if depth > 0 {
		return netip.Addr{}
	}
	return client
}

// isIn reports whether one of a few networks has the address.
func isIn(a netip.Addr, networks []netip.Prefix) bool {
	for _, p := range networks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// forwardedFor walks the elements of all X-Forwarded-For fields from the right.
type forwardedFor struct {
	fields []codec.Field // not begun
	rest   []byte        // of the field that was; nil: it is used up
}

// last takes the last element that is not empty (RFC 9110 section 5.6.1).
func (f *forwardedFor) last() (element []byte, ok bool) {
	for {
		for f.rest == nil {
			n := len(f.fields) - 1
			if n < 0 {
				return nil, false
			}
			if f.fields[n].ID == codec.FieldXForwardedFor {
				f.rest = f.fields[n].Value
			}
			f.fields = f.fields[:n]
		}
		comma := bytes.LastIndexByte(f.rest, ',')
		element = bytes.Trim(f.rest[comma+1:], " \t")
		if f.rest = f.rest[:max(comma, 0)]; comma <= 0 {
			f.rest = nil
		}
		if len(element) > 0 {
			return element, true
		}
	}
}

// parseNode reads an address that may have a port, as some proxies write it: "192.0.2.1:80", "[2001:db8::1]:80",
// "[2001:db8::1]". The zero Addr for anything else, and for addresses with a zone, which mean something on one host only.
func parseNode(b []byte) netip.Addr {
	host, port := b, []byte(nil)
	switch colon := bytes.IndexByte(b, ':'); {
	case bytes.IndexByte(b, '%') >= 0:
		return netip.Addr{}
	case b[0] == '[':
		end := bytes.IndexByte(b, ']')
		if end < 0 {
			return netip.Addr{}
		}
		host, port = b[1:end], b[end+1:]
	case colon >= 0 && bytes.IndexByte(b[colon+1:], ':') < 0:
		host, port = b[:colon], b[colon:]
	}
	if len(port) > 0 && !isPort(port) {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(unsafe.String(unsafe.SliceData(host), len(host)))
	if err != nil || b[0] == '[' && !a.Is6() {
		return netip.Addr{}
	}
	return a.Unmap()
}

// isPort reports whether b is a colon and the digits of a port.
func isPort(b []byte) bool {
	if b[0] != ':' || len(b) < 2 || len(b) > 6 {
		return false
	}
	for _, c := range b[1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
