package mw

import (
	"net/netip"
	"strings"
	"testing"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/internal/sim"
)

// arrival is a request that reached its filters: an exchange that was begun and goes no further.
type arrival struct {
	local *exchange.Local
	env   *exchange.Env
	peer  exchange.Peer
}

// arrivals makes requests from one address to an entry point that trusts these networks.
func arrivals(t testing.TB, peer string, trusted ...string) *arrival {
	t.Helper()
	a := &arrival{local: exchange.NewLocal(sim.NewLoop(1), nil, nil, 1), env: new(exchange.Env)}
	for _, network := range trusted {
		a.env.Trusted = append(a.env.Trusted, netip.MustParsePrefix(network))
	}
	var from netip.AddrPort
	if peer != "" {
		from = netip.AddrPortFrom(netip.MustParseAddr(peer), 40000)
	}
	a.peer = exchange.NewPeer(from, netip.AddrPort{}, nil, nil)
	return a
}

// request makes an exchange with these fields, "name: value".
func (a *arrival) request(fields ...string) *exchange.Exchange {
	x := a.local.Begin(a.env, nil, &a.peer)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		x.RequestHead.Fields = append(x.RequestHead.Fields,
			codec.Field{Name: []byte(name), Value: []byte(value), ID: codec.LookupFieldID([]byte(name))})
	}
	return x
}

