package engine_test

import (
	"crypto/ed25519"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"traffic_management/engine"
	"traffic_management/internal/testcert"
)

// asking is a proxy with a middleware that asks a server over TLS, which wants a certificate of the proxy. Both have one of
// an authority that the proxy does not trust until it is made to.
type asking struct {
	*proxy
	trust func()
	ask   func(fields ...string) (status int)
}

// newAsking starts one. middleware is YAML with two verbs: the server's host and port, and the keys of its tls.
func newAsking(t *testing.T, middleware string, answer http.HandlerFunc) asking {
	t.Helper()
	ca, dir := testcert.New(t), t.TempDir()
	server := httptest.NewUnstartedServer(answer)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = ca.Server("login.test")
	server.TLS.ClientAuth, server.TLS.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
	server.StartTLS()
	t.Cleanup(server.Close)
	certFile, keyFile := ca.Write(dir, "proxy", "proxy")
	keys := fmt.Sprintf("ca_file: %s, cert_file: %s, key_file: %s, server_name: login.test", testcert.New(t).WriteCA(dir), certFile, keyFile)
	main := named(t, "main")
	text := fmt.Sprintf(`entrypoints: {web: {address: "127.0.0.1:0"}}
services: {main: {servers: [{url: "http://%s"}]}}
routers: {main: {rule: PathPrefix("/"), service: main, middlewares: [gate]}}
metrics: {address: "127.0.0.1:0"}
shutdown: {idle_close_seconds: 0}
middlewares: {gate: {%s}}
`, main.address, fmt.Sprintf(middleware, server.Listener.Addr(), keys))
	p := startText(t, text, 1)
	return asking{p, func() { ca.WriteCA(dir) }, func(fields ...string) int {
		r, err := http.NewRequest("GET", "http://"+p.address+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			r.Header.Add(name, value)
		}
		r.Close = true
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}}
}

// TestForwardAuthOverTLS asks a server with a certificate of an authority that the file names, and shows it one.
func TestForwardAuthOverTLS(t *testing.T) {
	p := newAsking(t, "forward_auth: {address: 'https://%s/check', tls: {%s}}", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "let me in" || r.TLS.PeerCertificates[0].Subject.CommonName != "proxy" {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	if status := p.ask("Authorization: let me in"); status != http.StatusServiceUnavailable {
		t.Errorf("an authority that is not trusted: %d, want 503", status)
	}
	p.trust()
	within(t, "the other authority is trusted", func() bool { return p.ask("Authorization: let me in") == http.StatusOK })
	if status := p.ask(); status != http.StatusForbidden {
		t.Errorf("a request that is refused: %d, want 403", status)
	}
}

// TestKeysOverTLS does the same with the keys of tokens, and sees what the metrics say of it.
func TestKeysOverTLS(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	p := newAsking(t, "jwt: {jwks_url: 'https://%s/keys', tls: {%s}}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"%s"}]}`, encode(public))
	})
	token := encode([]byte(`{"alg":"EdDSA"}`)) + "." + encode([]byte(`{"sub":"ann"}`))
	bearer := "Authorization: Bearer " + token + "." + encode(ed25519.Sign(private, []byte(token)))
	if status := p.ask(bearer); status != http.StatusServiceUnavailable {
		t.Errorf("an authority that is not trusted: %d, want 503", status)
	}
	text := p.scrape(t)
	for _, line := range []string{"fetches_total{middleware=\"gate\",result=\"success\"} 0", "last_success_timestamp_seconds{middleware=\"gate\"} 0"} {
		if !strings.Contains(text, "\ntraffic_jwks_"+line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
	p.trust()
	within(t, "the other authority is trusted", func() bool { return p.ask(bearer) == http.StatusOK })
	text = p.scrape(t)
	if !strings.Contains(text, "\ntraffic_jwks_fetches_total{middleware=\"gate\",result=\"success\"} 1\n") ||
		strings.Contains(text, "\ntraffic_jwks_fetches_total{middleware=\"gate\",result=\"failure\"} 0\n") ||
		strings.Contains(text, "\ntraffic_jwks_last_success_timestamp_seconds{middleware=\"gate\"} 0\n") {
		t.Error("the fetches are not counted")
	}
}

// TestAskingFilesAreChecked tells of files that are missing by their place in the file.
func TestAskingFilesAreChecked(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	text := `entrypoints: {web: {address: ":0"}}
middlewares:
  a: {forward_auth: {address: "https://login.test/", tls: {ca_file: ` + missing + `}}}
  b: {jwt: {jwks_url: "https://login.test/", tls: {ca_file: ` + missing + `}}}
`
	_, err := engine.Check(parse(t, text), nil)
	for _, want := range []string{"3:69: middlewares.a.forward_auth.tls.ca_file: ", "4:61: middlewares.b.jwt.tls.ca_file: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
