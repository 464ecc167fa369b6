package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"traffic_management/config"
)

// Server is what one entry point does its handshakes with, in one configuration. Its files may be read anew at any time.
type Server struct {
	// Immutable:
	name   string // of the entry point
	config *config.TLS
	keeper *Keeper
	base   *tls.Config
	pairs  []named // the default one first
	sets   []options

	table atomic.Pointer[table]

	mu     sync.Mutex // held while files are read; guards loaded
	loaded contents
}

// contents is what files had the last time they were good. Its slices are not changed once it is in force.
type contents struct {
	pairs   []*pair       // by number of Server.pairs
	pools   []authorities // by set of options
	tickets ticketFile
}

// named is where a configuration names a pair.
type named struct {
	key               string // of the mapping with cert_file and key_file
	certFile, keyFile string
	set               int
}

// options are what a certificate asks for beside itself.
type options struct {
	minVersion config.TLSVersion
	auth       config.ClientAuth
	caFile     string
	caKey      string // where a configuration names caFile first
	number     int    // by Keeper
}

// authorities are those that sign certificates of clients.
type authorities struct {
	pool *x509.CertPool // nil: clients are not asked
	sum  sum
}

// NewServer reads the files of an entry point's TLS. The faults are everything that is wrong with them; without any
// there is a Server.
func (k *Keeper) NewServer(entryPoint string, c *config.TLS) (*Server, []Fault) {
	s := &Server{name: entryPoint, config: c, keeper: k}
	key := "entrypoints." + entryPoint + ".tls"
	if c.CertFile != "" {
		s.enter(key, &config.Certificate{CertFile: c.CertFile, KeyFile: c.KeyFile, MinVersion: c.MinVersion,
			ClientAuth: c.ClientAuth, ClientCAFile: c.ClientCAFile})
	}
	for i := range c.Certificates {
		s.enter(fmt.Sprintf("%s.certificates[%d]", key, i), &c.Certificates[i])
	}
	s.base = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		return s.table.Load().configFor(hello), nil
	}}
	if _, faults := s.Refresh(); len(faults) > 0 {
		return nil, faults
	}
	return s, nil
}

// enter enters a pair with its set of options.
func (s *Server) enter(key string, c *config.Certificate) {
	o := options{minVersion: c.MinVersion, auth: c.ClientAuth}
	if o.auth != config.ClientAuthNone {
		o.caFile, o.caKey = c.ClientCAFile, key+".client_ca_file"
	}
	set := slices.IndexFunc(s.sets, func(other options) bool {
		return other.minVersion == o.minVersion && other.auth == o.auth && other.caFile == o.caFile
	})
	if set < 0 {
		o.number = s.keeper.number(strings.Join([]string{s.name, string(o.minVersion), string(o.auth), o.caFile}, "\x00"))
		set = len(s.sets)
		s.sets = append(s.sets, o)
	}
	s.pairs = append(s.pairs, named{key, c.CertFile, c.KeyFile, set})
}

// Config is for every handshake of the entry point; it stays the same when files are read anew.
func (s *Server) Config() *tls.Config { return s.base }

// Options is the number of the options that a handshake for this host has: equal numbers mean equal options, in any
// configuration. host is in lower case, without port and trailing dot, and lent; it is empty for a client that names
// none. Any goroutine.
func (s *Server) Options(host []byte) int {
	t := s.table.Load()
	h := t.exact[string(host)]
	if h == nil {
		for i, c := range host {
			if c == '.' {
				h = t.wild[string(host[i+1:])]
				break
			}
		}
	}
	if h == nil {
		h = t.fallback
	}
	return s.sets[h.set].number
}

// Refresh reads the files anew. What is wrong with one leaves what it had before in force, or, at the first time,
// nothing at all. changed says that new handshakes have something else than before.
func (s *Server) Refresh() (changed bool, faults []Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.loaded
	changed, faults = s.read()
	if !changed || before.pairs == nil && len(faults) > 0 {
		return false, faults
	}
	t, fault := s.build()
	if fault != nil {
		s.loaded = before
		return false, append(faults, *fault)
	}
	s.table.Store(t)
	s.keeper.changed()
	return true, faults
}

