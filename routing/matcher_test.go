package routing

import (
	"testing"

	"traffic_management/codec"
)

// Every row of the table of matchers and every vector of the rule language, one request each. Paths are routing paths.
func TestMatchers(t *testing.T) {
	host := func(h string) sample { return sample{authority: h, path: "/"} }
	path := func(p string) sample { return sample{authority: "a", path: p} }
	query := func(q string) sample { return sample{query: q} }
	peer := func(p string) sample { return sample{peer: p} }
	method := func(m string) sample { return sample{method: m} }
	fields := func(f ...[2]string) sample { return sample{fields: f} }
	for _, c := range []struct {
		rule string
		sample
		want bool
	}{
		{"Host(`*`)", host(""), true},
		{"Host(`a.com`)", host("a.com"), true},
		{"Host(`A.com`)", host("a.COM:443"), true},
		{"Host(`a.com`)", host("A.COM.:8080"), true},
		{"Host(`a.com.`)", host("a.com"), true},
		{"Host(`a.com.`)", host("a.com.:1"), true},
		{"Host(`a.com`)", host("a.com.."), false},
		{"Host(`a.com`)", host(" a.com\t"), true},
		{"Host(`a.com`)", host("b.a.com"), false},
		{"Host(`a.com`)", host(""), false},
		{"Host(`.`)", host(""), false},
		{"Host(`.`)", host("."), false},
		{"Host(`::1`)", host("[::1]:80"), true},
		{"Host(`2001:DB8::1`)", host("[2001:db8::1]"), true},
		{"Host(`a.com:80`)", host("a.com:80"), false},
		{"Host(`*.a.com`)", host("x.a.com"), true},
		{"Host(`*.A.com`)", host("X.a.com.:1"), true},
		{"Host(`*.a.com.`)", host("x.a.com"), true},
		{"Host(`*.a.com`)", host("x.y.a.com"), false},
		{"Host(`*.a.com`)", host("a.com"), false},
		{"Host(`*.com`)", host("com"), false},
		{"Host(`*foo.a.com`)", host("xfoo.a.com"), false},
		{"Host(`*foo.a.com`)", host("*foo.a.com"), false},
		{"!Host(`*foo.a.com`)", host("a"), true},
		{"HostRegexp(`^a`)", host("A.com:80"), true},
		{"HostRegexp(`^A`)", host("A.com"), false},
		{"HostRegexp(`(?i)^A`)", host("a.com"), true},
		{"HostRegexp(`om`)", host("a.com"), true},
		{"HostRegexp(`com$`)", host("a.com."), false},
		{"Path(`/foo`)", path("/foo"), true},
		{"Path(`/foo`)", path("/foo/"), false},
		{"Path(`/foo`)", path("/Foo"), false},
		{"Path(`/foo`)", path("/foobar"), false},
		{"Path(`/foo bar`)", path("/foo bar"), true},
		{"Path(`/a%2Fb`)", path("/a%2Fb"), true},
		{"Path(`/a/b`)", path("/a%2Fb"), false},
		{"Path(`/é`)", path("/\xc3\xa9"), true},
		{"PathPrefix(`/products`)", path("/products-for-sale"), true},
		{"PathPrefix(`/products`)", path("/products"), true},
		{"PathPrefix(`/products`)", path("/product"), false},
		{"PathPrefix(`/products/`)", path("/products"), false},
		{"PathPrefix(`/`)", path("*"), false},
		{"PathRegexp(`b+$`)", path("/abb"), true},
		{"PathRegexp(`^b`)", path("/abb"), false},
		{"Method(`get`)", method("GET"), true},
		{"Method(`GET`)", method("get"), false},
		{"Method(`GET`)", method("POST"), false},
		{"Method(`purge`)", method("PURGE"), true},
		{"Method(`purge`)", method("LINK"), false},
		{"Method(`purge`)", method("GET"), false},
		{"Header(`x-a`, `1`)", fields([2]string{"X-A", "1"}), true},
		{"Header(`X-A`, `v`)", fields([2]string{"X-A", "V"}), false},
		{"Header(`X-A`, `2`)", fields([2]string{"X-A", "1"}, [2]string{"X-A", "2"}), true},
		{"Header(`X-A`, `1`)", fields([2]string{"X-A", "1, 2"}), false},
		{"Header(`X-A`, `1`)", fields([2]string{"X-B", "1"}), false},
		{"Header(`ACCEPT`, `*/*`)", fields([2]string{"accept", "*/*"}), true},
		{"Header(`Accept`, `1`)", fields([2]string{"Age", "1"}), false},
		{"Header(`Host`, `a`)", fields([2]string{"Host", "a"}), false},
		{"!HeaderRegexp(`Host`, `a`)", fields([2]string{"Host", "a"}), true},
		{"HeaderRegexp(`Accept`, `html`)", fields([2]string{"Accept", "a"}, [2]string{"accept", "text/html"}), true},
		{"HeaderRegexp(`Accept`, `^html`)", fields([2]string{"Accept", "text/html"}), false},
		{"HeaderRegexp(`x-a`, `.`)", fields([2]string{"X-A", "1"}), true},
		{"Query(`k`)", query("k"), true},
		{"Query(`k`)", query("k="), true},
		{"Query(`k`)", query("k=1"), false},
		{"Query(`k`)", query("k=1&k"), true},
		{"Query(`k`)", query("K"), false},
		{"Query(`k`)", query(""), false},
		{"Query(`k`, `1`)", query("k=0&k=1"), true},
		{"Query(`k`, `a b`)", query("k=a+b"), true},
		{"Query(`k`, `a+b=c&`)", query("k=a%2bb=c%26"), true},
		{"Query(`k k`, `é`)", query("k%20k=%C3%A9"), true},
		{"Query(`k`, `1`)", query("j=2;k=1"), true},
		{"Query(`k`, `%zz`)", query("k=%zz"), false},
		{"Query(`k`, `1`)", query("k=%2&&k=1"), true},
		{"QueryRegexp(`k`)", query("k"), true},
		{"QueryRegexp(`k`)", query("k=1"), false},
		{"QueryRegexp(`k`, `^1`)", query("k=2&k=12"), true},
		{"QueryRegexp(`k`, `^1`)", query("k=21&j=1"), false},
		{"ClientIP(`10.0.0.1`)", peer("10.0.0.1"), true},
		{"ClientIP(`10.0.0.1`)", peer("::ffff:10.0.0.1"), true},
		{"ClientIP(`10.0.0.1`)", peer("10.0.0.2"), false},
		{"ClientIP(`10.0.0.7/8`)", peer("10.9.9.9"), true},
		{"ClientIP(`10.0.0.0/8`)", peer("11.0.0.0"), false},
		{"ClientIP(`2001:db8::/32`)", peer("2001:db8:1::"), true},
		{"ClientIP(`fe80::/10`)", peer("fe80::1%eth0"), true},
		{"ClientIP(`::/0`)", peer("10.0.0.1"), false},
		{"ClientIP(`0.0.0.0/0`)", peer(""), false},
		{"ClientIP(`0.0.0.0/0`)", sample{peer: "", fields: [][2]string{{"X-Forwarded-For", "10.0.0.1"}}}, false},
		{`!Host("a") && Path("/x")`, path("/x"), false},
		{`!(Host("a") && Path("/x"))`, path("/y"), true},
		{`!Host("a") && Path("/x")`, sample{authority: "b", path: "/x"}, true},
		{`Host("a") || Host("b") && Path("/x")`, path("/y"), true},
		{`(Host("a") || Host("b")) && Path("/x")`, path("/y"), false},
	} {
		table := NewTable([]Entry[int]{{Rule: mustParse(t, c.rule)}})
		var scratch Scratch
		if _, got := table.Match(c.request(), &scratch); got != c.want {
			t.Errorf("%s on %s: %v", c.rule, c.sample, got)
		}
	}
}

// The path as received goes through codec before it is matched.
func TestPathAsReceived(t *testing.T) {
	for _, c := range []struct {
		rule, received string
		want           bool
	}{
		{"Path(`/a%2Fb`)", "/a%2fb", true},
		{"Path(`/a/b`)", "/a%2fb", false},
		{"Path(`/foo`)", "/%66oo", true},
		{"Path(`/y`)", "//x/../y", true},
		{"Path(`/foo bar`)", "/foo%20bar", true},
		{"Path(`/a\\b`)", "/a%5Cb", true},
	} {
		normal, err := codec.NormalizePath(nil, []byte(c.received))
		if err != nil {
			t.Errorf("%s: %v", c.received, err)
			continue
		}
		s := sample{path: string(codec.RoutingPath(nil, normal))}
		table := NewTable([]Entry[int]{{Rule: mustParse(t, c.rule)}})
		var scratch Scratch
		if _, got := table.Match(s.request(), &scratch); got != c.want {
			t.Errorf("%s on %s: %v", c.rule, c.received, got)
		}
	}
}
