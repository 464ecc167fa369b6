package config

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// TLSVersion is a version of TLS.
type TLSVersion string

// Versions of TLS.
const (
	TLS12 TLSVersion = "1.2"
	TLS13 TLSVersion = "1.3"
)

func (TLSVersion) words() []TLSVersion { return []TLSVersion{TLS12, TLS13} }

// ClientAuth is whether clients are asked for a certificate.
type ClientAuth string

// What is asked of clients. A certificate that is given is always verified.
const (
	ClientAuthNone    ClientAuth = "none"    // nothing
	ClientAuthRequest ClientAuth = "request" // a certificate, without which they may come too
	ClientAuthRequire ClientAuth = "require" // a certificate
)

func (ClientAuth) words() []ClientAuth {
	return []ClientAuth{ClientAuthNone, ClientAuthRequest, ClientAuthRequire}
}

// ALPN is a protocol that is negotiated in a handshake (RFC 7301).
type ALPN string

// Protocols.
const (
	ALPNHTTP2  ALPN = "h2"
	ALPNHTTP11 ALPN = "http/1.1"
)

func (ALPN) words() []ALPN { return []ALPN{ALPNHTTP2, ALPNHTTP11} }

// TLS is what an entry point speaks TLS with.
type TLS struct {
	CertFile, KeyFile string // of the certificate for any name; empty: that is the first of Certificates
	Certificates      []Certificate
	MinVersion        TLSVersion
	ClientCAFile      string // not empty unless ClientAuth is ClientAuthNone
	ClientAuth        ClientAuth
	ALPN              []ALPN // by preference, at least one
	SNIStrict         bool
	HandshakeTimeout  time.Duration
	TicketKeyFile     string // empty: keys of the process's own
}

func (t *TLS) keys(o *object) {
	o.key("cert_file", file(&t.CertFile), "PEM file of the certificate, with those that sign it, for clients that name no other")
	o.key("key_file", file(&t.KeyFile), "PEM file of its key")
	o.key("certificates", list(&t.Certificates, 0, func(c *Certificate) value { return section(c) }),
		"further ones, for the names in them; without `cert_file` the first is also for any other name")
	o.key("min_version", tlsVersion(&t.MinVersion, TLS12), "the oldest version that is spoken")
	o.key("client_ca_file", file(&t.ClientCAFile), "PEM file of the authorities that sign the certificates of clients")
	o.key("client_auth", choice(&t.ClientAuth, ClientAuthNone),
		"whether clients are asked for a certificate: no; yes, and one that is given must be good; none is let in without")
	o.key("alpn", listValue[ALPN]{&t.ALPN, []ALPN{ALPNHTTP2, ALPNHTTP11}, 1, alpn}, "protocols that are offered, by preference")
	o.key("sni_strict", boolean(&t.SNIStrict, false), "refuses a client that names no host, or one that is in no certificate")
	o.key("handshake_timeout_ms", milliseconds(&t.HandshakeTimeout, 10_000, 1, dayMillis), "longest time a handshake may take")
	o.key("ticket_key_file", file(&t.TicketKeyFile),
		"keys of session tickets, to share them with other processes: a line for each, 32 bytes in hexadecimal or base64, that "+
			"which seals new tickets first; without it the process makes its own")
}

// Certificate is one certificate of an entry point, and what it asks of clients that name one of its names.
type Certificate struct {
	CertFile, KeyFile string
	MinVersion        TLSVersion
	ClientCAFile      string // not empty unless ClientAuth is ClientAuthNone
	ClientAuth        ClientAuth
}

func (c *Certificate) keys(o *object) {
	o.require("cert_file", file(&c.CertFile), "PEM file of the certificate, with those that sign it")
	o.require("key_file", file(&c.KeyFile), "PEM file of its key")
	o.key("min_version", withoutDefault(tlsVersion(&c.MinVersion, TLS12), TLSVersion("")), "without it, that of the entry point, like the keys below")
	o.key("client_ca_file", file(&c.ClientCAFile), "authorities of the certificates of clients that name this one's names")
	o.key("client_auth", withoutDefault(choice(&c.ClientAuth, ClientAuthNone), ClientAuth("")), "whether they are asked for one")
}

// HTTP2 is the limits of the HTTP/2 connections of an entry point.
type HTTP2 struct {
	MaxConcurrentStreams int
	InitialWindow        int64 // bytes of content that a stream may be ahead of its server
	ConnectionWindow     int64 // bytes, over the streams of a connection
}

func (h *HTTP2) keys(o *object) {
	o.key("max_concurrent_streams", integer(&h.MaxConcurrentStreams, 100, 1, 10_000), "requests at a time on one connection")
	o.key("initial_window_bytes", integer(&h.InitialWindow, 65536, 1024, maxWindow),
		"content of a request that a client may send before its server takes it")
	o.key("connection_window_bytes", integer(&h.ConnectionWindow, 1<<20, 65535, maxWindow),
		"the same over all requests of a connection")
}

// maxWindow is the largest flow-control window (RFC 9113 section 6.9.1).
const maxWindow = 1<<31 - 1

// ServiceTLS is how connections to servers whose URL is https:// are secured. It is comparable.
type ServiceTLS struct {
	CAFile             string // empty: the authorities of the system
	ServerName         string // in the server's certificate; empty: the host of its URL
	InsecureSkipVerify bool
	CertFile, KeyFile  string // of the proxy's own certificate; empty: none
}

