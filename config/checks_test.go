package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// serviceWith is a whole document whose only service has these keys on line 5, from column 7.
func serviceWith(keys string) string {
	return minimal + "services:\n  s: {" + keys + "}\n"
}

// oneServer is the key of a service's servers.
const oneServer = `servers: [{url: "http://a"}]`

// TestChecks is of what is wrong across keys, and of the forms of the values that this needs.
func TestChecks(t *testing.T) {
	for _, tc := range []struct{ name, doc, want string }{
		{"hash without the strategy", serviceWith("load_balancer: {hash_on: path}, " + oneServer),
			`5:32: services.s.load_balancer.hash_on: only for the strategy consistent_hash, this one is round_robin`},
		{"hash beside a misspelt strategy", serviceWith("load_balancer: {hash_on: path, strategy: consistent_hsh}, " + oneServer),
			`5:48: services.s.load_balancer.strategy: expected one of ` + strategies() + `, got "consistent_hsh"`},
		{"sticky without a cookie", serviceWith("load_balancer: {sticky: {}}, " + oneServer),
			`5:23: services.s.load_balancer.sticky.cookie: missing, expected a mapping`},
		{"cookie without a name", serviceWith("load_balancer: {sticky: {cookie: {}}}, " + oneServer),
			`5:32: services.s.load_balancer.sticky.cookie.name: missing, expected a cookie's name`},
		{"cookie's name", serviceWith("load_balancer: {sticky: {cookie: {name: a=b}}}, " + oneServer),
			`5:47: services.s.load_balancer.sticky.cookie.name: expected a cookie's name, got "a=b"`},
		{"none without secure", serviceWith("load_balancer: {sticky: {cookie: {name: a, same_site: none}}}, " + oneServer),
			`5:61: services.s.load_balancer.sticky.cookie.same_site: clients refuse such a cookie unless secure is true`},
		{"prefix without secure", serviceWith("load_balancer: {sticky: {cookie: {name: __Host-a, secure: false}}}, " + oneServer),
			`5:47: services.s.load_balancer.sticky.cookie.name: clients refuse a cookie of this name unless secure is true`},

		{"no path", serviceWith("health_check: {}, " + oneServer),
			`5:7: services.s.health_check.path: missing, expected a path such as /health; or type: tcp`},
		{"no path beside a misspelt type", serviceWith("health_check: {type: udp}, " + oneServer),
			`5:28: services.s.health_check.type: expected one of http, tcp, got "udp"`},
		{"path without a slash", serviceWith("health_check: {path: health}, " + oneServer),
			`5:28: services.s.health_check.path: expected a path such as /health, got "health"`},
		{"path with a fragment", serviceWith("health_check: {path: '/a#b'}, " + oneServer),
			`5:28: services.s.health_check.path: expected a path such as /health, got "/a#b"`},
		{"path with a line feed", serviceWith(`health_check: {path: "/a\n"}, ` + oneServer),
			`5:28: services.s.health_check.path: expected a path such as /health, got "/a\n"`},
		{"keys of a request for a connection", serviceWith("health_check: {type: tcp, path: /, expected_status: [200]}, " + oneServer),
			`5:39: services.s.health_check.path: only for checks of the type http, this one is tcp
5:42: services.s.health_check.expected_status: only for checks of the type http, this one is tcp`},
		{"content of HEAD", serviceWith("health_check: {path: /, method: HEAD, body_contains: ok}, " + oneServer),
			`5:60: services.s.health_check.body_contains: the answer to a HEAD request has no content`},
		{"port of a unix socket", serviceWith("health_check: {type: tcp, port: 1}, servers: [{url: unix:/s}]"),
			`5:39: services.s.health_check.port: server unix:/s has no ports`},
		{"field names", serviceWith(`health_check: {path: /, headers: {a b: c, X-A: d, x-a: e, Content-Length: "1"}}, ` + oneServer),
			`5:41: services.s.health_check.headers.a b: expected a field name, got "a b"
5:57: services.s.health_check.headers.x-a: the same field as X-A
5:65: services.s.health_check.headers.Content-Length: the proxy sets this field itself`},
		{"field values", serviceWith(`health_check: {path: /, headers: {A: "", B: " c", C: "d\r\nE: f", D: 1}}, ` + oneServer),
			`5:44: services.s.health_check.headers.A: expected a field's value, got ""
5:51: services.s.health_check.headers.B: expected a field's value, got " c"
5:60: services.s.health_check.headers.C: expected a field's value, got "d\r\nE: f"
5:76: services.s.health_check.headers.D: expected a field's value, got 1`},
		{"no status", serviceWith("health_check: {path: /, expected_status: []}, " + oneServer),
			`5:31: services.s.health_check.expected_status: expected a list with at least one element, got none`},
		{"only backups", serviceWith("servers: [{url: unix:/a, backup: true}, {url: unix:/b, backup: true}]"),
			`5:7: services.s.servers: all of them are backups, expected one at least that is not`},

		{"no kind", around + "middlewares:\n  a: {}\n", `12:3: middlewares.a: expected ` + oneKind + `, got none`},
		{"two kinds", around + "middlewares:\n  a: {retry: {attempts: 1}, circuit_breaker: {}}\n",
			`12:29: middlewares.a.circuit_breaker: a second kind beside retry, expected ` + oneKind},
		{"misspelt kind", around + "middlewares: {a: {rety: {}}}\n", `11:19: middlewares.a.rety: unknown key, did you mean "retry"?`},
		{"no attempts", around + "middlewares: {a: {retry: }}\n",
			`11:19: middlewares.a.retry.attempts: missing, expected an integer from 1 to 100`},
		{"intervals", around + "middlewares: {a: {retry: {attempts: 1, initial_interval_ms: 6000}}}\n",
			`11:19: middlewares.a.retry.max_interval_ms: 5000 is less than initial_interval_ms, 6000`},
		{"intervals given", around + "middlewares: {a: {retry: {attempts: 1, max_interval_ms: 99}}}\n",
			`11:57: middlewares.a.retry.max_interval_ms: 99 is less than initial_interval_ms, 100`},
		{"unknown middleware", around + "    middlewares: [again, agin]\nmiddlewares: {again: {retry: {attempts: 1}}}\n",
			`11:26: routers.api.middlewares[1]: unknown middleware "agin", did you mean "again"?`},
		{"two of a kind", around + "    middlewares: [a, c, b]\n" +
			"middlewares: {a: {retry: {attempts: 1}}, b: {retry: {attempts: 2}}, c: {circuit_breaker: }}\n",
			`11:25: routers.api.middlewares[2]: a second retry, after "a"`},
		{"one twice", around + "    middlewares: [a, a]\nmiddlewares: {a: {circuit_breaker: {}}}\n",
			`11:22: routers.api.middlewares[1]: a second circuit breaker, after "a"`},
		{"faulty middlewares", around + "    middlewares: [a, b, '']\nmiddlewares: {a: {}, b: {}}\n",
			`11:25: routers.api.middlewares[2]: expected the name of a middleware, got ""
12:15: middlewares.a: expected ` + oneKind + `, got none
12:22: middlewares.b: expected ` + oneKind + `, got none`},

		{"h2c", "entrypoints: {a: {address: \":1\", http: {upgrade_protocols: [WebSocket, H2C]}}}\n",
			`1:72: entrypoints.a.http.upgrade_protocols[1]: expected a protocol's name such as websocket, got "H2C": ` +
				`requests inside it would not be seen by the proxy`},
		{"protocol with a version", "entrypoints: {a: {address: \":1\", http: {upgrade_protocols: [irc/6.9]}}}\n",
			`1:61: entrypoints.a.http.upgrade_protocols[0]: expected a protocol's name such as websocket, got "irc/6.9"`},
		{"admin taken", around + "metrics: {address: \"127.0.0.1:9100\"}\nadmin: {address: \"127.0.0.1:9100\"}\n",
			`12:18: admin.address: 127.0.0.1:9100 is taken by metrics.address on line 11`},
		{"tunnels after the end", around + "shutdown: {drain_timeout_seconds: 10, tunnel_timeout_seconds: 11}\n",
			`11:63: shutdown.tunnel_timeout_seconds: 11 is more than drain_timeout_seconds, 10, when everything ends`},
	} {
		t.Run(tc.name, func(t *testing.T) { expectErrors(t, tc.doc, tc.want) })
	}
}

