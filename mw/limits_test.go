package mw

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

func TestRateLimitAnswers(t *testing.T) {
	eachVersion(t, func(t *testing.T, v codec.Version) {
		l := rateLimit(t, RateLimitOptions{Name: "login", Average: 10, Period: time.Minute, Burst: 2})
		b := newBed(t, l)
		for i := range 2 {
			if c := b.ask(v, "GET", "/"); c.status != 200 || c.field("RateLimit") != "" {
				t.Fatalf("request %d: %d, RateLimit %q", i, c.status, c.field("RateLimit"))
			}
		}
		b.advance(500 * time.Millisecond)
		c := b.ask(v, "GET", "/")
		if c.status != 429 || c.logged != 429 || c.err != errRate || !strings.Contains(c.body, "rate limit") {
			t.Errorf("%d %q, error %v", c.status, c.body, c.err)
		}
		for name, want := range map[string]string{"Retry-After": "6", "RateLimit-Policy": `"login";q=10;w=60`, "RateLimit": `"login";r=0;t=6`} {
			if got := c.field(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if len(b.requests) != 2 {
			t.Errorf("the server got %d requests", len(b.requests))
		}
		b.advance(6 * time.Second) // as Retry-After says
		if c := b.ask(v, "GET", "/"); c.status != 200 {
			t.Errorf("after the time told: %d", c.status)
		}
		if c := b.ask(v, "POST", "/"); c.status != 429 {
			t.Errorf("and at once again: %d", c.status)
		}
	})
}

// TestKeys has a limit of one request: two requests that are counted together are one too many.
func TestKeys(t *testing.T) {
	type client struct {
		from   string
		fields []string
	}
	forwarded := func(from, by string) client { return client{by, []string{"X-Forwarded-For: " + from}} }
	key := func(value string) client { return client{"198.51.100.7", []string{"X-Api-Key: " + value}} }
	for _, c := range []struct {
		what     string
		key      Key
		a, b     client
		together bool
	}{
		{"one address", Key{}, client{from: "198.51.100.7"}, client{from: "198.51.100.7"}, true},
		{"two addresses", Key{}, client{from: "198.51.100.7"}, client{from: "198.51.100.8"}, false},
		{"one /64", Key{}, client{from: "2001:db8:1:2::1"}, client{from: "2001:db8:1:2:ffff::9"}, true},
		{"two /64s", Key{}, client{from: "2001:db8:1:2::1"}, client{from: "2001:db8:1:3::1"}, false},
		{"version 4 and the /64 that looks like it", Key{}, client{from: "198.51.100.7"}, client{from: "::1:c633:6407:0:0"}, false},
		{"forged by a peer that is not trusted", Key{}, forwarded("192.0.2.1", "198.51.100.7"), forwarded("192.0.2.2", "198.51.100.7"), true},
		{"clients of a trusted peer", Key{}, forwarded("192.0.2.1", "10.0.0.1"), forwarded("192.0.2.2", "10.0.0.1"), false},
		{"one client by two trusted peers", Key{}, forwarded("192.0.2.1", "10.0.0.1"), forwarded("192.0.2.1", "10.0.0.2"), true},
		{"forged through a trusted peer", Key{}, forwarded("192.0.2.8, 192.0.2.1", "10.0.0.1"), forwarded("192.0.2.9, 192.0.2.1", "10.0.0.1"), true},
		{"all", Key{Kind: KeyGlobal}, client{from: "198.51.100.7"}, client{from: "2001:db8::1"}, true},
		{"one value", Key{KeyHeader, "x-api-key"}, key("a"), key("a"), true},
		{"of two clients", Key{KeyHeader, "x-api-key"}, key("a"), client{"192.0.2.1", []string{"X-Api-Key: a"}}, true},
		{"two values", Key{KeyHeader, "x-api-key"}, key("a"), key("A"), false},
		{"a value and none", Key{KeyHeader, "x-api-key"}, key("a"), client{from: "198.51.100.7"}, false},
		{"none, of one client", Key{KeyHeader, "x-api-key"}, client{from: "198.51.100.7"}, client{from: "198.51.100.7"}, true},
		{"none, of two", Key{KeyHeader, "x-api-key"}, client{from: "198.51.100.7"}, client{from: "198.51.100.8"}, false},
		{"one host", Key{KeyHeader, "Host"}, client{from: "198.51.100.7"}, client{from: "198.51.100.8"}, true},
	} {
		eachVersion(t, func(t *testing.T, v codec.Version) {
			b := newBed(t, rateLimit(t, RateLimitOptions{Average: 1, Burst: 1, Period: time.Hour, Key: c.key}))
			b.env.Trusted = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			var got [2]int
			for i, from := range []client{c.a, c.b} {
				b.from = netip.AddrPortFrom(netip.MustParseAddr(from.from), 5000)
				got[i] = b.ask(v, "GET", "/", from.fields...).status
			}
			want := [2]int{200, 200}
			if c.together {
				want[1] = 429
			}
			if got != want {
				t.Errorf("%s: %v, want %v", c.what, got, want)
			}
		})
	}
}

func TestInFlightLimitAnswers(t *testing.T) {
	eachVersion(t, func(t *testing.T, v codec.Version) {
		b := newBed(t, inFlightLimit(t, 2, Key{}))
		streams := func() *call { return b.begin(v, "POST", "/", unknown) }
		first, second := streams(), streams()
		if c := b.ask(v, "GET", "/"); c.status != 429 || c.err != errInFlight || !strings.Contains(c.body, "under way") {
			t.Errorf("the third is told %d %q", c.status, c.body)
		}
		first.send("content", true)
		if c := b.ask(v, "GET", "/"); first.status != 200 || c.status != 200 {
			t.Errorf("the first got %d, and the one after it %d", first.status, c.status)
		}
		third := streams()
		if c := b.ask(v, "GET", "/"); c.status != 429 {
			t.Errorf("with two under way again: %d", c.status)
		}
		second.leave()
		if c := b.ask(v, "GET", "/"); c.status != 200 {
			t.Errorf("after a client left: %d", c.status)
		}
		third.send("content", true)
	})
}

// TestInFlightLimitTwice: the same one twice in a chain counts twice and takes both back.
func TestInFlightLimitTwice(t *testing.T) {
	l := inFlightLimit(t, 2, Key{Kind: KeyGlobal})
	b := newBed(t, l, l)
	for i := range 3 {
		if c := b.ask(codec.HTTP11, "GET", "/"); c.status != 200 {
			t.Errorf("request %d: %d", i, c.status)
		}
	}
	odd := newBed(t, inFlightLimit(t, 3, Key{Kind: KeyGlobal}), l, l, l)
	for i := range 3 {
		if c := odd.ask(codec.HTTP11, "GET", "/"); c.status != 429 {
			t.Errorf("request %d: %d", i, c.status)
		}
	}
	if n := l.one.word.Load(); n != 0 {
		t.Errorf("%d requests are left over", n)
	}
}

func TestIPAllowListAnswers(t *testing.T) {
	for _, c := range []struct {
		what   string
		from   string
		depth  int
		fields []string
		want   int
	}{
		{"on the list", "192.0.2.9", 0, nil, 200},
		{"not on it", "198.51.100.7", 0, nil, 403},
		{"forged", "198.51.100.7", 0, []string{"X-Forwarded-For: 192.0.2.9"}, 403},
		{"forged, with a depth", "198.51.100.7", 1, []string{"X-Forwarded-For: 192.0.2.9"}, 403},
		{"forged otherwise", "198.51.100.7", 0, []string{"X-Real-Ip: 192.0.2.9", "Forwarded: for=192.0.2.9", "X-Client-Ip: 192.0.2.9"}, 403},
		{"behind a trusted peer", "10.0.0.1", 0, []string{"X-Forwarded-For: 192.0.2.9"}, 200},
		{"not on it, behind a trusted peer", "10.0.0.1", 0, []string{"X-Forwarded-For: 198.51.100.7"}, 403},
		{"forged behind a trusted peer", "10.0.0.1", 0, []string{"X-Forwarded-For: 192.0.2.9, 198.51.100.7"}, 403},
		{"forged in a field of its own", "10.0.0.1", 0, []string{"X-Forwarded-For: 192.0.2.9", "X-Forwarded-For: 198.51.100.7"}, 403},
		{"other fields of a trusted peer", "10.0.0.1", 0, []string{"X-Real-Ip: 192.0.2.9", "Forwarded: for=192.0.2.9"}, 403},
		{"a trusted peer is not on it for that", "10.0.0.1", 0, nil, 403},
		{"what the peer saw", "10.0.0.1", 1, []string{"X-Forwarded-For: 198.51.100.7, 192.0.2.9"}, 200},
		{"forged at depth 1", "10.0.0.1", 1, []string{"X-Forwarded-For: 192.0.2.9, 198.51.100.7"}, 403},
		{"depth 2", "10.0.0.1", 2, []string{"X-Forwarded-For: 192.0.2.9, 198.51.100.7"}, 200},
		{"fewer than the depth", "10.0.0.1", 2, []string{"X-Forwarded-For: 192.0.2.9"}, 403},
		{"garbage", "10.0.0.1", 0, []string{"X-Forwarded-For: 192.0.2.9, 192.0.2.x"}, 403},
		{"version 6", "2001:db8::1", 0, nil, 200},
		{"version 4 in version 6", "::ffff:192.0.2.9", 0, nil, 200},
	} {
		eachVersion(t, func(t *testing.T, v codec.Version) {
			b := newBed(t, allowList(t, c.depth, "192.0.2.0/24", "2001:db8::/32"))
			b.env.Trusted = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			b.from = netip.AddrPortFrom(netip.MustParseAddr(c.from), 5000)
			got := b.ask(v, "GET", "/", c.fields...)
			if got.status != c.want || (len(b.requests) > 0) != (c.want == 200) {
				t.Errorf("%s: %d, and the server got %d requests", c.what, got.status, len(b.requests))
			}
			if c.want == 403 && (got.err != errNotAllowed || !strings.Contains(got.body, "address of the client")) {
				t.Errorf("%s: %q, error %v", c.what, got.body, got.err)
			}
		})
	}
}

// TestLimitsAllocateNothing is of whole exchanges: those that pass, and those that are refused, which a flood has many of.
func TestLimitsAllocateNothing(t *testing.T) {
	for _, c := range []struct {
		what   string
		filter exchange.Filter
	}{
		{"rate_limit", rateLimit(t, RateLimitOptions{Average: 1_000_000, Burst: 1_000_000})},
		{"rate_limit, refused", rateLimit(t, RateLimitOptions{Average: 1, Burst: 1, Period: time.Hour})},
		{"in_flight_limit", inFlightLimit(t, 1, Key{})},
		{"ip_allow_list", allowList(t, 0, "198.51.100.0/24")},
		{"ip_allow_list, refused", allowList(t, 0, "192.0.2.0/24")},
	} {
		for _, v := range []codec.Version{codec.HTTP11, codec.HTTP2} {
			if n := allocs(t, v, "GET", "/", []string{"Accept: */*"}, c.filter); n != 0 {
				t.Errorf("%s, %v: %v allocations", c.what, v, n)
			}
		}
	}
}
