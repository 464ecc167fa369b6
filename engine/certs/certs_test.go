package certs

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"traffic_management/config"
	"traffic_management/internal/testcert"
)

// bed is an authority, a directory for files, and what makes Servers, with a clock of its own.
type bed struct {
	*testing.T
	ca     *testcert.CA
	dir    string
	keeper *Keeper
	clock  time.Time
}

func newBed(t *testing.T) *bed {
	b := &bed{T: t, ca: testcert.New(t), dir: t.TempDir(), clock: time.Now()}
	b.keeper = b.newKeeper(nil)
	return b
}

func (b *bed) newKeeper(handed []byte) *Keeper {
	k := NewKeeper(slog.New(slog.NewTextHandler(b.Output(), nil)), handed, nil)
	k.now = func() time.Time { return b.clock }
	return k
}

// write writes a certificate for these names, and its key, to files that are called by the first.
func (b *bed) write(names ...string) (certFile, keyFile string) {
	b.Helper()
	return b.ca.Write(b.dir, strings.TrimPrefix(names[0], "*."), names...)
}

// file writes a file.
func (b *bed) file(name, text string) (path string) {
	b.Helper()
	path = filepath.Join(b.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// settings is a configuration with what the file has by default.
func settings(certFile, keyFile string) *config.TLS {
	return &config.TLS{CertFile: certFile, KeyFile: keyFile, MinVersion: config.TLS12, ClientAuth: config.ClientAuthNone,
		ALPN: []config.ALPN{config.ALPNHTTP2, config.ALPNHTTP11}}
}

// further is a certificate that asks for nothing of its own.
func further(certFile, keyFile string) config.Certificate {
	return config.Certificate{CertFile: certFile, KeyFile: keyFile, MinVersion: config.TLS12, ClientAuth: config.ClientAuthNone}
}

func (b *bed) server(c *config.TLS) *Server {
	b.Helper()
	return b.serverOf(b.keeper, c)
}

func (b *bed) serverOf(k *Keeper, c *config.TLS) *Server {
	b.Helper()
	s, faults := k.NewServer("web", c)
	if len(faults) > 0 {
		b.Fatal(faults)
	}
	k.Use(map[string]*Server{"web": s}, nil)
	return s
}

// client is what a client asks for a name with; empty for one that names none.
func (b *bed) client(name string) *tls.Config {
	return &tls.Config{RootCAs: b.ca.Pool(), ServerName: name, InsecureSkipVerify: name == ""}
}

// handshake makes one, and passes a byte so that tickets and the server's verdict arrive. The error is the client's, or
// else the server's.
func (b *bed) handshake(server, client *tls.Config) (tls.ConnectionState, error) {
	b.Helper()
	near, far := b.connect()
	ctx, cancel := context.WithTimeout(b.Context(), 20*time.Second)
	defer cancel()
	defer context.AfterFunc(ctx, func() { near.Close(); far.Close() })()
	done := make(chan error, 1)
	go func() {
		c := tls.Server(far, server)
		_, err := c.Write([]byte{0})
		done <- err
		far.Close()
	}()
	c := tls.Client(near, client)
	_, err := c.Read(make([]byte, 1))
	near.Close()
	if serverErr := <-done; err == nil {
		err = serverErr
	}
	return c.ConnectionState(), err
}

// connect makes a connection.
func (b *bed) connect() (near, far net.Conn) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial("tcp", l.Addr().String()); err != nil {
		b.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		b.Fatal(err)
	}
	return near, far
}

// leaf is the common name of the certificate that a client gets for a name.
func (b *bed) leaf(s *Server, name string) string {
	b.Helper()
	client := b.client(name)
	client.InsecureSkipVerify = true
	state, err := b.handshake(s.Config(), client)
	if err != nil {
		b.Fatalf("%q: %v", name, err)
	}
	return state.PeerCertificates[0].Subject.CommonName
}

func TestNames(t *testing.T) {
	b := newBed(t)
	c := settings(b.write("default.test", "second.test"))
	c.Certificates = []config.Certificate{further(b.write("a.test", "*.A.test")), further(b.write("*.wild.test")), further(b.write("x.wild.test"))}
	names := map[string]string{"default.test": "default.test", "second.test": "default.test", "a.test": "a.test", "A.TEST": "a.test",
		"b.a.test": "a.test", "c.b.a.test": "default.test", "wild.test": "default.test", "y.wild.test": "*.wild.test",
		"x.wild.test": "x.wild.test", "X.Wild.Test": "x.wild.test", "other": "default.test", "": "default.test"}
	s := b.server(c)
	for name, want := range names {
		if got := b.leaf(s, name); got != want {
			t.Errorf("%q: the certificate of %s, want %s", name, got, want)
		}
	}
	c.SNIStrict = true
	s = b.server(c)
	for name, want := range names {
		if strings.Contains(" other wild.test c.b.a.test ", " "+name+" ") || name == "" {
			if _, err := b.handshake(s.Config(), b.client(name)); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
				t.Errorf("%q, strictly: %v, want the alert unrecognized_name", name, err)
			}
		} else if got := b.leaf(s, name); got != want {
			t.Errorf("%q, strictly: the certificate of %s, want %s", name, got, want)
		}
	}
	c.SNIStrict, c.CertFile, c.KeyFile = false, "", ""
	if got := b.leaf(b.server(c), "other"); got != "a.test" {
		t.Errorf("without a default: the certificate of %s, want that of the first, a.test", got)
	}
}

