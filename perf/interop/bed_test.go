package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"text/template"
	"time"

	"traffic_management/internal/testcert"
	"traffic_management/perf/process"
)

// patience bounds every wait: what takes longer hangs.
const patience = 60 * time.Second

// built are programs that were built once, by name.
var (
	built struct {
		sync.Mutex
		dir  string
		done map[string]error
	}
)

// TestMain removes what was built.
func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// build builds a program of the package at a path, once, and returns where it is. root is the module's that knows it.
func build(t *testing.T, root, pkg string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if built.done == nil {
		dir, err := os.MkdirTemp("", "interop-")
		check(t, err)
		built.dir, built.done = dir, map[string]error{}
	}
	err, ok := built.done[pkg]
	if !ok {
		err = process.Build(t.Context(), root, built.dir, pkg)
		built.done[pkg] = err
	}
	check(t, err)
	return filepath.Join(built.dir, filepath.Base(pkg))
}

// need finds a program. One that is missing fails the test in CI and skips it elsewhere.
func need(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed: make interop does that", name)
}

// bed is a running proxy.
type bed struct {
	app    *app
	clear  string // host:port without TLS
	secure string // with it
	ca     *testcert.CA
	caFile string
	log    string // access log
}

var configuration = template.Must(template.New("").Parse(`
entrypoints:
  clear: {address: "{{.Clear}}"}
  secure:
    address: "{{.Secure}}"
    tls: {cert_file: "{{.Dir}}/server.pem", key_file: "{{.Dir}}/server.key"}
routers:
  app: {rule: "PathPrefix(` + "`/`" + `)", service: app}
{{- if .RPC}}
  rpc: {rule: "Header(` + "`Content-Type`, `application/grpc`" + `)", service: rpc}
{{- end}}
services:
  app:
    servers: [{url: "{{.App}}"}]
{{- if .AppWithTLS}}
    tls: {ca_file: "{{.Dir}}/ca.pem"}
{{- end}}
{{- if .RPC}}
  rpc:
    servers: [{url: "{{.RPC}}"}]
{{- if .RPCWithTLS}}
    tls: {ca_file: "{{.Dir}}/ca.pem"}
{{- end}}
{{- end}}
access_log: {file: "{{.Dir}}/access.log"}
`))

// behind is what the proxy stands before.
type behind struct {
	app string // scheme of the application's URL: http, https or h2c
	rpc string // URL of a gRPC server; empty: there is none
}

// start starts a proxy before the application, which speaks HTTP/1.1.
func start(t *testing.T) *bed {
	t.Helper()
	return startBefore(t, testcert.New(t), behind{app: "http"})
}

// startBefore starts the application and a proxy. The authority issues all certificates.
func startBefore(t *testing.T, ca *testcert.CA, servers behind) *bed {
	t.Helper()
	path := build(t, "../..", "./cmd/traffic_management")
	b := &bed{app: newApp(), ca: ca}
	certificate, key := b.ca.Leaf("localhost", "127.0.0.1")
	app := serve(t, b.app, servers.app, certificate, key)
	dir := t.TempDir()
	b.caFile, b.log = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "access.log")
	check(t, os.WriteFile(b.caFile, b.ca.PEM, 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "server.pem"), certificate, 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "server.key"), key, 0o600))
	var err error
	b.clear, err = process.FreeAddress()
	check(t, err)
	b.secure, err = process.FreeAddress()
	check(t, err)
	var text bytes.Buffer
	check(t, configuration.Execute(&text, map[string]any{"Clear": b.clear, "Secure": b.secure, "Dir": dir,
		"App": app, "AppWithTLS": servers.app == "https", "RPC": servers.rpc, "RPCWithTLS": strings.HasPrefix(servers.rpc, "https:")}))
	file := filepath.Join(dir, "proxy.yaml")
	check(t, os.WriteFile(file, text.Bytes(), 0o600))
	p, err := process.Start(t.Context(), process.Spec{Path: path, Args: []string{"-c", file}, CPU: process.AnyCPU,
		Log: filepath.Join(dir, "proxy.log")})
	check(t, err)
	t.Cleanup(func() {
		p.Stop()
		if !t.Failed() {
			return
		}
		if text, err := os.ReadFile(filepath.Join(dir, "proxy.log")); err == nil {
			t.Logf("the proxy's log:\n%s", text)
		}
	})
	for _, address := range []string{b.clear, b.secure} {
		check(t, p.Ready(t.Context(), address))
	}
	return b
}

// serve starts a server of the application and returns its URL. In clear text it speaks one version only.
func serve(t *testing.T, app http.Handler, scheme string, certificate, key []byte) string {
	t.Helper()
	s := httptest.NewUnstartedServer(app)
	t.Cleanup(s.Close)
	if scheme == "https" {
		pair, err := tls.X509KeyPair(certificate, key)
		check(t, err)
		s.TLS, s.EnableHTTP2 = &tls.Config{Certificates: []tls.Certificate{pair}}, true
		s.StartTLS()
		return s.URL
	}
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(scheme == "http")
	s.Config.Protocols.SetUnencryptedHTTP2(scheme == "h2c")
	s.Start()
	return scheme + "://" + s.Listener.Addr().String()
}

// way is one of speaking to the proxy.
type way struct {
	name  string
	tls   bool
	http2 bool
}

var ways = []way{{"HTTP1", false, false}, {"HTTP1 TLS", true, false}, {"HTTP2", false, true}, {"HTTP2 TLS", true, true}}

// url is the proxy's for one way.
func (b *bed) url(w way, path string) string {
	if w.tls {
		return "https://" + b.secure + path
	}
	return "http://" + b.clear + path
}

// protocols are what the access log says that requests for a path came over, each once.
func (b *bed) protocols(t *testing.T, path string) []string {
	t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(b.log)
		check(t, err)
		seen := map[string]bool{}
		var all []string
		for line := range strings.Lines(string(text)) {
			var entry struct{ Path, Protocol string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Path == path && !seen[entry.Protocol] {
				seen[entry.Protocol] = true
				all = append(all, entry.Protocol)
			}
		}
		if len(all) > 0 {
			return all // a line is written whole, and after its request
		}
	}
	t.Fatalf("the access log knows nothing of %s", path)
	return nil
}

// spoke holds that every request for a path came over the version of a way.
func (b *bed) spoke(t *testing.T, w way, path string) {
	t.Helper()
	want := "HTTP/1.1"
	if w.http2 {
		want = "HTTP/2"
	}
	for _, p := range b.protocols(t, path) {
		if !strings.HasPrefix(p, want) {
			t.Errorf("%s was asked for over %s, want %s", path, p, want)
		}
	}
}

// run runs a program to its end and returns its standard output.
func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	var errors bytes.Buffer
	c.Stderr = &errors
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, tail(out), tail(errors.Bytes()))
	}
	return out
}

func tail(b []byte) string { return fmt.Sprintf("%s\n", b[max(0, len(b)-4000):]) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
