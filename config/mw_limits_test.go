package config

import (
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func TestLimits(t *testing.T) {
	c, err := Parse("c.yaml", []byte(around+`middlewares:
  a: {rate_limit: {average: 10}}
  b: {rate_limit: {average: 10, burst: 3, period_seconds: 60, key: "header:X-Api-Key"}}
  c: {in_flight_limit: {amount: 7}}
  d: {in_flight_limit: {amount: 7, key: global}}
  e: {ip_allow_list: {source_ranges: [10.1.2.3/8, "2001:db8::1", "::ffff:192.0.2.0/120"], depth: 2}}
`), environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]*Middleware{
		"a": {RateLimit: &RateLimit{10, 10, time.Second, LimitKey{Kind: LimitClientIP}}},
		"b": {RateLimit: &RateLimit{10, 3, time.Minute, LimitKey{LimitHeader, "X-Api-Key"}}},
		"c": {InFlightLimit: &InFlightLimit{7, LimitKey{Kind: LimitClientIP}}},
		"d": {InFlightLimit: &InFlightLimit{7, LimitKey{Kind: LimitGlobal}}},
		"e": {IPAllowList: &IPAllowList{[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128"),
			netip.MustParsePrefix("192.0.2.0/24")}, 2}},
	} {
		if got := c.Middlewares[name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestLimitErrors(t *testing.T) {
	const key = "expected client_ip, global or header:NAME, got "
	for _, c := range []struct{ keys, want string }{
		{"rate_limit: {}", "12:7: middlewares.a.rate_limit.average: missing, expected an integer from 1 to 1000000000"},
		{"rate_limit: {average: 0}", "12:29: middlewares.a.rate_limit.average: expected an integer from 1 to 1000000000, got 0"},
		{"rate_limit: {average: 1.5}", "12:29: middlewares.a.rate_limit.average: expected an integer from 1 to 1000000000, got 1.5"},
		{"rate_limit: {average: 1, burst: 0}", "12:39: middlewares.a.rate_limit.burst: expected an integer from 1 to 1000000000, got 0"},
		{"rate_limit: {average: 1, period_seconds: 86401}",
			"12:48: middlewares.a.rate_limit.period_seconds: expected an integer from 1 to 86400, got 86401"},
		{"rate_limit: {average: 1, period: 1}", `12:32: middlewares.a.rate_limit.period: unknown key, expected one of average, burst, key, period_seconds`},
		{"rate_limit: {average: 1000001}", "12:29: middlewares.a.rate_limit.average: more than 1000000 a second"},
		{"rate_limit: {average: 1, period_seconds: 86400, burst: 366}",
			"12:62: middlewares.a.rate_limit.burst: at this rate 366 requests take more than a year"},
		{"rate_limit: {average: 1, key: ip}", "12:37: middlewares.a.rate_limit.key: " + key + `"ip"`},
		{"rate_limit: {average: 1, key: global:x}", "12:37: middlewares.a.rate_limit.key: " + key + `"global:x"`},
		{"rate_limit: {average: 1, key: 'header:'}", "12:37: middlewares.a.rate_limit.key: " + key + `"header:"`},
		{"rate_limit: {average: 1, key: 'header:a b'}",
			"12:37: middlewares.a.rate_limit.key: " + key + `"header:a b": "a b" is no name of a field`},
		{"in_flight_limit: {}", "12:7: middlewares.a.in_flight_limit.amount: missing, expected an integer from 1 to 1000000"},
		{"in_flight_limit: {amount: -1}", "12:33: middlewares.a.in_flight_limit.amount: expected an integer from 1 to 1000000, got -1"},
		{"ip_allow_list: {}", "12:7: middlewares.a.ip_allow_list.source_ranges: missing, expected a list with at least one element"},
		{"ip_allow_list: {source_ranges: []}",
			"12:23: middlewares.a.ip_allow_list.source_ranges: expected a list with at least one element, got none"},
		{"ip_allow_list: {source_ranges: [10.0.0.0/33]}",
			`12:39: middlewares.a.ip_allow_list.source_ranges[0]: expected a network such as 10.0.0.0/8 or an IP address, got "10.0.0.0/33"`},
		{"ip_allow_list: {source_ranges: [10.0.0.1], depth: -1}",
			"12:57: middlewares.a.ip_allow_list.depth: expected an integer from 0 to 100, got -1"},
	} {
		_, err := Parse("c.yaml", []byte(around+"middlewares:\n  a: {"+c.keys+"}\n"), environment(nil))
		if err == nil || err.Error() != "c.yaml:"+c.want {
			t.Errorf("%s\n got %v\nwant c.yaml:%s", c.keys, err, c.want)
		}
	}
}
