package engine_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"traffic_management/engine"
)

// office is a proxy with a file and an API. Its two services are "one", of servers a and b, and "two", of server b.
type office struct {
	*proxy
	t    testing.TB
	file string
	a, b *backend
}

const officeText = `entrypoints: {web: {address: '127.0.0.1:0', max_connections: 50}}
services:
  one:
    servers: [{url: 'http://%[1]s', weight: 3}, {url: 'http://%[2]s', backup: true}]
    load_balancer: {sticky: {cookie: {name: c, secret: hunter2}}}
  two: {servers: [{url: 'http://%[2]s'}]}
routers:
  all: {rule: 'PathPrefix(` + "`/`" + `)', service: one}
  api: {rule: 'PathPrefix(` + "`/api`" + `)', service: two}
  late: {rule: 'PathPrefix(` + "`/api`" + `) && Method(` + "`GET`" + `)', service: two, priority: 1}
admin: {address: '127.0.0.1:0'}
shutdown: {idle_close_seconds: 0}
reload: {watch: false}
limits: {memory_bytes: 8589934592}
`

func openOffice(t testing.TB) *office {
	o := &office{t: t, a: named(t, "a"), b: named(t, "b"), file: filepath.Join(t.TempDir(), "proxy.yaml")}
	text := fmt.Sprintf(officeText, o.a.address, o.b.address)
	o.write(text)
	o.proxy = run(t, text, engine.Options{Loops: 2, File: o.file, Version: "1.2.3"}, 0)
	return o
}

