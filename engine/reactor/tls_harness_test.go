package reactor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// serverName is the name of the tests' servers.
const serverName = "server.test"

// testCertificate is self-signed, for servers and clients, and the pool that trusts it.
var testCertificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: serverName},
		DNSNames: []string{serverName}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
})

func serverConfig() *tls.Config {
	cert, _ := testCertificate()
	return &tls.Config{Certificates: []tls.Certificate{cert}, DynamicRecordSizingDisabled: true}
}

func clientConfig() *tls.Config {
	_, pool := testCertificate()
	return &tls.Config{RootCAs: pool, ServerName: serverName, DynamicRecordSizingDisabled: true}
}

// versions are those that the record layer differs in.
var versions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// eachVersion runs a test with configurations of either version.
func eachVersion(t *testing.T, test func(t *testing.T, server, client *tls.Config)) {
	for _, v := range versions {
		t.Run(tls.VersionName(v), func(t *testing.T) {
			server, client := serverConfig(), clientConfig()
			server.MaxVersion, client.MaxVersion = v, v
			test(t, server, client)
		})
	}
}

// outcome is what AcceptTLS or DialTLS came to.
type outcome struct {
	conn Conn
	err  error
}

// acceptTLS attaches fd with the handshake of a server, whose connection hear gives a sink. The outcome comes when
// hear has run.
func acceptTLS(t testing.TB, l *EventLoop, fd int, config *tls.Config, hear func(*sink)) (raw Conn, outcomes chan outcome) {
	t.Helper()
	outcomes = make(chan outcome, 1)
	on(t, l, func() {
		raw = l.Attach(fd, nil)
		raw.SetSink(l.AcceptTLS(raw, config, func(c Conn, err error) Sink {
			defer func() { outcomes <- outcome{c, err} }()
			if err != nil {
				return nil
			}
			s := &sink{conn: c}
			hear(s)
			return s
		}))
	})
	return raw, outcomes
}

// tlsPair is a connection with TLS over loopback: ours, a server, is on the loop, with the sink made by hear; the
// client's, whose handshake is done, is returned.
func tlsPair(t testing.TB, l *EventLoop, server, client *tls.Config, hear func(*sink)) (*tls.Conn, Conn) {
	t.Helper()
	out, fd := tcpPair(t)
	_, outcomes := acceptTLS(t, l, fd, server, hear)
	c := tls.Client(out, client)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	o := await(t, outcomes)
	if o.err != nil {
		t.Fatal(o.err)
	}
	return c, o.conn
}

// tlsServer listens and serves each connection with serve, on goroutines, and returns its address.
func tlsServer(t testing.TB, config *tls.Config, serve func(*tls.Conn)) Addr {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { listener.Close(); all.Wait() })
	all.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				serve(tls.Server(c, config))
			})
		}
	})
	return Addr{TCP: listener.Addr().(*net.TCPAddr).AddrPort()}
}

// dialTLS dials from the loop and waits for the handshake.
func dialTLS(t testing.TB, l *EventLoop, a Addr, config *tls.Config, hear func(*sink)) (*sink, error) {
	t.Helper()
	opened := make(chan error, 1)
	s := new(sink)
	on(t, l, func() {
		s.drained = func() { opened <- nil }
		s.closed = func(err error) { opened <- err }
		s.conn = l.DialTLS(a, config, s)
		if hear != nil {
			hear(s)
		}
	})
	return s, await(t, opened)
}

func (o outcome) String() string { return fmt.Sprintf("%v, %v", o.conn, o.err) }
