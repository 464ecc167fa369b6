package routing

import (
	"testing"

	"traffic_management/codec"
)

// trial is one request against one rule.
type trial struct {
	rule string
	sample
	want bool
}

func try(t *testing.T, trials []trial) {
	t.Helper()
	for _, c := range trials {
		table := NewTable([]Entry[int]{{Rule: mustParse(t, c.rule)}})
		var scratch Scratch
		if _, got := table.Match(c.request(), &scratch); got != c.want {
			t.Errorf("%s on %s: %v", c.rule, c.sample, got)
		}
	}
}

func toHost(h string) sample           { return sample{authority: h, path: "/"} }
func toPath(p string) sample           { return sample{authority: "a", path: p} }
func withQuery(q string) sample        { return sample{query: q} }
func withMethod(m string) sample       { return sample{method: m} }
func withFields(f ...[2]string) sample { return sample{fields: f} }
func fromPeer(p string) sample         { return sample{peer: p} }

func TestHostMatchers(t *testing.T) {
	try(t, []trial{
		{"Host(`*`)", toHost(""), true},
		{"Host(`a.com`)", toHost("a.com"), true},
		{"Host(`A.com`)", toHost("a.COM:443"), true},
		{"Host(`a.com`)", toHost("A.COM.:8080"), true},
		{"Host(`a.com.`)", toHost("a.com"), true},
		{"Host(`a.com.`)", toHost("a.com.:1"), true},
		{"Host(`a.com`)", toHost("a.com.."), false},
		{"Host(`a.com`)", toHost(" a.com\t"), true},
		{"Host(`a.com`)", toHost("b.a.com"), false},
		{"Host(`a.com`)", toHost(""), false},
		{"Host(`.`)", toHost(""), false},
		{"Host(`.`)", toHost("."), false},
		{"Host(`::1`)", toHost("[::1]:80"), true},
		{"Host(`2001:DB8::1`)", toHost("[2001:db8::1]"), true},
		{"Host(`a.com:80`)", toHost("a.com:80"), false},
		{"Host(`*.a.com`)", toHost("x.a.com"), true},
		{"Host(`*.A.com`)", toHost("X.a.com.:1"), true},
		{"Host(`*.a.com.`)", toHost("x.a.com"), true},
		{"Host(`*.a.com`)", toHost("x.y.a.com"), false},
		{"Host(`*.a.com`)", toHost("a.com"), false},
		{"Host(`*.com`)", toHost("com"), false},
		{"Host(`*foo.a.com`)", toHost("xfoo.a.com"), false},
		{"Host(`*foo.a.com`)", toHost("*foo.a.com"), false},
		{"!Host(`*foo.a.com`)", toHost("a"), true},
		{"HostRegexp(`^a`)", toHost("A.com:80"), true},
		{"HostRegexp(`^A`)", toHost("A.com"), false},
		{"HostRegexp(`(?i)^A`)", toHost("a.com"), true},
		{"HostRegexp(`om`)", toHost("a.com"), true},
		{"HostRegexp(`com$`)", toHost("a.com."), false},
	})
}

func TestPathMatchers(t *testing.T) {
	try(t, []trial{
		{"Path(`/foo`)", toPath("/foo"), true},
		{"Path(`/foo`)", toPath("/foo/"), false},
		{"Path(`/foo`)", toPath("/Foo"), false},
		{"Path(`/foo`)", toPath("/foobar"), false},
		{"Path(`/foo bar`)", toPath("/foo bar"), true},
		{"Path(`/a%2Fb`)", toPath("/a%2Fb"), true},
		{"Path(`/a/b`)", toPath("/a%2Fb"), false},
		{"Path(`/é`)", toPath("/\xc3\xa9"), true},
		{"PathPrefix(`/products`)", toPath("/products-for-sale"), true},
		{"PathPrefix(`/products`)", toPath("/products"), true},
		{"PathPrefix(`/products`)", toPath("/product"), false},
		{"PathPrefix(`/products/`)", toPath("/products"), false},
		{"PathPrefix(`/`)", toPath("*"), false},
		{"PathRegexp(`b+$`)", toPath("/abb"), true},
		{"PathRegexp(`^b`)", toPath("/abb"), false},
	})
}

func TestMethodMatcher(t *testing.T) {
	try(t, []trial{
		{"Method(`get`)", withMethod("GET"), true},
		{"Method(`GET`)", withMethod("get"), false},
		{"Method(`GET`)", withMethod("POST"), false},
		{"Method(`purge`)", withMethod("PURGE"), true},
		{"Method(`purge`)", withMethod("LINK"), false},
		{"Method(`purge`)", withMethod("GET"), false},
	})
}