// TestKinds has an RSA and an ECDSA certificate for one name.
func TestKinds(t *testing.T) {
	b := newBed(t)
	certPEM, keyPEM := b.ca.LeafRSA("a.test")
	c := settings(b.file("rsa.crt", string(certPEM)), b.file("rsa.key", string(keyPEM)))
	c.Certificates = []config.Certificate{further(b.write("a.test"))}
	s := b.server(c)
	for suite, want := range map[uint16]tls.SignatureScheme{
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:   tls.PSSWithSHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: tls.ECDSAWithP256AndSHA256,
	} {
		client := b.client("a.test")
		client.MaxVersion, client.CipherSuites = tls.VersionTLS12, []uint16{suite}
		state, err := b.handshake(s.Config(), client)
		if err != nil || (state.PeerCertificates[0].PublicKeyAlgorithm.String() == "RSA") != (want == tls.PSSWithSHA256) {
			t.Errorf("%s: %v", tls.CipherSuiteName(suite), err)
		}
	}
	state, err := b.handshake(s.Config(), b.client("a.test"))
	if err != nil || state.PeerCertificates[0].PublicKeyAlgorithm.String() != "ECDSA" {
		t.Errorf("a client that knows both: %v, want the one that costs less", err)
	}
}

func TestVersionsAndProtocols(t *testing.T) {
	b := newBed(t)
	certFile, keyFile := b.write("a.test")
	for _, c := range []struct {
		min     config.TLSVersion
		offered []config.ALPN
		max     uint16
		wanted  []string
		got     string // protocol, or a part of the error
		ok      bool
	}{
		{config.TLS12, []config.ALPN{config.ALPNHTTP2, config.ALPNHTTP11}, tls.VersionTLS12, []string{"http/1.1", "h2"}, "h2", true},
		{config.TLS12, []config.ALPN{config.ALPNHTTP11}, tls.VersionTLS13, []string{"h2", "http/1.1"}, "http/1.1", true},
		{config.TLS12, []config.ALPN{config.ALPNHTTP2}, tls.VersionTLS13, nil, "", true},
		{config.TLS12, []config.ALPN{config.ALPNHTTP2}, tls.VersionTLS13, []string{"spdy/3"}, "no application protocol", false},
		{config.TLS12, []config.ALPN{config.ALPNHTTP2}, tls.VersionTLS11, nil, "protocol version", false},
		{config.TLS13, []config.ALPN{config.ALPNHTTP2}, tls.VersionTLS12, nil, "protocol version", false},
		{config.TLS13, []config.ALPN{config.ALPNHTTP2}, tls.VersionTLS13, []string{"h2"}, "h2", true},
	} {
		set := settings(certFile, keyFile)
		set.MinVersion, set.ALPN = c.min, c.offered
		client := b.client("a.test")
		client.MinVersion, client.MaxVersion, client.NextProtos = tls.VersionTLS10, c.max, c.wanted
		state, err := b.handshake(b.server(set).Config(), client)
		if c.ok && (err != nil || state.NegotiatedProtocol != c.got) || !c.ok && (err == nil || !strings.Contains(err.Error(), c.got)) {
			t.Errorf("%+v: %q, %v", c, state.NegotiatedProtocol, err)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	b := newBed(t)
	caFile := b.ca.WriteCA(b.dir)
	own, foreign := b.ca.Certificate("worker"), testcert.New(t).Certificate("worker")
	c := settings(b.write("open.test"))
	c.Certificates = []config.Certificate{further(b.write("ask.test")), further(b.write("need.test"))}
	c.Certificates[0].ClientAuth, c.Certificates[0].ClientCAFile = config.ClientAuthRequest, caFile
	c.Certificates[1].ClientAuth, c.Certificates[1].ClientCAFile = config.ClientAuthRequire, caFile
	s := b.server(c)
	for _, c := range []struct {
		name  string
		shown *tls.Certificate
		ok    bool
	}{
		{"open.test", nil, true}, {"open.test", &foreign, true},
		{"ask.test", nil, true}, {"ask.test", &own, true}, {"ask.test", &foreign, false},
		{"need.test", nil, false}, {"need.test", &own, true}, {"need.test", &foreign, false},
	} {
		client := b.client(c.name)
		client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if c.shown == nil {
				return new(tls.Certificate), nil
			}
			return c.shown, nil // whether the server would take it or not
		}
		if _, err := b.handshake(s.Config(), client); (err == nil) != c.ok {
			t.Errorf("%s with %v: %v", c.name, c.shown != nil, err)
		}
	}
}

func TestOptions(t *testing.T) {
	b := newBed(t)
	caFile := b.ca.WriteCA(b.dir)
	c := settings(b.write("open.test"))
	c.Certificates = []config.Certificate{further(b.write("*.open.test")), further(b.write("need.test", "*.need.test")), further(b.write("new.test"))}
	c.Certificates[1].ClientAuth, c.Certificates[1].ClientCAFile = config.ClientAuthRequire, caFile
	c.Certificates[2].MinVersion = config.TLS13
	s := b.server(c)
	open, need, new := s.Options([]byte("open.test")), s.Options([]byte("need.test")), s.Options([]byte("new.test"))
	if open == need || need == new || new == open {
		t.Errorf("numbers %d, %d, %d", open, need, new)
	}
	for name, want := range map[string]int{"": open, "other": open, "127.0.0.1": open, "a.open.test": open, "b.a.need.test": open,
		"a.need.test": need, "a.new.test": open} {
		if got := s.Options([]byte(name)); got != want {
			t.Errorf("%q: %d, want %d", name, got, want)
		}
	}
	again := b.server(c)
	if got := again.Options([]byte("need.test")); got != need {
		t.Errorf("the next configuration numbers the same options %d, this one %d", got, need)
	}
	host := []byte("a.need.test")
	if n := testing.AllocsPerRun(100, func() { s.Options(host) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
