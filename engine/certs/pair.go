package certs

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Fault is what is wrong with a file.
type Fault struct {
	Key string // of the configuration that names the file, such as "entrypoints.web.tls.key_file"
	Err error  // names the file
}

// sum tells contents of files, and certificates, apart.
type sum = [sha256.Size]byte

// pair is a certificate with its key, as its files had them.
type pair struct {
	// Immutable:
	certFile, keyFile string
	sum               sum // of both files
	leaf              *x509.Certificate
	names             []string // host names in lower case, also wildcards
	mustStaple        bool

	cert atomic.Pointer[tls.Certificate] // replaced when there is another OCSP response
}

// loadPair reads a certificate and its key; before, which may be nil, is what is returned when the files are the same.
// key is that of the mapping that names them.
func loadPair(key, certFile, keyFile string, before *pair) (*pair, *Fault) {
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return nil, &Fault{key + ".cert_file", err}
	}
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, &Fault{key + ".key_file", err}
	}
	sum := sha256.Sum256(slices.Concat(certPEM, keyPEM))
	if before != nil && before.sum == sum {
		return before, nil
	}
	if _, err := firstCertificate(certPEM); err != nil {
		return nil, &Fault{key + ".cert_file", fmt.Errorf("%s: %w", certFile, err)}
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, &Fault{key + ".key_file", fmt.Errorf("%s with %s: %s", keyFile, certFile, plain(err))}
	}
	p := &pair{certFile: certFile, keyFile: keyFile, sum: sum, leaf: cert.Leaf, mustStaple: mustStaple(cert.Leaf)}
	for _, name := range cert.Leaf.DNSNames {
		p.names = append(p.names, strings.TrimSuffix(strings.ToLower(name), "."))
	}
	p.cert.Store(&cert)
	return p, nil
}

// firstCertificate is the first certificate of a PEM file.
func firstCertificate(text []byte) (*x509.Certificate, error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, errors.New("there is no certificate in PEM in it")
		}
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
}

// plain is the text of an error of crypto/tls without the name of the package.
func plain(err error) string { return strings.TrimPrefix(err.Error(), "tls: ") }

// loadPool reads the certificates of authorities.
func loadPool(key, file string) (pool *x509.CertPool, text []byte, fault *Fault) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, &Fault{key, err}
	}
	pool = x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, nil, &Fault{key, fmt.Errorf("%s: there is no certificate in PEM in it", file)}
	}
	return pool, text, nil
}

// warnings is what is odd about a certificate that can be used.
func (p *pair) warnings(now time.Time) (texts []string) {
	switch {
	case now.After(p.leaf.NotAfter):
		texts = append(texts, fmt.Sprintf("the certificate of %s expired at %s", p.certFile, p.leaf.NotAfter.Format(time.DateTime)))
	case now.Before(p.leaf.NotBefore):
		texts = append(texts, fmt.Sprintf("the certificate of %s is valid from %s only", p.certFile, p.leaf.NotBefore.Format(time.DateTime)))
	}
	if p.mustStaple && (len(p.leaf.OCSPServer) == 0 || p.issuer() == nil) {
		texts = append(texts, fmt.Sprintf("the certificate of %s must have an OCSP response stapled, but the file does not say "+
			"where to get one, or lacks the certificate of its issuer", p.certFile))
	}
	return texts
}

// cheap reports whether signing with the key costs little.
func (p *pair) cheap() bool {
	switch p.leaf.PublicKey.(type) {
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}

// issuer is the certificate of who signed the leaf; nil when the file lacks it.
func (p *pair) issuer() *x509.Certificate {
	if chain := p.cert.Load().Certificate; len(chain) > 1 {
		if c, err := x509.ParseCertificate(chain[1]); err == nil {
			return c
		}
	}
	return nil
}

// The extension by which a certificate asks for stapling, and the status_request in it (RFC 7633).
var tlsFeature = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}

const statusRequest = 5

func mustStaple(leaf *x509.Certificate) bool {
	for _, e := range leaf.Extensions {
		var features []int
		if e.Id.Equal(tlsFeature) {
			_, err := asn1.Unmarshal(e.Value, &features)
			return err == nil && slices.Contains(features, statusRequest)
		}
	}
	return false
}
