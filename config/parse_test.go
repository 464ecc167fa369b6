package config

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// environment is an env with these variables.
func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

var testEnv = environment(map[string]string{"PORT": "8081", "HOST": "10.0.0.7", "EMPTY": "", "OFF": "false", "SECRET": "hunter2"})

func mustParse(t *testing.T, doc string) *Config {
	t.Helper()
	c, err := Parse("c.yaml", []byte(doc), testEnv)
	if err != nil {
		t.Fatalf("%v\nin:\n%s", err, doc)
	}
	return c
}

const minimal = `entrypoints:
  web:
    address: ":80"
`

func TestDefaults(t *testing.T) {
	c := mustParse(t, minimal+`
services:
  api:
    servers: [{url: "http://10.0.0.1:8000"}]
routers:
  api:
    rule: PathPrefix("/")
    service: api
access_log:
metrics: {address: "localhost:9100"}
`)
	if got, want := c.EntryPoints["web"], (&EntryPoint{
		Address:  Address{Port: 80},
		Protocol: ProtocolHTTP,
		HTTP: HTTP{
			HeaderTimeout: 10 * time.Second, BodyIdleTimeout: 30 * time.Second, BodyMinBytesPerSecond: 240,
			BodyGrace: 10 * time.Second, IdleTimeout: 75 * time.Second, WriteTimeout: time.Minute,
			MaxHeadBytes: 16384, MaxHeaders: 100, AliasHeaders: AliasDrop,
			TunnelIdleTimeout: time.Hour, UpgradeProtocols: []string{"websocket"},
			HTTP2: HTTP2{MaxConcurrentStreams: 100, InitialWindow: 65536, ConnectionWindow: 1 << 20},
		},
	}); !reflect.DeepEqual(got, want) {
		t.Errorf("entry point\n got %+v\nwant %+v", got, want)
	}
	if got, want := c.Services["api"], (&Service{
		LoadBalancer: LoadBalancer{Strategy: RoundRobin, HashOn: HashOn{Kind: HashClientIP}, PanicThreshold: 10},
		Servers:      []Server{{URL: ServerURL{SchemeHTTP, Address{Host: "10.0.0.1", Port: 8000}}, Weight: 1}},
		Timeouts: Timeouts{Connect: 3 * time.Second, Request: time.Minute, ResponseIdle: time.Minute,
			Queue: time.Second},
		Pool:           Pool{MaxIdlePerServer: 128, IdleTimeout: 30 * time.Second, Multiplex: MultiplexOff, PipelineDepth: 8},
		PassHostHeader: true,
	}); !reflect.DeepEqual(got, want) {
		t.Errorf("service\n got %+v\nwant %+v", got, want)
	}
	if got, want := c.Routers["api"], (&Router{EntryPoints: []string{"web"}, Rule: `PathPrefix("/")`,
		Service: "api"}); !reflect.DeepEqual(got, want) {
		t.Errorf("router\n got %+v\nwant %+v", got, want)
	}
	if got := c.AccessLog; got == nil || got.File != Stdout || got.Format != AccessLogJSON || got.Sample != 1 ||
		len(got.Fields) != len(accessFields) || !got.Fields["status"] {
		t.Errorf("access log %+v", got)
	}
	if got, want := c.Metrics.Address, (Address{Host: "localhost", Port: 9100}); got != want {
		t.Errorf("metrics %v, want %v", got, want)
	}
	if got, want := c.Shutdown, (Shutdown{30 * time.Second, 5 * time.Second, 30 * time.Second}); got != want {
		t.Errorf("shutdown %+v, want %+v", got, want)
	}
	if c.Log != (Log{LogInfo, LogText}) || c.Limits != (Limits{}) || c.Reload != (Reload{true, time.Hour}) {
		t.Errorf("log %+v, limits %+v, reload %+v", c.Log, c.Limits, c.Reload)
	}
}