func (t *ServiceTLS) keys(o *object) {
	o.key("ca_file", file(&t.CAFile), "PEM file of the authorities that sign the certificates of the servers; without it, those of the system")
	o.key("server_name", hostName(&t.ServerName), "the name that is asked for, and is in their certificates; without it, the host of the URL")
	o.key("insecure_skip_verify", boolean(&t.InsecureSkipVerify, false), "takes any certificate: whoever is on the way can read and change all")
	o.key("cert_file", file(&t.CertFile), "PEM file of the certificate that is shown to servers that ask for one")
	o.key("key_file", file(&t.KeyFile), "PEM file of its key")
}

// checkTLS tells of what does not go together in the TLS of entry points, and puts in what certificates take from them.
func (l *loader) checkTLS(c *Config) {
	for _, name := range slices.Sorted(maps.Keys(c.EntryPoints)) {
		t, path := c.EntryPoints[name].TLS, "entrypoints."+name+".tls"
		if t == nil {
			continue
		}
		l.checkPair(path, t.CertFile, t.KeyFile)
		if t.CertFile == "" && t.KeyFile == "" && len(t.Certificates) == 0 && !l.anyRefused(path, "cert_file", "key_file", "certificates") {
			l.wrong(path+".cert_file", "missing, expected a path; or certificates")
		}
		l.checkClientAuth(path, t.ClientAuth, t.ClientCAFile)
		for i := range t.Certificates {
			l.checkCertificate(fmt.Sprintf("%s.certificates[%d]", path, i), t, &t.Certificates[i])
		}
		l.checkTwice(path, t)
	}
}

// checkCertificate gives a certificate what it has not of its own.
func (l *loader) checkCertificate(path string, t *TLS, c *Certificate) {
	own := c.ClientAuth != "" || c.ClientCAFile != ""
	if c.MinVersion == "" {
		c.MinVersion = t.MinVersion
	}
	if c.ClientAuth == "" {
		c.ClientAuth = t.ClientAuth
	}
	if c.ClientCAFile == "" && c.ClientAuth != ClientAuthNone {
		c.ClientCAFile = t.ClientCAFile
	}
	if own {
		l.checkClientAuth(path, c.ClientAuth, c.ClientCAFile)
	}
}

// checkTwice tells of a certificate that is given twice.
func (l *loader) checkTwice(path string, t *TLS) {
	first := map[string]string{t.CertFile: path + ".cert_file"}
	for i := range t.Certificates {
		key, name := fmt.Sprintf("%s.certificates[%d].cert_file", path, i), t.Certificates[i].CertFile
		if earlier, twice := first[name]; twice && name != "" {
			l.wrong(key, "the same file as %s", earlier)
			continue
		}
		first[name] = key
	}
}

// checkPair tells of a certificate without its key, or a key without its certificate.
func (l *loader) checkPair(path, cert, key string) {
	switch {
	case cert == "" && key != "" && !l.refused(path+".cert_file"):
		l.wrong(path+".cert_file", "missing, expected the path of the certificate that key_file is for")
	case cert != "" && key == "" && !l.refused(path+".key_file"):
		l.wrong(path+".key_file", "missing, expected the path of the key of cert_file")
	}
}

// checkClientAuth tells of clients that are asked for certificates nobody can verify, and of authorities that nobody asks.
func (l *loader) checkClientAuth(path string, auth ClientAuth, ca string) {
	auths, cas := path+".client_auth", path+".client_ca_file"
	switch {
	case l.anyRefused(path, "client_auth", "client_ca_file"):
	case auth != ClientAuthNone && ca == "":
		l.wrong(cas, "missing, expected the path of the authorities of clients, with client_auth: %s", auth)
	case auth == ClientAuthNone && l.given(cas):
		l.wrong(cas, "only with %s: %s or %s", auths[len(path)+1:], ClientAuthRequest, ClientAuthRequire)
	}
}

// checkServiceTLS tells of what does not go together in the TLS of a service.
func (l *loader) checkServiceTLS(path string, s *Service) {
	t := s.TLS
	if t == nil {
		return
	}
	secure := func(v Server) bool { return v.URL.Scheme == SchemeHTTPS || v.URL == ServerURL{} }
	l.checkClientTLS(path+".tls", t, slices.ContainsFunc(s.Servers, secure), "servers whose URL is https://")
}

// checkClientTLS tells of what does not go together in the TLS of connections that the proxy opens; used says that there are
// some, those to whom.
func (l *loader) checkClientTLS(path string, t *ServiceTLS, used bool, whom string) {
	if !used {
		l.wrong(path, "only for %s", whom)
	}
	if t.InsecureSkipVerify && t.CAFile != "" {
		l.wrong(path+".ca_file", "not used with insecure_skip_verify: true")
	}
	l.checkPair(path, t.CertFile, t.KeyFile)
}

// anyRefused reports whether a fault of one of these keys has been told.
func (l *loader) anyRefused(path string, keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return l.refused(path + "." + key) })
}

// tlsVersion is a version of TLS, which the file may have without quotes.
func tlsVersion(dst *TLSVersion, first TLSVersion) value {
	s := choice(dst, first).(scalar[TLSVersion])
	s.form.kind, s.form.min, s.form.max = kindVersion, 1.2, 1.3
	return s
}

// alpn is a protocol that can be negotiated.
func alpn(dst *ALPN) value { return withoutDefault(choice(dst, ALPNHTTP2), ALPN("")) }

// file is the path of a file, which is read by who uses it.
func file(dst *string) value { return text(dst, "", "a path") }

// hostName is the name of a host.
func hostName(dst *string) value {
	form := shape{kind: kindText, expected: "a host name", pattern: `^[A-Za-z0-9_.-]+$`}
	return scalar[string]{dst, "", form, func(s string) (string, error) {
		if !isHostName(s) {
			return "", errForm
		}
		return s, nil
	}}
}
