package upstream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/internal/testcert"
)

// tlsServer answers with what it knows of the request and its connection.
func tlsServer(t testing.TB, config *tls.Config, protocols ...string) *httptest.Server {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s resumed=%v clients=%d", r.Proto, r.Host, r.URL.Path, r.TLS.DidResume, len(r.TLS.PeerCertificates))
	}))
	s.TLS = config
	s.TLS.NextProtos = protocols
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = false
	for _, p := range protocols {
		s.EnableHTTP2 = s.EnableHTTP2 || p == alpnH2
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func expired(t testing.TB, ca *testcert.CA, name string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(ca.Issue(key, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}, name))
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// Which servers are trusted, in either version of HTTP: the client's configuration says.
func TestTLSVerification(t *testing.T) {
	ca, other := testcert.New(t), testcert.New(t)
	good := ca.Server("good.example")
	mutual := good.Clone()
	mutual.ClientAuth, mutual.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
	client := ca.Certificate("proxy.example")
	for _, c := range []struct {
		name   string
		server *tls.Config
		client *tls.Config
		want   string // in what is heard
	}{
		{"trusted", good, &tls.Config{RootCAs: ca.Pool()}, "clients=0"},
		{"named", ca.Server("other.example"), &tls.Config{RootCAs: ca.Pool(), ServerName: "other.example"}, "clients=0"},
		{"unchecked", other.Server("x"), &tls.Config{InsecureSkipVerify: true}, "clients=0"},
		{"wrong name", ca.Server("other.example"), &tls.Config{RootCAs: ca.Pool()}, "not good.example"},
		{"unknown authority", other.Server("good.example"), &tls.Config{RootCAs: ca.Pool()}, "unknown authority"},
		{"the system's authorities", good, nil, "unknown authority"},
		{"expired", &tls.Config{Certificates: []tls.Certificate{expired(t, ca, "good.example")}},
			&tls.Config{RootCAs: ca.Pool()}, "expired"},
		{"version", &tls.Config{Certificates: good.Certificates, MaxVersion: tls.VersionTLS11},
			&tls.Config{RootCAs: ca.Pool()}, "protocol version"},
		{"client certificate", mutual, &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{client}}, "clients=1"},
		{"no client certificate", mutual, &tls.Config{RootCAs: ca.Pool()}, "certificate required"},
	} {
		for _, p := range [][]string{{alpnH1}, {alpnH2, alpnH1}} {
			t.Run(c.name+" "+p[0], func(t *testing.T) {
				s := tlsServer(t, c.server.Clone(), p...)
				b := newLiveBed(t, ProtocolTLS, addressOf(s.Listener), "good.example:443", func(o *Options) { o.TLS = c.client })
				x := b.begin(codec.MethodGet, "/a", nil)
				got := x.finish()
				if !strings.Contains(got, c.want) {
					t.Fatalf("heard %q", got)
				}
				if strings.HasPrefix(got, "head 200") {
					if want := map[string]string{alpnH1: "HTTP/1.1", alpnH2: "HTTP/2.0"}[p[0]] + " client.example /a"; !strings.Contains(got, want) {
						t.Errorf("heard %q, want %q", got, want)
					}
					return
				}
				if e := x.err; e == nil || e.Kind != codec.KindTLS || e.Status != 502 || e.Side != codec.Upstream || !blames(e) {
					t.Errorf("the error is %+v", e)
				}
			})
		}
	}
}

// A new connection takes up the session of an earlier one.
func TestTLSResumption(t *testing.T) {
	ca := testcert.New(t)
	for _, p := range [][]string{{alpnH1}, {alpnH2, alpnH1}} {
		s := tlsServer(t, ca.Server("good.example"), p...)
		b := newLiveBed(t, ProtocolTLS, addressOf(s.Listener), "good.example", func(o *Options) {
			o.TLS = &tls.Config{RootCAs: ca.Pool(), ClientSessionCache: tls.NewLRUClientSessionCache(8)}
		})
		for i := range 2 {
			if got, want := b.get("/"), fmt.Sprintf("resumed=%v", i > 0); !strings.Contains(got, want) {
				t.Errorf("%s, connection %d: %q, want %q", p[0], i, got, want)
			}
			b.on(func() {
				if !b.pools.ShedIdle() {
					t.Error("no connection is idle")
				}
			})
		}
		if b.meter.opened != 2 {
			t.Errorf("%d connections were opened", b.meter.opened)
		}
	}
}

// A changed configuration concerns connections that are opened from then on.
func TestTLSReconfigured(t *testing.T) {
	ca := testcert.New(t)
	s := tlsServer(t, ca.Server("good.example"), alpnH1)
	trusting := &tls.Config{RootCAs: ca.Pool()}
	b := newLiveBed(t, ProtocolTLS, addressOf(s.Listener), "good.example", func(o *Options) { o.TLS = trusting })
	if got := b.get("/"); !strings.HasPrefix(got, "head 200") {
		t.Fatal(got)
	}
	o := *b.service.Options()
	o.TLS = &tls.Config{RootCAs: testcert.New(t).Pool()}
	b.service.SetOptions(&o)
	if got := b.get("/"); !strings.HasPrefix(got, "head 200") {
		t.Errorf("the connection that was there: %s", got)
	}
	b.on(func() { b.pools.ShedIdle() })
	x := b.begin(codec.MethodGet, "/", nil)
	if got := x.finish(); x.err == nil || x.err.Kind != codec.KindTLS || x.err.Retry != codec.RetrySafe {
		t.Errorf("a new connection: %s", got)
	}
	var unknown x509.UnknownAuthorityError
	if !errors.As(x.err, &unknown) {
		t.Errorf("the cause is %v", x.err.Cause)
	}
}