func TestSectionsLeftOut(t *testing.T) {
	c := mustParse(t, minimal)
	if c.Metrics != nil || c.AccessLog != nil || c.Admin != nil {
		t.Errorf("metrics %v, access log %v and admin %v without their sections, want nil", c.Metrics, c.AccessLog, c.Admin)
	}
	if c.Services == nil || c.Routers == nil || c.Middlewares == nil || len(c.Services)+len(c.Routers)+len(c.Middlewares) != 0 {
		t.Errorf("services %v, routers %v, middlewares %v, want empty maps", c.Services, c.Routers, c.Middlewares)
	}
}

func TestValues(t *testing.T) {
	c := mustParse(t, `
entrypoints:
  b: &tight
    address: unix:/run/b.sock
    max_connections: 7
    http: {header_timeout_ms: 5, max_body_bytes: 9223372036854775807, alias_headers: keep}
    forwarded_headers: {trusted_ips: [10.1.2.3/8, 192.0.2.1, "2001:DB8::1/32", "::ffff:10.0.0.1"]}
  a:
    <<: *tight
    address: "${env:HOST}:${env:PORT}"
    http:
  c: {<<: [{address: "[::1]:0"}, *tight], max_connections: "${env:NONE:-8}"}
services:
  s:
    load_balancer: {strategy: least_conn}
    servers:
    - url: http://LocalHost/
      weight: ${env:EMPTY:-0}
    - url: &second "http://[2001:db8::1]:81"
    - url: unix:/run/app.sock
    - url: https://a
    - url: h2c://a
    - url: https://a:8443/
    pool: {idle_timeout_seconds: 5, multiplex: off}
    pass_host_header: ${env:OFF}
  t: {servers: [{url: *second}]}
routers:
  r: {rule: 2026-01-01, service: s, entrypoints: [c, a], middlewares: [], priority: -5}
  q: {rule: "${env:EMPTY:-x}y", service: t}
access_log: {file: /var/log/a.log, fields: {query: false, status: true}, sample: 0.25}
shutdown: {drain_timeout_seconds: 0}
log: {level: debug, format: json}
`)
	a, b, e := c.EntryPoints["a"], c.EntryPoints["b"], c.EntryPoints["c"]
	if b.Address.Path != "/run/b.sock" || b.MaxConnections != 7 || b.HTTP.HeaderTimeout != 5*time.Millisecond ||
		b.HTTP.MaxBodyBytes != 1<<63-1 || b.HTTP.AliasHeaders != AliasKeep {
		t.Errorf("entry point b: %+v", b)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"),
		netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("10.0.0.1/32")}
	if got := b.ForwardedHeaders.TrustedIPs; !reflect.DeepEqual(got, want) {
		t.Errorf("trusted %v, want %v", got, want)
	}
	if a.Address != (Address{Host: "10.0.0.7", Port: 8081}) || a.MaxConnections != 7 || a.HTTP.HeaderTimeout != 10*time.Second {
		t.Errorf("entry point a, merged: %+v", a)
	}
	if e.Address != (Address{Host: "::1"}) || e.MaxConnections != 8 || e.HTTP.HeaderTimeout != 5*time.Millisecond {
		t.Errorf("entry point c, merged from a list: %+v", e)
	}
	s := c.Services["s"]
	var urls []string
	for _, v := range s.Servers {
		urls = append(urls, v.URL.String())
	}
	if got, want := strings.Join(urls, " "), "http://localhost:80 http://[2001:db8::1]:81 unix:/run/app.sock https://a:443 h2c://a:80 https://a:8443"; got != want {
		t.Errorf("servers %s, want %s", got, want)
	}
	if s.Servers[0].Weight != 0 || s.Servers[1].Weight != 1 || s.PassHostHeader || s.LoadBalancer.Strategy != LeastConn ||
		s.Pool.IdleTimeout != 5*time.Second || c.Services["t"].Servers[0].URL != s.Servers[1].URL {
		t.Errorf("service s: %+v", s)
	}
	if got, want := c.Routers["r"], (&Router{EntryPoints: []string{"c", "a"}, Rule: "2026-01-01", Service: "s",
		Middlewares: []string{}, Priority: -5}); !reflect.DeepEqual(got, want) {
		t.Errorf("router r: %+v, want %+v", got, want)
	}
	if got, want := c.Routers["q"], (&Router{EntryPoints: []string{"a", "b", "c"}, Rule: "xy",
		Service: "t"}); !reflect.DeepEqual(got, want) {
		t.Errorf("router q: %+v, want %+v", got, want)
	}
	if l := c.AccessLog; l.File != "/var/log/a.log" || l.Fields["query"] || !l.Fields["status"] || !l.Fields["path"] || l.Sample != 0.25 {
		t.Errorf("access log %+v", l)
	}
	if c.Shutdown.DrainTimeout != 0 || c.Log != (Log{LogDebug, LogJSON}) {
		t.Errorf("shutdown %+v, log %+v", c.Shutdown, c.Log)
	}
}

