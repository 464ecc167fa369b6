package certs

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"traffic_management/config"
	"traffic_management/internal/testcert"
)

// TestRefresh changes files in good ways and bad.
func TestRefresh(t *testing.T) {
	b := newBed(t)
	c := settings(b.write("a.test"))
	c.Certificates = []config.Certificate{further(b.write("b.test"))}
	s := b.server(c)
	serial := func(name string) string {
		state, err := b.handshake(s.Config(), b.client(name))
		if err != nil {
			t.Fatal(name, err)
		}
		return state.PeerCertificates[0].SerialNumber.String()
	}
	refresh := func(wantChanged bool, wantKeys ...string) {
		t.Helper()
		changed, faults := s.Refresh()
		var keys []string
		for _, f := range faults {
			keys = append(keys, strings.TrimPrefix(f.Key, "entrypoints.web.tls."))
		}
		if changed != wantChanged || strings.Join(keys, " ") != strings.Join(wantKeys, " ") {
			t.Fatalf("changed %v, faults %v, want %v and %v", changed, faults, wantChanged, wantKeys)
		}
	}
	config := s.Config()
	a, second := serial("a.test"), serial("b.test")
	refresh(false)

	other, otherKey := b.ca.Leaf("b.test")
	b.file("b.test.crt", string(other))
	refresh(false, "certificates[0].key_file") // the certificate came, its key is yet to come
	b.write("a.test")
	refresh(true, "certificates[0].key_file")
	if serial("a.test") == a || serial("b.test") != second {
		t.Error("a good pair waits for a bad one, or a bad one is used")
	}
	b.file("b.test.key", string(otherKey))
	refresh(true)
	if serial("b.test") == second {
		t.Error("the new pair is not used")
	}

	if err := os.Remove(c.CertFile); err != nil {
		t.Fatal(err)
	}
	refresh(false, "cert_file")
	b.write("a.test", "more.test")
	refresh(true)
	if b.leaf(s, "more.test") != "a.test" {
		t.Error("a further name of the new certificate is not known")
	}
	if s.Config() != config {
		t.Error("those who hold the config do not hear of changes")
	}
}

// TestClash is of a file that comes to have a name which another certificate has with other options.
func TestClash(t *testing.T) {
	b := newBed(t)
	c := settings(b.write("a.test"))
	c.Certificates = []config.Certificate{further(b.write("b.test"))}
	c.Certificates[0].MinVersion = config.TLS13
	s := b.server(c)
	b.ca.Write(b.dir, "b.test", "b.test", "A.test")
	for range 2 { // it stays wrong
		changed, faults := s.Refresh()
		if changed || len(faults) != 1 || faults[0].Key != "entrypoints.web.tls.certificates[0].cert_file" ||
			!strings.HasSuffix(faults[0].Err.Error(), "another certificate for a.test asks for other options") {
			t.Fatal(changed, faults)
		}
	}
	if b.leaf(s, "a.test") != "a.test" {
		t.Error("the certificate of before is not used")
	}
}

