package certs

import (
	"context"
	"crypto"
	"crypto/tls"
	"io"
	"slices"
	"strings"

	"traffic_management/engine/reactor"
)

// table is the certificates of an entry point by name, and the tls.Config of each set of options. Immutable.
type table struct {
	exact    map[string]*host // by name, in lower case
	wild     map[string]*host // by what follows the first label of the name
	fallback *host            // for other names, and clients that name none
	configs  []*tls.Config    // by set of options
	refuse   *tls.Config      // for handshakes that are to fail; nil when none is
}

// host is what a name has.
type host struct {
	pairs []*pair // at least one; those that cost less to sign with first
	set   int     // of options
}

// find is the host of a name in any case; nil when no certificate has it.
func (t *table) find(name string) *host {
	name = strings.ToLower(name)
	if h := t.exact[name]; h != nil {
		return h
	}
	if _, parent, ok := strings.Cut(name, "."); ok {
		return t.wild[parent]
	}
	return nil
}

// configFor is a tls.Config.GetConfigForClient.
func (t *table) configFor(hello *tls.ClientHelloInfo) *tls.Config {
	reactor.Yield(hello.Context())
	h := t.find(hello.ServerName)
	switch {
	case h != nil:
	case t.refuse != nil:
		return t.refuse
	default:
		h = t.fallback
	}
	return t.configs[h.set]
}

// certificate is a tls.Config.GetCertificate. The keys are agreed on when it is called, and nothing is signed yet: half of
// what a handshake computes.
func (t *table) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	ctx := hello.Context()
	reactor.Yield(ctx)
	c := *t.choose(hello)
	if key, ok := c.PrivateKey.(crypto.Signer); ok {
		c.PrivateKey = &signer{key, ctx}
	}
	return &c, nil
}

func (t *table) choose(hello *tls.ClientHelloInfo) *tls.Certificate {
	h := t.find(hello.ServerName)
	if h == nil {
		h = t.fallback
	}
	if len(h.pairs) > 1 {
		for _, p := range h.pairs {
			if c := p.cert.Load(); hello.SupportsCertificate(c) == nil {
				return c
			}
		}
	}
	return h.pairs[0].cert.Load()
}

// signer is the key of a certificate in one handshake, whose loop has its turn before and after the signature.
type signer struct {
	crypto.Signer
	handshake context.Context
}

// Sign is the crypto.Signer's. On the goroutine of the handshake.
func (s *signer) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	reactor.Yield(s.handshake)
	signature, err := s.Signer.Sign(random, digest, o)
	reactor.Yield(s.handshake)
	return signature, err
}

// add enters a certificate of a set of options under its names. It returns a name that is there already with another
// set; a handshake could not tell which is meant.
func (t *table) add(p *pair, set int) (clash string) {
	for _, name := range p.names {
		hosts, key := t.exact, name
		if parent, ok := strings.CutPrefix(name, "*."); ok {
			hosts, key = t.wild, parent
		}
		h := hosts[key]
		switch {
		case h == nil:
			h = &host{set: set}
			hosts[key] = h
		case h.set != set:
			return name
		case slices.Contains(h.pairs, p): // one name twice in a certificate
			continue
		}
		h.pairs = append(h.pairs, p)
		slices.SortStableFunc(h.pairs, cheapFirst)
	}
	return ""
}

func cheapFirst(a, b *pair) int {
	switch {
	case a.cheap() == b.cheap():
		return 0
	case a.cheap():
		return -1
	}
	return 1
}