// read reads into s.loaded what can be read. s.mu is held.
func (s *Server) read() (changed bool, faults []Fault) {
	next := contents{slices.Clone(s.loaded.pairs), slices.Clone(s.loaded.pools), s.loaded.tickets}
	if next.pairs == nil {
		next.pairs, next.pools = make([]*pair, len(s.pairs)), make([]authorities, len(s.sets))
	}
	for i := range s.pairs {
		n := &s.pairs[i]
		p, fault := loadPair(n.key, n.certFile, n.keyFile, next.pairs[i])
		if fault == nil && i > 0 && len(p.names) == 0 {
			fault = &Fault{n.key + ".cert_file", fmt.Errorf("%s: there is no host name in the certificate that a client could ask for",
				p.certFile)}
		}
		if fault != nil {
			faults = append(faults, *fault)
			continue
		}
		changed = changed || p != next.pairs[i]
		next.pairs[i] = p
	}
	for i := range s.sets {
		if s.sets[i].caFile == "" {
			continue
		}
		pool, text, fault := loadPool(s.sets[i].caKey, s.sets[i].caFile)
		if fault != nil {
			faults = append(faults, *fault)
			continue
		}
		if sum := sha256.Sum256(text); sum != next.pools[i].sum {
			next.pools[i], changed = authorities{pool, sum}, true
		}
	}
	if file := s.config.TicketKeyFile; file != "" {
		read, err := readTicketFile(file)
		switch {
		case err != nil:
			faults = append(faults, Fault{"entrypoints." + s.name + ".tls.ticket_key_file", err})
		case read.sum != next.tickets.sum:
			next.tickets, changed = read, true
		}
	}
	if s.loaded.pairs != nil || len(faults) == 0 {
		s.loaded = next
	}
	return changed, faults
}

// build makes the table of what was loaded; s.mu is held.
func (s *Server) build() (*table, *Fault) {
	t := &table{exact: map[string]*host{}, wild: map[string]*host{}}
	for i, p := range s.loaded.pairs {
		n := &s.pairs[i]
		if clash := t.add(p, n.set); clash != "" {
			return nil, &Fault{n.key + ".cert_file", fmt.Errorf("%s: another certificate for %s asks for other options", p.certFile, clash)}
		}
		s.keeper.stapled(p)
	}
	t.fallback = &host{pairs: s.loaded.pairs[:1:1], set: s.pairs[0].set}
	for i := range s.sets {
		c := s.newConfig(&s.sets[i], &s.loaded.pools[i])
		c.GetCertificate = t.certificate
		t.configs = append(t.configs, c)
	}
	if s.config.SNIStrict {
		// Without a certificate the alert is unrecognized_name (RFC 6066 section 3).
		t.refuse = &tls.Config{SessionTicketsDisabled: true}
	}
	s.seal(t)
	return t, nil
}

var clientAuths = map[config.ClientAuth]tls.ClientAuthType{config.ClientAuthNone: tls.NoClientCert,
	config.ClientAuthRequest: tls.VerifyClientCertIfGiven, config.ClientAuthRequire: tls.RequireAndVerifyClientCert}

var versions = map[config.TLSVersion]uint16{config.TLS12: tls.VersionTLS12, config.TLS13: tls.VersionTLS13}

func (s *Server) newConfig(o *options, a *authorities) *tls.Config {
	c := &tls.Config{MinVersion: versions[o.minVersion], ClientAuth: clientAuths[o.auth], ClientCAs: a.pool,
		DynamicRecordSizingDisabled: true}
	for _, p := range s.config.ALPN {
		c.NextProtos = append(c.NextProtos, string(p))
	}
	return c
}

// seal gives the configs of a table the keys of their tickets; s.mu is held. Each set of options has keys of its own, and
// so have other authorities: who they vouched for before must prove itself anew.
func (s *Server) seal(t *table) {
	secrets := s.loaded.tickets.secrets
	if s.config.TicketKeyFile == "" {
		secrets = s.keeper.secrets()
	}
	for i, c := range t.configs {
		o := &s.sets[i]
		sum := s.loaded.pools[i].sum
		label := strings.Join([]string{s.name, string(o.minVersion), string(o.auth), string(sum[:])}, "\x00")
		c.SetSessionTicketKeys(ticketKeys(secrets, label))
	}
}

// reseal gives what is in force new keys.
func (s *Server) reseal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seal(s.table.Load())
}
