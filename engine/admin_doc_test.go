package engine_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"traffic_management/engine"
)

var update = flag.Bool("update", false, "write the examples of docs/admin.md anew")

const adminDoc = "../docs/admin.md"

// examples are the headings of the document and what is asked for under them.
var examples = []struct{ heading, method, path, body string }{
	{"GET /api/overview", "GET", "/api/overview", ""},
	{"GET /api/routers", "GET", "/api/routers", ""},
	{"GET /api/services", "GET", "/api/services", ""},
	{"GET /api/servers", "GET", "/api/servers", ""},
	{"PUT /api/services/SERVICE/servers/SERVER", "PUT", "/api/services/shop/servers/SERVER", `{"drain": true}`},
	{"GET /api/connections", "GET", "/api/connections", ""},
	{"POST /api/reload", "POST", "/api/reload", ""},
}

// TestAdminDoc holds that the examples of the document are what the API answers, with other addresses and times.
func TestAdminDoc(t *testing.T) {
	a, b := named(t, "a"), named(t, "b")
	o := &office{t: t, a: a, b: b, file: t.TempDir() + "/config.yaml"}
	text := fmt.Sprintf("entrypoints: {web: {address: '127.0.0.1:0'}}\nadmin: {address: '127.0.0.1:0'}\nreload: {watch: false}\nlimits: {memory_bytes: 8589934592}\n"+
		"shutdown: {idle_close_seconds: 0}\n"+
		"services:\n  shop: {servers: [{url: 'http://%s', weight: 3}, {url: 'http://%s', backup: true}], outlier_detection: {}}\n"+
		"middlewares: {guard: {circuit_breaker: {}}}\n"+
		"routers:\n  shop: {rule: 'Host(`shop.example.com`)', service: shop, middlewares: [guard]}\n"+
		"  old: {rule: 'Host(`shop.example.com`) && Path(`/old`)', service: shop, priority: 5}\n", a.address, b.address)
	o.write(text)
	o.proxy = run(t, text, engine.Options{Loops: 1, File: o.file, Version: "0.2.0"}, 0)
	client := o.dial(t)
	client.say("GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
	client.response()

	old, err := os.ReadFile(adminDoc)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(old)
	tame := o.tame()
	for _, x := range examples {
		if x.method == "POST" {
			o.write(strings.Replace(text, "service: shop, priority: 5", "service: shpo, priority: 5", 1))
		}
		answer := o.do(x.method, strings.Replace(x.path, "SERVER", a.address, 1), x.body)
		example := tame(o.text(answer, answer.StatusCode))
		before, after, ok := strings.Cut(doc, "\n## "+x.heading+"\n")
		intro, rest, ok2 := strings.Cut(after, "```json\n")
		_, rest, ok3 := strings.Cut(rest, "```\n")
		if !ok || !ok2 || !ok3 {
			t.Fatalf("%s has no example of %s", adminDoc, x.heading)
		}
		doc = before + "\n## " + x.heading + "\n" + intro + "```json\n" + example + "```\n" + rest
	}
	if *update {
		if err := os.WriteFile(adminDoc, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if doc != string(old) {
		t.Errorf("%s is stale: run go test ./engine -run TestAdminDoc -update; it should be\n%s", adminDoc, doc)
	}
}

// tame makes what differs from run to run the same.
func (o *office) tame() func(string) string {
	names := strings.NewReplacer(o.file, "/etc/traffic_management/config.yaml", o.address, "0.0.0.0:8080",
		o.a.address, "10.0.0.1:8080", o.b.address, "10.0.0.2:8080", `"io_uring": false`, `"io_uring": true`)
	times := regexp.MustCompile(`"[0-9]{4}-[0-9]{2}-[0-9]{2}T[^"]*"`)
	pid := regexp.MustCompile(`"pid": [0-9]+`)
	used := regexp.MustCompile(`"memory_used_bytes": [0-9]+`)
	return func(s string) string {
		s = used.ReplaceAllString(s, `"memory_used_bytes": 23068672`)
		return pid.ReplaceAllString(times.ReplaceAllString(names.Replace(s), `"2026-03-04T05:06:07Z"`), `"pid": 4711`)
	}
}