func (o *office) write(text string) {
	o.t.Helper()
	if err := os.WriteFile(o.file, []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// do sends a request to the API; header is pairs of names and values, of which an empty value removes the field.
func (o *office) do(method, path, body string, header ...string) *http.Response {
	o.t.Helper()
	r, err := http.NewRequest(method, "http://"+o.AdminAddr().String()+path, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	r.Close = true
	if method != "GET" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	client := http.Client{Timeout: patience}
	answer, err := client.Do(r)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// text is the content of an answer, whose status must be this.
func (o *office) text(answer *http.Response, status int) string {
	o.t.Helper()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	if answer.StatusCode != status {
		o.t.Fatalf("status %d, want %d: %s", answer.StatusCode, status, text)
	}
	return string(text)
}

// get reads the JSON at a path into v.
func (o *office) get(path string, v any) {
	o.t.Helper()
	if err := json.Unmarshal([]byte(o.text(o.do("GET", path, ""), 200)), v); err != nil {
		o.t.Fatal(err)
	}
}

// serverState is what the API says of a server, as far as the tests look at it.
type serverState struct {
	Service, ID, Address, State string
	Healthy, Backup, Draining   bool
	Weight                      int
	InForce                     float64 `json:"weight_in_force"`
	InFlight                    int     `json:"in_flight"`
	Idle                        int     `json:"idle_connections"`
	LastError                   string  `json:"last_error"`
	Override                    *struct {
		Weight *int
		Drain  *bool
	}
}

func (o *office) servers() []serverState {
	o.t.Helper()
	var v struct{ Servers []serverState }
	o.get("/api/servers", &v)
	return v.Servers
}

func TestAdminRouters(t *testing.T) {
	o := openOffice(t)
	var v struct {
		EntryPoints []struct {
			EntryPoint, Address string
			Routers             []struct {
				Name, Rule, Service string
				Priority            int
				Middlewares         []string
				Conflict            *struct{ Kind, With, Text string }
			}
		}
	}
	o.get("/api/routers", &v)
	if len(v.EntryPoints) != 1 || v.EntryPoints[0].EntryPoint != "web" || v.EntryPoints[0].Address != o.address {
		t.Fatalf("entry points %+v", v.EntryPoints)
	}
	var order []string
	for _, r := range v.EntryPoints[0].Routers {
		order = append(order, fmt.Sprintf("%s %d %s", r.Name, r.Priority, r.Service))
		if unreachable := r.Conflict != nil && r.Conflict.Kind == "unreachable" && r.Conflict.With == "api"; unreachable != (r.Name == "late") {
			t.Errorf("router %s has the conflict %+v", r.Name, r.Conflict)
		}
	}
	if got, want := strings.Join(order, ", "), "api 18 two, all 15 one, late 1 two"; got != want {
		t.Errorf("routers %s, want %s", got, want)
	}
}

func TestAdminServersAndServices(t *testing.T) {
	o := openOffice(t)
	o.dial(t).expect("/", 200, "a")
	servers := o.servers()
	if len(servers) != 3 {
		t.Fatalf("servers %+v", servers)
	}
	a, b := servers[0], servers[1]
	if a.Service != "one" || a.ID != "http://"+o.a.address || a.Address != o.a.address || a.State != "up" || !a.Healthy ||
		a.Weight != 3 || a.InForce != 3 || a.Idle != 1 || a.Backup || a.Override != nil {
		t.Errorf("server a is %+v", a)
	}
	if !b.Backup || b.Idle != 0 || b.ID != "http://"+o.b.address {
		t.Errorf("server b is %+v", b)
	}
	var v struct {
		Services []struct {
			Name, Strategy string
			Routers        []string
			Sticky         string `json:"sticky_cookie"`
			Servers        struct{ Total, Up int }
		}
	}
	o.get("/api/services", &v)
	if len(v.Services) != 2 || v.Services[0].Name != "one" || v.Services[0].Sticky != "c" || v.Services[0].Servers.Up != 2 ||
		strings.Join(v.Services[1].Routers, " ") != "api late" || v.Services[1].Strategy != "round_robin" {
		t.Errorf("services %+v", v.Services)
	}
}

func TestAdminOverviewAndConnections(t *testing.T) {
	o := openOffice(t)
	idle, fresh := o.dial(t), o.dial(t)
	idle.expect("/", 200, "a")
	idle.expect("/api/x", 200, "b")
	var v struct {
		Version, State string
		Loops          int
		Config         struct {
			File       string
			Generation int
		}
		EntryPoints []struct {
			Name          string
			Open, Tunnels int
			Max           int `json:"max_connections"`
		}
		Servers  struct{ Total, Up int }
		Overload struct {
			Level string
			Used  int `json:"memory_used_bytes"`
			Limit int `json:"memory_limit_bytes"`
		}
		Requests map[string]int
	}
	o.get("/api/overview", &v)
	if v.Version != "1.2.3" || v.State != "serving" || v.Loops != 2 || v.Config.File != o.file || v.Config.Generation != 1 ||
		v.Servers.Total != 3 || v.Servers.Up != 3 || v.Requests["2xx"] != 2 || v.Requests["5xx"] != 0 {
		t.Errorf("overview %+v", v)
	}
	if v.Overload.Level != "normal" || v.Overload.Limit != 8<<30 {
		t.Errorf("overload %+v", v.Overload)
	}
	if len(v.EntryPoints) != 1 || v.EntryPoints[0].Open != 2 || v.EntryPoints[0].Max != 50 {
		t.Errorf("entry points %+v", v.EntryPoints)
	}
	var c struct {
		Loops []struct {
			Loop, Fresh, Idle, Active, Tunnels int
			ToServers                          int `json:"to_servers"`
		}
		Stalled []int `json:"stalled_loops"`
	}
	o.get("/api/connections", &c)
	if len(c.Loops) != 2 || len(c.Stalled) != 0 || c.Loops[0].Idle+c.Loops[1].Idle != 1 || c.Loops[0].Fresh+c.Loops[1].Fresh != 1 ||
		c.Loops[0].ToServers+c.Loops[1].ToServers != 2 {
		t.Errorf("connections %+v", c)
	}
	fresh.close()
}

func TestAdminConfigHasNoSecrets(t *testing.T) {
	o := openOffice(t)
	text := o.text(o.do("GET", "/api/config", ""), 200)
	if strings.Contains(text, "hunter2") || !strings.Contains(text, `"secret": "***"`) {
		t.Errorf("the secret is shown, or is not shown to be there: %s", text)
	}
	var v struct {
		File   string
		Config struct {
			Services map[string]struct{ Servers []struct{ Weight int } }
		}
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil || v.File != o.file || v.Config.Services["one"].Servers[0].Weight != 3 {
		t.Errorf("%v in %s", err, text)
	}
}

// TestStatusPage looks at what a browser would: it shows what there is, and asks nobody else for anything.
func TestStatusPage(t *testing.T) {
	o := openOffice(t)
	o.text(o.do("PUT", "/api/services/one/servers/"+o.a.address, `{"drain": true}`), 200)
	answer := o.do("GET", "/", "")
	text := o.text(answer, 200)
	for _, want := range []string{"1.2.3", o.address, o.a.address, "draining", "override", "late", "unreachable", "round_robin"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	rest := strings.NewReplacer("http://"+o.a.address, "", "http://"+o.b.address, "").Replace(text)
	for _, outside := range []string{"http://", "https://", "src=", "href=", "url(", "@import", "<script"} {
		if strings.Contains(rest, outside) {
			t.Errorf("the page refers to something: %s", outside)
		}
	}
	if got := answer.Header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'") {
		t.Errorf("policy %q", got)
	}
	if strings.Contains(text, "hunter2") {
		t.Error("the page shows a secret")
	}
}

func TestDump(t *testing.T) {
	o := openOffice(t)
	client := o.dial(t)
	client.expect("/", 200, "a")
	text := o.text(o.do("GET", "/api/dump", ""), 200)
	for _, want := range []string{"traffic_management 1.2.3", "configuration 1 of " + o.file, "loop", "accept pauses", o.address,
		"http://" + o.a.address, "memory", "goroutine profile", "reactor.(*EventLoop).Run"} {
		if !strings.Contains(text, want) {
			t.Errorf("the dump does not have %q:\n%s", want, text)
		}
	}
}
