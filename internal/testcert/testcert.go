// Package testcert makes certificates for tests, at run time and by an authority of the test's own.
package testcert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA is an authority that issues certificates. Any goroutine may use it.
type CA struct {
	Cert *x509.Certificate
	Key  crypto.Signer
	PEM  []byte // of Cert

	t testing.TB
}

// New makes an authority with a key of its own.
func New(t testing.TB) *CA {
	t.Helper()
	ca := &CA{t: t}
	ca.Key = newKey(t)
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: "testcert"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, ca.Key.Public(), ca.Key)
	check(t, err)
	ca.Cert, err = x509.ParseCertificate(der)
	check(t, err)
	ca.PEM = encode("CERTIFICATE", der)
	return ca
}

// Pool holds the authority alone.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Cert)
	return pool
}

// Leaf issues a certificate for servers and clients with an ECDSA key (P-256). Names are host names, also wildcards, or
// IP addresses; the first is also the common name of the subject.
func (ca *CA) Leaf(names ...string) (certPEM, keyPEM []byte) {
	ca.t.Helper()
	return ca.Issue(newKey(ca.t), nil, names...)
}

// LeafRSA is Leaf with an RSA key.
func (ca *CA) LeafRSA(names ...string) (certPEM, keyPEM []byte) {
	ca.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check(ca.t, err)
	return ca.Issue(key, nil, names...)
}

// Issue is Leaf for a key, with what alter, when it is not nil, makes of the template.
func (ca *CA) Issue(key crypto.Signer, alter func(*x509.Certificate), names ...string) (certPEM, keyPEM []byte) {
	ca.t.Helper()
	template := &x509.Certificate{
		SerialNumber: serial(ca.t), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(12 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for i, name := range names {
		if i == 0 {
			template.Subject.CommonName = name
		}
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	if alter != nil {
		alter(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Cert, key.Public(), ca.Key)
	check(ca.t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	check(ca.t, err)
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", private)
}

// Certificate is Leaf for a tls.Config.
func (ca *CA) Certificate(names ...string) tls.Certificate {
	ca.t.Helper()
	cert, err := tls.X509KeyPair(ca.Leaf(names...))
	check(ca.t, err)
	return cert
}

// Server is a tls.Config of a server with one certificate for these names.
func (ca *CA) Server(names ...string) *tls.Config {
	ca.t.Helper()
	return &tls.Config{Certificates: []tls.Certificate{ca.Certificate(names...)}}
}

// Client is a tls.Config of a client that trusts the authority and asks for a name.
func (ca *CA) Client(name string) *tls.Config {
	return &tls.Config{RootCAs: ca.Pool(), ServerName: name}
}

// Write is Leaf as two files of a directory, name.crt and name.key, in place of those that are there.
func (ca *CA) Write(dir, name string, names ...string) (certFile, keyFile string) {
	ca.t.Helper()
	certPEM, keyPEM := ca.Leaf(names...)
	certFile, keyFile = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	check(ca.t, os.WriteFile(certFile, certPEM, 0o600))
	check(ca.t, os.WriteFile(keyFile, keyPEM, 0o600))
	return certFile, keyFile
}

// WriteCA writes the authority's certificate to a file of a directory.
func (ca *CA) WriteCA(dir string) (file string) {
	ca.t.Helper()
	file = filepath.Join(dir, "ca.crt")
	check(ca.t, os.WriteFile(file, ca.PEM, 0o600))
	return file
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	return key
}

func serial(t testing.TB) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	check(t, err)
	return n
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
