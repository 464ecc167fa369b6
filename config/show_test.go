package config

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

const everySection = `
entrypoints:
  web: {address: ":8081", http: {header_timeout_ms: 5, upgrade_protocols: [a, b]}, forwarded_headers: {trusted_ips: [10.1.2.3/8]}}
  sock: {address: unix:/run/b.sock}
  safe:
    address: ":8443"
    http: {http2: {max_concurrent_streams: 7}}
    tls: {client_ca_file: ca.crt, client_auth: request, ticket_key_file: /k, alpn: [http/1.1], min_version: 1.3,
      certificates: [{cert_file: a.crt, key_file: a.key}, {cert_file: b.crt, key_file: b.key, client_auth: none, min_version: "1.2"}]}
services:
  s:
    load_balancer: {strategy: least_conn, slow_start_seconds: 3, sticky: {cookie: {name: c, secret: hunter2}}}
    servers: [{url: "http://a:81", weight: 3}, {url: unix:/run/app.sock, backup: true}]
    health_check: {path: "/h?x=1", headers: {Authorization: Basic hunter2}, expected_status: [204, 300-399]}
    outlier_detection: {base_ejection_seconds: 9}
  t:
    servers: [{url: "https://a"}]
    tls: {ca_file: ca.crt, server_name: b, cert_file: p.crt, key_file: p.key}
    pool: {multiplex: pipeline, pipeline_depth: 4}
routers:
  r: {rule: "Path(` + "`/`" + `)", service: s, middlewares: [again, guard], entrypoints: [web], priority: -5}
middlewares:
  again: {retry: {attempts: 2, on_status: [502], attempt_timeout_ms: 50}}
  guard: {circuit_breaker: {failure_ratio: 0.5}}
metrics: {address: 127.0.0.1:9100}
admin: {address: "[::1]:9101"}
access_log: {sample: 0.25, fields: {query: false}}
limits: {memory_bytes: 1000000}
reload: {watch: false}
shutdown: {drain_timeout_seconds: 7}
`

// TestShow makes a file of what is shown, which is the same configuration but for its secrets.
func TestShow(t *testing.T) {
	c := mustParse(t, everySection)
	shown := c.Show()
	for name, service := range shown["services"].(map[string]any) {
		balancer := service.(map[string]any)["load_balancer"].(map[string]any)
		if balancer["hash_on"] != "client_ip" {
			t.Errorf("shown balancer of %s: %v", name, balancer)
		}
		delete(balancer, "hash_on") // not to be given with this strategy
	}
	text, err := json.Marshal(shown)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "hunter2") || strings.Count(string(text), `"***"`) != 2 {
		t.Errorf("secrets are shown, or are not shown to be there: %s", text)
	}
	again := mustParse(t, string(text)) // JSON is YAML
	s := c.Services["s"]
	s.HealthCheck.Headers["Authorization"], s.LoadBalancer.Sticky.Cookie.Secret = "***", "***"
	c.file, c.positions, again.file, again.positions = "", nil, "", nil
	if !reflect.DeepEqual(c, again) {
		t.Errorf("shown as %s", text)
	}
}

// TestShowTellsEveryKey has every key that the configuration has a value for, defaults too.
func TestShowTellsEveryKey(t *testing.T) {
	c := mustParse(t, everySection)
	var missing []string
	var look func(path string, v value, shown any)
	look = func(path string, v value, shown any) {
		form := v.shape()
		all, isMap := shown.(map[string]any)
		switch form.kind {
		case kindMapping:
			for _, k := range form.object.members {
				if all[k.name] == nil && (k.required || k.value.shape().initial != nil) && !form.object.one {
					missing = append(missing, path+"."+k.name)
				} else if all[k.name] != nil {
					look(path+"."+k.name, k.value, all[k.name])
				}
			}
		case kindByName:
			for name, element := range all {
				look(path+"."+name, form.element, element)
			}
		case kindList:
			for _, element := range shown.([]any) {
				look(path+"[]", form.element, element)
			}
		default:
			if isMap && form.kind != kindSwitches && form.kind != kindFields {
				t.Errorf("%s is shown as %v", path, shown)
			}
		}
	}
	look("", section(c), c.Show())
	if len(missing) > 0 {
		t.Errorf("not shown: %v", missing)
	}
	fields := c.Show()["access_log"].(map[string]any)["fields"].(map[string]any)
	if fields["query"] != false || len(fields) != len(accessFields) {
		t.Errorf("fields of the access log: %v", fields)
	}
}
