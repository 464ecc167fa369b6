package mw

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

func allowList(t testing.TB, depth int, networks ...string) *IPAllowList {
	t.Helper()
	o := IPAllowListOptions{Depth: depth}
	for _, n := range networks {
		o.SourceRanges = append(o.SourceRanges, netip.MustParsePrefix(n))
	}
	l, err := NewIPAllowList(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestIPAllowList(t *testing.T) {
	for _, c := range []struct {
		networks []string
		in, out  []string
	}{
		{[]string{"10.1.0.0/16"}, []string{"10.1.0.0", "10.1.2.3", "10.1.255.255"}, []string{"10.0.255.255", "10.2.0.0", "::ffff:0:1", "invalid"}},
		{[]string{"10.1.2.3/32"}, []string{"10.1.2.3"}, []string{"10.1.2.2", "10.1.2.4"}},
		{[]string{"10.1.2.99/24"}, []string{"10.1.2.0", "10.1.2.255"}, []string{"10.1.3.0"}},
		{[]string{"0.0.0.0/0"}, []string{"0.0.0.0", "255.255.255.255"}, []string{"::", "2001:db8::1", "invalid"}},
		{[]string{"::/0"}, []string{"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, []string{"10.0.0.1", "invalid"}},
		{[]string{"2001:db8::/33"}, []string{"2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"}, []string{"2001:db8:8000::"}},
		{[]string{"10.2.0.0/16", "10.0.0.0/8", "10.3.0.0/16", "192.0.2.0/24"}, []string{"10.0.0.0", "10.255.255.255", "192.0.2.7"}, []string{"11.0.0.0", "192.0.3.0"}},
		{[]string{"10.0.0.0/8", "10.0.0.0/8"}, []string{"10.9.9.9"}, []string{"9.255.255.255"}},
		{[]string{"10.0.1.0/24", "10.0.0.0/24"}, []string{"10.0.0.255", "10.0.1.0"}, []string{"10.0.2.0"}},
		{[]string{"2001:db8::/32", "10.0.0.0/8"}, []string{"2001:db8::1", "10.0.0.1"}, []string{"2001:db9::1", "11.0.0.1"}},
	} {
		l := allowList(t, 0, c.networks...)
		check := func(text string, want bool) {
			var a netip.Addr
			if text != "invalid" {
				a = netip.MustParseAddr(text)
			}
			if got := l.has(a); got != want {
				t.Errorf("%v: %s is let through: %v", c.networks, text, got)
			}
		}
		for _, text := range c.in {
			check(text, true)
		}
		for _, text := range c.out {
			check(text, false)
		}
	}
}

// randomPrefix is a network among few, so that many lie within others.
func randomPrefix(r *rand.Rand) netip.Prefix {
	if r.IntN(2) == 0 {
		a := netip.AddrFrom4([4]byte{10, byte(r.IntN(4)), byte(r.IntN(4)), byte(r.IntN(256))})
		return netip.PrefixFrom(a, 8+r.IntN(25))
	}
	b := [16]byte{0x20, 1, byte(r.IntN(4)), byte(r.IntN(4))}
	b[15] = byte(r.IntN(256))
	return netip.PrefixFrom(netip.AddrFrom16(b), 16+r.IntN(113))
}

func TestIPAllowListIsEachOfItsNetworks(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 8))
		o := IPAllowListOptions{}
		for range 1 + r.IntN(30) {
			o.SourceRanges = append(o.SourceRanges, randomPrefix(r))
		}
		l, err := NewIPAllowList(o)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			a := randomPrefix(r).Addr()
			switch p := o.SourceRanges[r.IntN(len(o.SourceRanges))]; r.IntN(4) {
			case 0:
				a = p.Masked().Addr().Prev()
			case 1:
				a = lastOf(p).Next()
			case 2:
				a = lastOf(p)
			}
			if got, want := l.has(a), isIn(a, o.SourceRanges); got != want {
				t.Fatalf("seed %d: %v of %v is let through: %v", seed, a, o.SourceRanges, got)
			}
		}
	}
}

func TestIPAllowListOptions(t *testing.T) {
	network := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, o := range []IPAllowListOptions{{}, {SourceRanges: network, Depth: -1}, {SourceRanges: []netip.Prefix{{}}}} {
		if _, err := NewIPAllowList(o); err == nil {
			t.Errorf("%+v is no error", o)
		}
	}
}

func TestIPAllowListAllocatesNothing(t *testing.T) {
	l := allowList(t, 0, "203.0.113.0/24", "2001:db8::/32")
	x := arrivals(t, "10.0.0.1", "10.0.0.0/8").request("X-Forwarded-For: 203.0.113.5, 10.0.0.2, 10.0.0.1")
	if n := testing.AllocsPerRun(100, func() { l.Request(x) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkIPAllowList(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := IPAllowListOptions{}
			for i := range n {
				a := netip.AddrFrom4([4]byte{byte(20 + i>>16), byte(i >> 8), byte(i), 0})
				o.SourceRanges = append(o.SourceRanges, netip.PrefixFrom(a, 25))
			}
			l, err := NewIPAllowList(o)
			if err != nil {
				b.Fatal(err)
			}
			a := netip.MustParseAddr("20.0.0.77")
			for b.Loop() {
				l.has(a)
			}
		})
	}
}