func TestPosition(t *testing.T) {
	c := mustParse(t, `entrypoints:
  web: {address: ":80"}
services:
  api:
    servers:
      - url: http://a:1
        weight: 2
      - url: http://b:1
routers:
  api.v1:
    rule:   Path("/x")
    service: api
`)
	for path, want := range map[string]string{
		"entrypoints":                    "c.yaml:1:1",
		"entrypoints.web":                "c.yaml:2:3",
		"entrypoints.web.address":        "c.yaml:2:18",
		"entrypoints.web.http.idle":      "c.yaml:2:3", // left out: the nearest key above
		"services.api.servers":           "c.yaml:5:5",
		"services.api.servers[0]":        "c.yaml:6:9",
		"services.api.servers[0].weight": "c.yaml:7:17",
		"services.api.servers[1].url":    "c.yaml:8:14",
		"services.api.servers[1].weight": "c.yaml:8:9",
		"services.api.servers[7]":        "c.yaml:5:5",
		"routers.api.v1.rule":            "c.yaml:11:13",
		"shutdown.drain_timeout_seconds": "c.yaml:1:1",
		"":                               "c.yaml:1:1",
	} {
		if got := c.Position(path).String(); got != want {
			t.Errorf("%s is at %s, want %s", path, got, want)
		}
	}
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.yaml")
	if _, err := Load(file, testEnv); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(file, []byte(minimal+"x: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(file, testEnv)
	var errs Errors
	if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Position != (Position{file, 4, 1}) || errs[0].Key != "x" {
		t.Errorf("a file with an unknown key: %v", err)
	}
}

func TestExample(t *testing.T) {
	c, err := Load("example.yaml", environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(c.Services["hello"].Servers); got != 2 || c.Services["files"] == nil {
		t.Errorf("%d servers of hello, files %v", got, c.Services["files"])
	}
	if c.EntryPoints["web"].Address.Port != 8080 || c.Metrics.Address.String() != "127.0.0.1:9100" ||
		c.AccessLog.File != Stdout || c.Log.Level != LogInfo {
		t.Errorf("%+v", c)
	}
	data, err := os.ReadFile("example.yaml")
	if err != nil || !strings.HasPrefix(string(data), "# yaml-language-server: $schema=./schema.json\n") {
		t.Errorf("the first line does not name the schema (%v)", err)
	}
	head, tour, found := strings.Cut(string(data), "\nmiddlewares:\n")
	tour, _, _ = strings.Cut(tour, "\nmetrics:")
	for _, kind := range Kinds() {
		if !found || !strings.Contains(tour, kind+": {") && !strings.Contains(tour, kind+":\n") {
			t.Errorf("there is no %s among the middlewares", kind)
		}
	}
	shown := strings.ReplaceAll(tour, "\n  # ", "\n  ")
	if _, err := Parse("example.yaml", []byte(head+"\nmiddlewares:\n"+shown), environment(nil)); err != nil || shown == tour {
		t.Errorf("with the middlewares that are commented out: %v", err)
	}
	if _, err := os.Stat("schema.json"); err != nil {
		t.Error(err)
	}
}