func TestFaults(t *testing.T) {
	b := newBed(t)
	certFile, keyFile := b.write("a.test")
	_, otherKey := b.write("b.test")
	noName, noNameKey := b.ca.Write(b.dir, "ip", "192.0.2.1")
	missing, empty := filepath.Join(b.dir, "missing"), b.file("empty", "# nothing\n")
	broken := b.file("broken", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	for _, tc := range []struct {
		name  string
		alter func(*config.TLS)
		key   string
		want  string
	}{
		{"no certificate file", func(c *config.TLS) { c.CertFile = missing }, "cert_file", "open " + missing + ": no such file"},
		{"no key file", func(c *config.TLS) { c.KeyFile = missing }, "key_file", "open " + missing + ": no such file"},
		{"nothing in it", func(c *config.TLS) { c.CertFile = empty }, "cert_file", empty + ": there is no certificate in PEM in it"},
		{"a key for a certificate", func(c *config.TLS) { c.CertFile = keyFile }, "cert_file", keyFile + ": there is no certificate in PEM in it"},
		{"a broken certificate", func(c *config.TLS) { c.CertFile = broken }, "cert_file", broken + ": x509: "},
		{"nothing in the key file", func(c *config.TLS) { c.KeyFile = empty }, "key_file", empty + " with " + certFile + ": failed to find any PEM"},
		{"another's key", func(c *config.TLS) { c.KeyFile = otherKey }, "key_file",
			otherKey + " with " + certFile + ": private key does not match public key"},
		{"no name", func(c *config.TLS) { c.Certificates = []config.Certificate{further(noName, noNameKey)} }, "certificates[0].cert_file",
			noName + ": there is no host name in the certificate that a client could ask for"},
		{"no authorities", func(c *config.TLS) { c.ClientAuth, c.ClientCAFile = config.ClientAuthRequire, missing }, "client_ca_file",
			"open " + missing},
		{"empty authorities", func(c *config.TLS) { c.ClientAuth, c.ClientCAFile = config.ClientAuthRequire, empty }, "client_ca_file",
			empty + ": there is no certificate in PEM in it"},
		{"no ticket keys", func(c *config.TLS) { c.TicketKeyFile = empty }, "ticket_key_file", empty + ": there is no key in it"},
	} {
		c := settings(certFile, keyFile)
		tc.alter(c)
		s, faults := b.keeper.NewServer("web", c)
		if s != nil || len(faults) != 1 || faults[0].Key != "entrypoints.web.tls."+tc.key || !strings.HasPrefix(faults[0].Err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s: %s", tc.name, faults, tc.key, tc.want)
		}
	}
	c := settings(missing, keyFile)
	c.Certificates = []config.Certificate{further(missing, missing), further(certFile, otherKey)}
	if _, faults := b.keeper.NewServer("web", c); len(faults) != 3 {
		t.Errorf("not every fault is told: %v", faults)
	}
}

func TestWarnings(t *testing.T) {
	b := newBed(t)
	c := settings(b.write("a.test"))
	s := b.server(c)
	for days, want := range map[int]string{-1: "is valid from", 0: "", 1: "expired at"} {
		got := strings.Join(s.Warnings(time.Now().AddDate(0, 0, days)), "\n")
		if want == "" && got != "" || !strings.Contains(got, want) || want != "" && !strings.Contains(got, c.CertFile) {
			t.Errorf("%d days from now: %q, want %q", days, got, want)
		}
	}
	got := s.Certificates()
	if len(got) != 1 || got[0].File != c.CertFile || got[0].Name != "a.test" || time.Until(got[0].Expires) > 24*time.Hour {
		t.Errorf("certificates %+v", got)
	}
}

// TestClient secures a connection to a server, of its own authority, that wants to know who connects.
func TestClient(t *testing.T) {
	b := newBed(t)
	server := b.ca.Server("app.test")
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, b.ca.Pool()
	certFile, keyFile := b.write("proxy")
	whole := config.ServiceTLS{CAFile: b.ca.WriteCA(b.dir), CertFile: certFile, KeyFile: keyFile}
	for _, tc := range []struct {
		name  string
		alter func(*config.ServiceTLS)
		host  string
		want  string
	}{
		{"all", func(*config.ServiceTLS) {}, "app.test", ""},
		{"another name", func(*config.ServiceTLS) {}, "other.test", "certificate is valid for app.test, not other.test"},
		{"a name of its own", func(c *config.ServiceTLS) { c.ServerName = "app.test" }, "other.test", ""},
		{"the system's authorities", func(c *config.ServiceTLS) { c.CAFile = "" }, "app.test", "certificate signed by unknown authority"},
		{"no verification", func(c *config.ServiceTLS) { c.CAFile, c.InsecureSkipVerify = "", true }, "other.test", ""},
		{"no certificate", func(c *config.ServiceTLS) { c.CertFile, c.KeyFile = "", "" }, "app.test", "certificate required"},
	} {
		c := whole
		tc.alter(&c)
		client, faults := b.keeper.NewClient("app", "services.app.tls", &c)
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		with := client.Config()
		if with.ServerName == "" {
			with = with.Clone()
			with.ServerName = tc.host
		}
		_, err := b.handshake(server, with)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
	missing := whole
	missing.CAFile, missing.KeyFile = "/missing", "/missing"
	if _, faults := b.keeper.NewClient("app", "services.app.tls", &missing); len(faults) != 2 || faults[0].Key != "services.app.tls.ca_file" || faults[1].Key != "services.app.tls.key_file" {
		t.Errorf("faults %v", faults)
	}
}

// TestClientStays holds that sessions with servers outlast a configuration that asks for the same, and not one that
// trusts others.
func TestClientStays(t *testing.T) {
	b := newBed(t)
	c := config.ServiceTLS{CAFile: b.ca.WriteCA(b.dir)}
	client := func() *Client {
		t.Helper()
		v, faults := b.keeper.NewClient("app", "services.app.tls", &c)
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		b.keeper.Use(nil, map[string]*Client{"app": v})
		return v
	}
	first := client()
	if client().Config() != first.Config() {
		t.Error("the same settings make another config")
	}
	if changed, faults := first.Refresh(); changed || len(faults) > 0 {
		t.Error("the same files are a change", faults)
	}
	b.file("ca.crt", "nothing")
	if changed, faults := first.Refresh(); changed || len(faults) != 1 {
		t.Error("a bad file is taken", faults)
	}
	before := first.Config()
	b.file("ca.crt", string(testcert.New(t).PEM))
	if changed, faults := first.Refresh(); !changed || len(faults) > 0 || first.Config() == before {
		t.Error("other authorities are not taken", faults)
	}
	c.ServerName = "a.test"
	if last := client(); last.Config() == first.Config() || last.Config().ServerName != "a.test" {
		t.Error("other settings make the same config")
	}
}
