package engine_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"traffic_management/internal/testcert"
)

// TestSessionIsTold holds what a server and the access log are told of a client's TLS session.
func TestSessionIsTold(t *testing.T) {
	ca, dir := testcert.New(t), t.TempDir()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Forwarded-Proto"))
	}))
	t.Cleanup(server.Close)
	certFile, keyFile := ca.Write(dir, "web", "a.test")
	file := filepath.Join(dir, "access.log")
	s := site{servers: []string{server.Listener.Addr().String()}, entry: fmt.Sprintf(
		"tls: {cert_file: %s, key_file: %s, client_auth: require, client_ca_file: %s}", certFile, keyFile, ca.WriteCA(dir))}
	p := startText(t, s.String()+"access_log: {file: "+file+"}\n", 1)
	client := ca.Client("a.test")
	client.Certificates = []tls.Certificate{ca.Certificate("till")}
	c := p.dialTLS(t, client)
	if _, scheme := c.ask(t, "a.test"); scheme != "https" {
		t.Errorf("X-Forwarded-Proto is %q", scheme)
	}
	var line struct {
		Version string `json:"tls_version"`
		Cipher  string `json:"tls_cipher"`
		Subject string `json:"client_subject"`
	}
	within(t, "a line in the access log", func() bool {
		b, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(b, &line) == nil
	})
	state := c.ConnectionState()
	if line.Version != "1.3" || line.Cipher != tls.CipherSuiteName(state.CipherSuite) || line.Subject != "CN=till" {
		t.Errorf("the access log has %+v", line)
	}
}

// TestOptionsAreTightened asks for client certificates from a reload on. A connection of before showed none.
func TestOptionsAreTightened(t *testing.T) {
	ca, dir, b := testcert.New(t), t.TempDir(), named(t, "main")
	certFile, keyFile := ca.Write(dir, "web", "a.test")
	s := site{servers: []string{b.address}, entry: fmt.Sprintf("tls: {cert_file: %s, key_file: %s}", certFile, keyFile)}
	p := s.start(t)
	over2 := ca.Client("a.test")
	over2.NextProtos = []string{"h2"}
	transport := &http.Transport{Protocols: new(http.Protocols), DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
		return p.dialTLS(t, over2).Conn, nil
	}}
	transport.Protocols.SetHTTP2(true)
	shared, err := transport.NewClientConn(t.Context(), "https", "a.test:443")
	if err != nil {
		t.Fatal(err)
	}
	used, fresh := p.dialTLS(t, ca.Client("a.test")), p.dialTLS(t, ca.Client("a.test"))
	if _, content := used.ask(t, "a.test"); content != "main" {
		t.Fatalf("before: %q", content)
	}
	s.entry = fmt.Sprintf("tls: {cert_file: %s, key_file: %s, client_auth: require, client_ca_file: %s}", certFile, keyFile, ca.WriteCA(dir))
	p.reload(t, s)
	for name, before := range map[string]*secureClient{"used": used, "fresh": fresh} {
		if status, _ := before.ask(t, "a.test"); status != http.StatusMisdirectedRequest {
			t.Fatalf("a connection of before, %s: %d, want 421", name, status)
		}
		if _, err := before.in.ReadByte(); err != io.EOF {
			t.Errorf("a connection of before, %s, goes on: %v", name, err)
		}
	}
	request, _ := http.NewRequest(http.MethodGet, "https://a.test/", http.NoBody)
	answer, err := shared.RoundTrip(request)
	if err != nil || answer.StatusCode != http.StatusMisdirectedRequest {
		t.Fatalf("a connection of before, of HTTP/2: %v, %v, want 421", answer, err)
	}
	answer.Body.Close()
	within(t, "a connection of before, of HTTP/2, ends", func() bool { return shared.Err() != nil || shared.Available() == 0 })
	client := ca.Client("a.test")
	client.Certificates = []tls.Certificate{ca.Certificate("till")}
	if _, content := p.dialTLS(t, client).ask(t, "a.test"); content != "main" {
		t.Errorf("with a certificate: %q", content)
	}
}