func TestHeaderMatchers(t *testing.T) {
	try(t, []trial{
		{"Header(`x-a`, `1`)", withFields([2]string{"X-A", "1"}), true},
		{"Header(`X-A`, `v`)", withFields([2]string{"X-A", "V"}), false},
		{"Header(`X-A`, `2`)", withFields([2]string{"X-A", "1"}, [2]string{"X-A", "2"}), true},
		{"Header(`X-A`, `1`)", withFields([2]string{"X-A", "1, 2"}), false},
		{"Header(`X-A`, `1`)", withFields([2]string{"X-B", "1"}), false},
		{"Header(`ACCEPT`, `*/*`)", withFields([2]string{"accept", "*/*"}), true},
		{"Header(`Accept`, `1`)", withFields([2]string{"Age", "1"}), false},
		{"Header(`Host`, `a`)", withFields([2]string{"Host", "a"}), false},
		{"!HeaderRegexp(`Host`, `a`)", withFields([2]string{"Host", "a"}), true},
		{"HeaderRegexp(`Accept`, `html`)", withFields([2]string{"Accept", "a"}, [2]string{"accept", "text/html"}), true},
		{"HeaderRegexp(`Accept`, `^html`)", withFields([2]string{"Accept", "text/html"}), false},
		{"HeaderRegexp(`x-a`, `.`)", withFields([2]string{"X-A", "1"}), true},
	})
}

func TestQueryMatchers(t *testing.T) {
	try(t, []trial{
		{"Query(`k`)", withQuery("k"), true},
		{"Query(`k`)", withQuery("k="), true},
		{"Query(`k`)", withQuery("k=1"), false},
		{"Query(`k`)", withQuery("k=1&k"), true},
		{"Query(`k`)", withQuery("K"), false},
		{"Query(`k`)", withQuery(""), false},
		{"Query(`k`, `1`)", withQuery("k=0&k=1"), true},
		{"Query(`k`, `a b`)", withQuery("k=a+b"), true},
		{"Query(`k`, `a+b=c&`)", withQuery("k=a%2bb=c%26"), true},
		{"Query(`k k`, `é`)", withQuery("k%20k=%C3%A9"), true},
		{"Query(`k`, `1`)", withQuery("j=2;k=1"), true},
		{"Query(`k`, `%zz`)", withQuery("k=%zz"), false},
		{"Query(`k`, `1`)", withQuery("k=%2&&k=1"), true},
		{"QueryRegexp(`k`)", withQuery("k"), true},
		{"QueryRegexp(`k`)", withQuery("k=1"), false},
		{"QueryRegexp(`k`, `^1`)", withQuery("k=2&k=12"), true},
		{"QueryRegexp(`k`, `^1`)", withQuery("k=21&j=1"), false},
	})
}

func TestClientIPMatcher(t *testing.T) {
	try(t, []trial{
		{"ClientIP(`10.0.0.1`)", fromPeer("10.0.0.1"), true},
		{"ClientIP(`10.0.0.1`)", fromPeer("::ffff:10.0.0.1"), true},
		{"ClientIP(`10.0.0.1`)", fromPeer("10.0.0.2"), false},
		{"ClientIP(`10.0.0.7/8`)", fromPeer("10.9.9.9"), true},
		{"ClientIP(`10.0.0.0/8`)", fromPeer("11.0.0.0"), false},
		{"ClientIP(`2001:db8::/32`)", fromPeer("2001:db8:1::"), true},
		{"ClientIP(`fe80::/10`)", fromPeer("fe80::1%eth0"), true},
		{"ClientIP(`::/0`)", fromPeer("10.0.0.1"), false},
		{"ClientIP(`0.0.0.0/0`)", fromPeer(""), false},
		{"ClientIP(`0.0.0.0/0`)", sample{peer: "", fields: [][2]string{{"X-Forwarded-For", "10.0.0.1"}}}, false},
	})
}

func TestOperators(t *testing.T) {
	try(t, []trial{
		{`!Host("a") && Path("/x")`, toPath("/x"), false},
		{`!(Host("a") && Path("/x"))`, toPath("/y"), true},
		{`!Host("a") && Path("/x")`, sample{authority: "b", path: "/x"}, true},
		{`Host("a") || Host("b") && Path("/x")`, toPath("/y"), true},
		{`(Host("a") || Host("b")) && Path("/x")`, toPath("/y"), false},
	})
}

// The path as received goes through codec before it is matched.
func TestPathAsReceived(t *testing.T) {
	for _, c := range []trial{
		{"Path(`/a%2Fb`)", toPath("/a%2fb"), true},
		{"Path(`/a/b`)", toPath("/a%2fb"), false},
		{"Path(`/foo`)", toPath("/%66oo"), true},
		{"Path(`/y`)", toPath("//x/../y"), true},
		{"Path(`/foo bar`)", toPath("/foo%20bar"), true},
		{"Path(`/a\\b`)", toPath("/a%5Cb"), true},
	} {
		normal, err := codec.NormalizePath(nil, []byte(c.path))
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		c.path = string(codec.RoutingPath(nil, normal))
		try(t, []trial{c})
	}
}
