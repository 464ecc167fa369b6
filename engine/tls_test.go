package engine_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"traffic_management/engine"
	"traffic_management/internal/testcert"
)

// withMetrics is a configuration whose metrics can be scraped, and its API asked.
func withMetrics(s site) text {
	return text(s.String() + "metrics: {address: '127.0.0.1:0'}\nadmin: {address: '127.0.0.1:0'}\n")
}

// secureClient is a client connection over TLS that speaks HTTP/1.1.
type secureClient struct {
	*tls.Conn
	in *bufio.Reader
}

func (p *proxy) dialTLS(t testing.TB, c *tls.Config) *secureClient {
	t.Helper()
	raw, err := dialAddress(p.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	_ = raw.SetDeadline(time.Now().Add(patience))
	conn := tls.Client(raw, c)
	if err := conn.HandshakeContext(context.Background()); err != nil {
		t.Fatal(err)
	}
	return &secureClient{conn, bufio.NewReader(conn)}
}

// ask sends a request for a host and returns the status and content of the answer.
func (c *secureClient) ask(t testing.TB, host string) (status int, content string) {
	t.Helper()
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

func (c *secureClient) serial() string {
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// within waits until something holds.
func within(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in time", what)
		}
	}
}

// TestCertificateIsReplaced has its files written while the proxy runs, well and badly.
func TestCertificateIsReplaced(t *testing.T) {
	ca, dir, b := testcert.New(t), t.TempDir(), named(t, "main")
	certFile, keyFile := ca.Write(dir, "web", "a.test")
	p := startText(t, withMetrics(site{servers: []string{b.address},
		entry: fmt.Sprintf("tls: {cert_file: %s, key_file: %s}", certFile, keyFile)}).String(), 1)
	client := ca.Client("a.test")
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	before := p.dialTLS(t, client)
	before.ask(t, "a.test")
	has := func(lines ...string) bool {
		text := p.scrape(t)
		for _, line := range lines {
			if !strings.Contains(text, "\n"+line+"\n") {
				return false
			}
		}
		return true
	}
	reloads := func(result string, n int) string {
		return fmt.Sprintf(`traffic_tls_certificate_reloads_total{result="%s"} %d`, result, n)
	}
	expiry := func(c *secureClient) string {
		at := c.ConnectionState().PeerCertificates[0].NotAfter.Unix()
		return fmt.Sprintf(`traffic_tls_certificate_expiry_timestamp_seconds{entrypoint="web",file="%s",name="a.test"} %v`, certFile, float64(at))
	}
	if !has(expiry(before)) {
		t.Error("the metrics do not say when the certificate expires")
	}
	office := &office{proxy: p, t: t}
	answer := office.text(office.do("GET", "/api/overview", ""), http.StatusOK)
	expires := before.ConnectionState().PeerCertificates[0].NotAfter.Format(time.RFC3339)
	for _, want := range []string{`"file": "` + certFile + `"`, `"name": "a.test"`, `"expires": "` + expires + `"`} {
		if !strings.Contains(answer, want) {
			t.Errorf("the API does not say %s: %s", want, answer)
		}
	}

	ca.Write(dir, "web", "a.test", "b.test")
	within(t, "the certificate is replaced", func() bool { return has(reloads("success", 1)) })
	if _, content := before.ask(t, "a.test"); content != "main" {
		t.Error("a connection of before is not served")
	}
	if c := p.dialTLS(t, client); !c.ConnectionState().DidResume {
		t.Error("a session of before is not resumed")
	}
	after := p.dialTLS(t, ca.Client("b.test"))
	if after.serial() == before.serial() {
		t.Error("a new connection gets the certificate of before")
	}

	if err := os.WriteFile(keyFile, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	within(t, "the bad key is refused", func() bool { return has(reloads("failure", 1)) })
	if c := p.dialTLS(t, ca.Client("b.test")); c.serial() != after.serial() {
		t.Error("another certificate is served than the last good one")
	}
	if _, content := before.ask(t, "a.test"); content != "main" {
		t.Error("a connection of before is not served")
	}
}

// TestSessionsGoOnOnAnyLoop resumes one session again and again, also after a reload.
func TestSessionsGoOnOnAnyLoop(t *testing.T) {
	ca, b := testcert.New(t), named(t, "main")
	certFile, keyFile := ca.Write(t.TempDir(), "web", "a.test")
	s := site{servers: []string{b.address}, loops: 3, entry: fmt.Sprintf("tls: {cert_file: %s, key_file: %s}", certFile, keyFile)}
	p := s.start(t)
	client := ca.Client("a.test")
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for i := range 24 {
		if i == 12 {
			s.http = "max_headers: 50"
			s.address = p.address
			p.reload(t, s)
		}
		c := p.dialTLS(t, client)
		if _, content := c.ask(t, "a.test"); content != "main" || c.ConnectionState().DidResume != (i > 0) {
			t.Fatalf("connection %d: %q, resumed %v", i, content, c.ConnectionState().DidResume)
		}
	}
}

// TestHostOfOtherOptions has hosts that ask for a client certificate, on connections that showed none.
func TestHostOfOtherOptions(t *testing.T) {
	ca, dir, b := testcert.New(t), t.TempDir(), named(t, "main")
	pair := func(names ...string) string {
		certFile, keyFile := ca.Write(dir, names[0], names...)
		return fmt.Sprintf("cert_file: %s, key_file: %s", certFile, keyFile)
	}
	p := site{servers: []string{b.address}, entry: fmt.Sprintf("tls: {%s, certificates: [{%s}, {%s, client_auth: require, client_ca_file: %s}]}",
		pair("open.test"), pair("more.test"), pair("need.test", "*.need.test"), ca.WriteCA(dir))}.start(t)
	shown := ca.Certificate("worker")
	for _, c := range []struct {
		name, host string
		status     int
	}{
		{"open.test", "open.test", 200}, {"open.test", "more.test", 200}, {"open.test", "unknown.test", 200},
		{"open.test", "need.test", 421}, {"open.test", "A.Need.test.:8443", 421}, {"", "open.test", 200}, {"", "need.test", 421},
		{"need.test", "need.test", 200}, {"need.test", "a.need.test:443", 200}, {"need.test", "open.test", 421},
	} {
		client := ca.Client(c.name)
		client.InsecureSkipVerify, client.Certificates = c.name == "", []tls.Certificate{shown}
		if status, _ := p.dialTLS(t, client).ask(t, c.host); status != c.status {
			t.Errorf("a connection for %q, a request for %s: %d, want %d", c.name, c.host, status, c.status)
		}
	}
}

// TestCertificatesThatCannotBeUsed are refused with their place in the file, at first, by Check and by a reload.
func TestCertificatesThatCannotBeUsed(t *testing.T) {
	ca, dir, b := testcert.New(t), t.TempDir(), named(t, "main")
	certFile, keyFile := ca.Write(dir, "web", "a.test")
	_, otherKey := ca.Write(dir, "other", "b.test")
	good := site{servers: []string{b.address}, entry: fmt.Sprintf("tls: {cert_file: %s, key_file: %s}", certFile, keyFile)}
	bad := good
	bad.entry = fmt.Sprintf("tls: {cert_file: %s,\n  key_file: %s,\n  ticket_key_file: %s/none}", certFile, otherKey, dir)
	want := []string{
		fmt.Sprintf("site.yaml:2:13: entrypoints.web.tls.key_file: %s with %s: private key does not match public key", otherKey, certFile),
		fmt.Sprintf("site.yaml:3:20: entrypoints.web.tls.ticket_key_file: open %s/none: no such file or directory", dir),
	}
	p := good.start(t)
	_, checked := engine.Check(parse(t, bad.String()), nil)
	for how, err := range map[string]error{"Check": checked, "Reload": p.Reload(parse(t, bad.String()))} {
		if err == nil || err.Error() != strings.Join(want, "\n") {
			t.Errorf("%s: %v\nwant %s", how, err, strings.Join(want, "\n"))
		}
	}
	if _, content := p.dialTLS(t, ca.Client("a.test")).ask(t, "a.test"); content != "main" {
		t.Errorf("after a refused reload: %q", content)
	}
	if warnings, err := engine.Check(parse(t, good.String()), nil); err != nil || len(warnings) != 0 {
		t.Errorf("Check of what is good: %v, %q", err, warnings)
	}
	expired(t, ca, certFile, keyFile)
	if warnings, err := engine.Check(parse(t, good.String()), nil); err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "expired") {
		t.Errorf("Check of what expired: %v, %q", err, warnings)
	}
}

// expired writes a certificate whose time is over.
func expired(t *testing.T, ca *testcert.CA, certFile, keyFile string) {
	t.Helper()
	certPEM, keyPEM := ca.Issue(ca.Key, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, "a.test")
	for file, text := range map[string][]byte{certFile: certPEM, keyFile: keyPEM} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestServerOverTLS forwards to a server whose certificate is verified, with authorities that are replaced meanwhile.
func TestServerOverTLS(t *testing.T) {
	ca, dir := testcert.New(t), t.TempDir()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Host, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = ca.Server("127.0.0.1")
	server.TLS.ClientAuth, server.TLS.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
	server.StartTLS()
	t.Cleanup(server.Close)
	certFile, keyFile := ca.Write(dir, "proxy", "proxy")
	caFile := testcert.New(t).WriteCA(dir)
	s := site{servers: []string{server.Listener.Addr().String()}, service: fmt.Sprintf(
		"pass_host_header: false, tls: {ca_file: %s, cert_file: %s, key_file: %s}", caFile, certFile, keyFile)}
	p := startText(t, strings.Replace(s.String(), "http://", "https://", 1), 1)
	if status, _ := asked(t, p.address); status != http.StatusBadGateway {
		t.Errorf("with a certificate of an authority that is not trusted: %d, want 502", status)
	}
	ca.WriteCA(dir)
	want := server.Listener.Addr().String() + " proxy"
	within(t, "the other authority is trusted", func() bool {
		status, content := asked(t, p.address)
		return status == http.StatusOK && content == want
	})
}

// asked asks over a connection of its own.
func asked(t testing.TB, address string) (status int, content string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return dialAddress(address) }}, Timeout: patience}
	answer, err := client.Get("http://a.test/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

// TestReloadReadsCertificates holds that a reload reads them anew, when nobody watches their files.
func TestReloadReadsCertificates(t *testing.T) {
	ca, dir, b := testcert.New(t), t.TempDir(), named(t, "main")
	certFile, keyFile := ca.Write(dir, "web", "a.test")
	s := site{servers: []string{b.address}, entry: fmt.Sprintf("tls: {cert_file: %s, key_file: %s}", certFile, keyFile)}
	file := filepath.Join(dir, "site.yaml")
	if err := os.WriteFile(file, []byte(s.String()+"reload: {watch: false}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := run(t, s.String()+"reload: {watch: false}\n", engine.Options{Loops: 1, File: file}, 0)
	before := p.dialTLS(t, ca.Client("a.test")).serial()
	ca.Write(dir, "web", "a.test")
	if err := p.ReloadFile(); err != nil {
		t.Fatal(err)
	}
	if p.dialTLS(t, ca.Client("a.test")).serial() == before {
		t.Error("a reload does not read the certificate anew")
	}
}

// TestStrictNames refuses a client whose name no certificate has, and counts why.
func TestStrictNames(t *testing.T) {
	ca, b := testcert.New(t), named(t, "main")
	certFile, keyFile := ca.Write(t.TempDir(), "web", "a.test")
	p := startText(t, withMetrics(site{servers: []string{b.address},
		entry: fmt.Sprintf("tls: {cert_file: %s, key_file: %s, sni_strict: true}", certFile, keyFile)}).String(), 1)
	if _, content := p.dialTLS(t, ca.Client("a.test")).ask(t, "a.test"); content != "main" {
		t.Errorf("a name that is known: %q", content)
	}
	_, err := tls.Dial("tcp", p.address, ca.Client("other.test"))
	if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("a name that is not: %v, want the alert unrecognized_name", err)
	}
	const line = "\ntraffic_tls_handshake_failures_total{entrypoint=\"web\",reason=\"name\"} 1\n"
	within(t, "the refusal is counted", func() bool { return strings.Contains(p.scrape(t), line) })
}