// oneKind is what a middleware has.
var oneKind = "exactly one of " + strings.Join(Kinds(), ", ")

// strategies is the list of the strategies in messages.
func strategies() string {
	var words []string
	for _, w := range Strategy("").words() {
		words = append(words, string(w))
	}
	return strings.Join(words, ", ")
}

func TestAdminAddresses(t *testing.T) {
	for address, local := range map[string]bool{
		"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "[::ffff:127.0.0.1]:1": true, "LocalHost:1": true,
		"unix:/run/admin.sock": true, ":1": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "admin.local:1": false,
	} {
		doc := fmt.Sprintf("%sadmin: {address: %q}\n", minimal, address)
		if _, err := Parse("c.yaml", []byte(doc), testEnv); (err == nil) != local {
			t.Errorf("%s: %v, want local %v", address, err, local)
		} else if err != nil && !strings.Contains(err.Error(), "c.yaml:4:18: admin.address: ") {
			t.Errorf("%s: %v", address, err)
		}
		c := mustParse(t, strings.Replace(doc, "}", ", allow_remote: true}", 1))
		if !c.Admin.AllowRemote {
			t.Errorf("%s: remote connections are not allowed", address)
		}
	}
}

func TestStatusCodes(t *testing.T) {
	const doc = minimal + "middlewares:\n  m: {retry: {attempts: 1, on_status: [%s]}}\n"
	for text, want := range map[string]string{
		`200`: "[200]", `"503"`: "[503]", `500-599`: "[500-599]", `"502-504", 429`: "[502-504 429]", `404-404`: "[404]",
		`"${env:STATUS}"`: "[500-503]", ``: "[]",
	} {
		env := environment(map[string]string{"STATUS": "500-503"})
		c, err := Parse("c.yaml", fmt.Appendf(nil, doc, text), env)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := fmt.Sprint(c.Middlewares["m"].Retry.OnStatus); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for text, fault := range map[string]string{
		`199`: "", `600`: "", `20`: "", `100-199`: "", `2xx`: "", `200-`: "", `-200`: "", `"+200"`: "", `"0200"`: "", `200.0`: "",
		`"200 - 299"`: "", `true`: "", `[200]`: "", `200-599-599`: "", `599-500`: ": the range is empty",
	} {
		_, err := Parse("c.yaml", fmt.Appendf(nil, doc, text), testEnv)
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.HasSuffix(err.Error(), fault) ||
			!strings.HasPrefix(err.Error(), "c.yaml:5:40: middlewares.m.retry.on_status[0]: "+
				"expected a status code from 200 to 599 or a range such as 200-399, got ") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestHashOn(t *testing.T) {
	for text, want := range map[string]HashOn{
		"client_ip": {HashClientIP, ""}, "path": {HashPath, ""}, "header:X-User": {HashHeader, "X-User"},
		"cookie:id": {HashCookie, "id"}, "query:a[]": {HashQuery, "a[]"}, "query:a:b": {HashQuery, "a:b"},
	} {
		got, err := parseHashOn(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %+v %v, want %+v", text, got, err, want)
		}
	}
	for text, fault := range map[string]string{
		"": errForm.Error(), "client_ip:": errForm.Error(), "path:/a": errForm.Error(), "header": errForm.Error(),
		"header:": errForm.Error(), "query:": errForm.Error(), "url": errForm.Error(), "Header:a": errForm.Error(),
		"header:a b": `"a b" is no name of a header`, "cookie:a;": `"a;" is no name of a cookie`,
	} {
		if got, err := parseHashOn(text); err == nil || err.Error() != fault {
			t.Errorf("%q: %+v %v, want %s", text, got, err, fault)
		}
	}
}

// TestResilienceValues gives every key of health, failure, change and end of processes a value that is not its default.
func TestResilienceValues(t *testing.T) {
	c := mustParse(t, `
entrypoints:
  a: {address: ":1", http: {tunnel_idle_timeout_seconds: 60, upgrade_protocols: [WebSocket, TLS]}}
  b: {address: ":2", http: {upgrade_protocols: []}}
services:
  s:
    load_balancer:
      sticky:
        cookie: {name: __Secure-s, secure: true, http_only: false, same_site: none, max_age_seconds: 60, secret: "${env:SECRET}"}
      slow_start_seconds: 20
      panic_threshold_percent: 0
    servers:
    - url: http://a
    - {url: "http://b", backup: true}
    health_check:
      path: /ready?deep=1
      method: POST
      headers: {Host: a.example, X-Key: "${env:SECRET}"}
      expected_status: [200, 300-302]
      body_contains: ok
      interval_seconds: 1
      timeout_ms: 100
      healthy_threshold: 1
      unhealthy_threshold: 4
      port: 9000
    outlier_detection: {consecutive_errors: 1, base_ejection_seconds: 2, max_ejected_percent: 3}
  t:
    load_balancer: {strategy: consistent_hash, hash_on: "header:X-User"}
    servers: [{url: unix:/t}]
    health_check: {type: tcp}
    outlier_detection:
routers:
  r: {rule: x, service: s, middlewares: [breaker, again]}
middlewares:
  again:
    retry: {attempts: 3, initial_interval_ms: 1, max_interval_ms: 2, budget_percent: 4, on_status: [503], non_idempotent: true,
      max_body_bytes: 5, attempt_timeout_ms: 6}
  breaker:
    circuit_breaker: {failure_threshold: 1, failure_ratio: 0.5, min_requests: 2, window_seconds: 3, recovery_timeout_seconds: 4,
      half_open_requests: 5, status_codes: [500, 502-504]}
  default: {circuit_breaker: }
admin: {address: "127.0.0.1:9101"}
limits: {max_connections: 10, memory_bytes: 20}
reload: {watch: false, old_exchanges_seconds: 30}
shutdown: {drain_timeout_seconds: 40, idle_close_seconds: 50, tunnel_timeout_seconds: 0}
`)
	a, b, s, u := c.EntryPoints["a"].HTTP, c.EntryPoints["b"].HTTP, c.Services["s"], c.Services["t"]
	same(t, a.TunnelIdleTimeout, time.Minute)
	same(t, a.UpgradeProtocols, []string{"websocket", "tls"})
	same(t, b.UpgradeProtocols, []string{})
	same(t, u.LoadBalancer, LoadBalancer{Strategy: ConsistentHash, HashOn: HashOn{HashHeader, "X-User"}, PanicThreshold: 10})
	same(t, s.LoadBalancer, LoadBalancer{Strategy: RoundRobin, HashOn: HashOn{Kind: HashClientIP},
		Sticky: &Sticky{StickyCookie{Name: "__Secure-s", Secure: true, SameSite: SameSiteNone, MaxAge: time.Minute,
			Secret: "hunter2"}}, SlowStart: 20 * time.Second})
	same(t, []bool{s.Servers[0].Backup, s.Servers[1].Backup}, []bool{false, true})
	same(t, s.HealthCheck, &HealthCheck{Type: HealthHTTP, Path: "/ready?deep=1", Method: "POST",
		Headers:        map[string]string{"Host": "a.example", "X-Key": "hunter2"},
		ExpectedStatus: []StatusRange{{200, 200}, {300, 302}}, BodyContains: "ok", Interval: time.Second,
		Timeout: 100 * time.Millisecond, Healthy: 1, Unhealthy: 4, Port: 9000})
	same(t, s.OutlierDetection, &OutlierDetection{1, 2 * time.Second, 3})
	same(t, u.HealthCheck, &HealthCheck{Type: HealthTCP, Method: "GET", Headers: map[string]string{},
		ExpectedStatus: []StatusRange{{200, 399}}, Interval: 10 * time.Second, Timeout: 2 * time.Second, Healthy: 2, Unhealthy: 3})
	same(t, u.OutlierDetection, &OutlierDetection{5, 30 * time.Second, 50})
	same(t, c.Routers["r"].Middlewares, []string{"breaker", "again"})
	same(t, c.Middlewares, map[string]*Middleware{
		"again": {Retry: &Retry{Attempts: 3, InitialInterval: time.Millisecond, MaxInterval: 2 * time.Millisecond, BudgetPercent: 4,
			OnStatus: []StatusRange{{503, 503}}, NonIdempotent: true, MaxBody: 5, AttemptTimeout: 6 * time.Millisecond}},
		"breaker": {CircuitBreaker: &CircuitBreaker{FailureThreshold: 1, FailureRatio: 0.5, MinRequests: 2, Window: 3 * time.Second,
			Recovery: 4 * time.Second, HalfOpenRequests: 5, StatusCodes: []StatusRange{{500, 500}, {502, 504}}}},
		"default": {CircuitBreaker: &CircuitBreaker{FailureThreshold: 5, MinRequests: 20, Window: 10 * time.Second,
			Recovery: 30 * time.Second, HalfOpenRequests: 1, StatusCodes: []StatusRange{{500, 599}}}},
	})
	same(t, c.Admin, &Admin{Address: Address{Host: "127.0.0.1", Port: 9101}})
	same(t, c.Limits, Limits{10, 20})
	same(t, c.Reload, Reload{false, 30 * time.Second})
	same(t, c.Shutdown, Shutdown{40 * time.Second, 50 * time.Second, 0})
}

func same[T any](t *testing.T, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestRetryDefaults(t *testing.T) {
	c := mustParse(t, minimal+"middlewares: {m: {retry: {attempts: 2}}}\n")
	same(t, c.Middlewares["m"].Retry, &Retry{Attempts: 2, InitialInterval: 100 * time.Millisecond, MaxInterval: 5 * time.Second,
		BudgetPercent: 20, MaxBody: 65536})
}

// TestDefaultsAreOwn holds that what one entry point does to its list is not seen by another's.
func TestDefaultsAreOwn(t *testing.T) {
	c := mustParse(t, "entrypoints: {a: {address: \":1\"}, b: {address: \":2\"}}\n")
	c.EntryPoints["a"].HTTP.UpgradeProtocols[0] = "x"
	same(t, c.EntryPoints["b"].HTTP.UpgradeProtocols, []string{"websocket"})
}

func TestSecret(t *testing.T) {
	cookie := StickyCookie{Name: "a", Secret: "hunter2"}
	marshalled, err := json.Marshal(cookie)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(cookie.Secret), fmt.Sprintf("%+v", cookie), fmt.Sprintf("%#v", cookie),
		string(marshalled)} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "***") {
			t.Errorf("a secret is shown as %s", text)
		}
	}
	if s := Secret(""); fmt.Sprint(s) != "" {
		t.Errorf("no secret is shown as %q", s)
	}
}