// In every case the last element is what the exchange itself appends, the peer.
func TestClientIP(t *testing.T) {
	const none = "invalid IP"
	for _, c := range []struct {
		what   string
		peer   string
		fields []string
		depth  int
		want   string
	}{
		{"a peer that is not trusted is the client", "198.51.100.7", []string{"198.51.100.7"}, 0, "198.51.100.7"},
		{"whatever it says", "198.51.100.7", []string{"192.0.2.1, 198.51.100.7"}, 0, "198.51.100.7"},
		{"at any depth", "198.51.100.7", []string{"192.0.2.1, 198.51.100.7"}, 1, "198.51.100.7"},
		{"a trusted peer that says nothing is the client", "10.0.0.1", []string{"10.0.0.1"}, 0, "10.0.0.1"},
		{"also without any field", "10.0.0.1", nil, 0, "10.0.0.1"},
		{"the client of a trusted peer", "10.0.0.1", []string{"203.0.113.5, 10.0.0.1"}, 0, "203.0.113.5"},
		{"of a chain of them", "10.0.0.1", []string{"203.0.113.5, 10.0.0.3, 10.0.0.2, 10.0.0.1"}, 0, "203.0.113.5"},
		{"forged to the left of it", "10.0.0.1", []string{"192.0.2.1, 203.0.113.5, 10.0.0.1"}, 0, "203.0.113.5"},
		{"forged as a trusted address", "10.0.0.1", []string{"10.0.0.9, 203.0.113.5, 10.0.0.1"}, 0, "203.0.113.5"},
		{"forged in a field of its own", "10.0.0.1", []string{"192.0.2.1", "203.0.113.5, 10.0.0.1"}, 0, "203.0.113.5"},
		{"continued in another field", "10.0.0.1", []string{"203.0.113.5", "10.0.0.1"}, 0, "203.0.113.5"},
		{"all are trusted: the farthest", "10.0.0.1", []string{"10.0.0.3, 10.0.0.2, 10.0.0.1"}, 0, "10.0.0.3"},
		{"the peer's own requests through itself", "10.0.0.1", []string{"10.0.0.1, 10.0.0.1"}, 0, "10.0.0.1"},
		{"garbage: who sent it", "10.0.0.1", []string{"unknown, 10.0.0.2, 10.0.0.1"}, 0, "10.0.0.2"},
		{"garbage is not skipped", "10.0.0.1", []string{"203.0.113.5, x, 10.0.0.1"}, 0, "10.0.0.1"},
		{"empty elements are", "10.0.0.1", []string{",203.0.113.5,, ,10.0.0.1"}, 0, "203.0.113.5"},
		{"an empty field is", "10.0.0.1", []string{"203.0.113.5", "", "10.0.0.1"}, 0, "203.0.113.5"},
		{"with a port", "10.0.0.1", []string{"203.0.113.5:1234, 10.0.0.1"}, 0, "203.0.113.5"},
		{"version 6", "10.0.0.1", []string{"2001:db8::5, 10.0.0.1"}, 0, "2001:db8::5"},
		{"version 6 with a port", "10.0.0.1", []string{"[2001:db8::5]:443, 10.0.0.1"}, 0, "2001:db8::5"},
		{"version 6 in brackets", "10.0.0.1", []string{"[2001:db8::5], 10.0.0.1"}, 0, "2001:db8::5"},
		{"version 4 in version 6", "10.0.0.1", []string{"::ffff:203.0.113.5, 10.0.0.1"}, 0, "203.0.113.5"},
		{"a trusted one so written", "10.0.0.1", []string{"203.0.113.5, ::ffff:10.0.0.2, 10.0.0.1"}, 0, "203.0.113.5"},
		{"a zone", "10.0.0.1", []string{"fe80::1%eth0, 10.0.0.1"}, 0, "10.0.0.1"},
		{"no port", "10.0.0.1", []string{"203.0.113.5:, 10.0.0.1"}, 0, "10.0.0.1"},
		{"a port that is none", "10.0.0.1", []string{"203.0.113.5:8x, 10.0.0.1"}, 0, "10.0.0.1"},
		{"more than a port", "10.0.0.1", []string{"[2001:db8::5]443, 10.0.0.1"}, 0, "10.0.0.1"},
		{"version 4 in brackets", "10.0.0.1", []string{"[203.0.113.5], 10.0.0.1"}, 0, "10.0.0.1"},
		{"an open bracket", "10.0.0.1", []string{"[2001:db8::5, 10.0.0.1"}, 0, "10.0.0.1"},
		{"what the peer saw", "10.0.0.1", []string{"192.0.2.1, 203.0.113.5, 10.0.0.1"}, 1, "203.0.113.5"},
		{"what the one before it saw", "10.0.0.1", []string{"192.0.2.1, 203.0.113.5, 10.0.0.1"}, 2, "192.0.2.1"},
		{"over two fields", "10.0.0.1", []string{"192.0.2.1", "203.0.113.5, 10.0.0.1"}, 2, "192.0.2.1"},
		{"deeper than there is", "10.0.0.1", []string{"192.0.2.1, 203.0.113.5, 10.0.0.1"}, 3, none},
		{"depth without a field", "10.0.0.1", []string{"10.0.0.1"}, 1, none},
		{"garbage at the depth", "10.0.0.1", []string{"unknown, 10.0.0.1"}, 1, none},
		{"a unix socket", "", []string{"192.0.2.1"}, 0, none},
	} {
		a := arrivals(t, c.peer, "10.0.0.0/8", "2001:db8:ffff::/48")
		var fields []string
		for _, value := range c.fields {
			fields = append(fields, "X-Forwarded-For: "+value)
		}
		if got := ClientIP(a.request(fields...), c.depth).String(); got != c.want {
			t.Errorf("%s: %q from %s at depth %d\n got %s\nwant %s", c.what, c.fields, c.peer, c.depth, got, c.want)
		}
	}
}

func TestClientIPAllocatesNothing(t *testing.T) {
	x := arrivals(t, "10.0.0.1", "10.0.0.0/8").request("Accept: */*",
		"X-Forwarded-For: [2001:db8::1]:80, 203.0.113.5:80, 10.0.0.3, 10.0.0.2, 10.0.0.1")
	for depth := range 5 {
		if n := testing.AllocsPerRun(100, func() { ClientIP(x, depth) }); n != 0 {
			t.Errorf("depth %d: %v allocations", depth, n)
		}
	}
}

// FuzzClientIP: a client behind a trusted proxy that appends its address can say what it likes.
func FuzzClientIP(f *testing.F) {
	f.Add("10.0.0.1")
	f.Add(",[,]::%,\t")
	f.Fuzz(func(t *testing.T, forged string) {
		x := arrivals(t, "10.0.0.1", "10.0.0.0/8").request("X-Forwarded-For: " + forged + ",203.0.113.5, 10.0.0.2, 10.0.0.1")
		if got := ClientIP(x, 0).String(); got != "203.0.113.5" {
			t.Errorf("%q: %s", forged, got)
		}
		if got := ClientIP(x, 2).String(); got != "203.0.113.5" {
			t.Errorf("%q: %s at depth 2", forged, got)
		}
	})
}
