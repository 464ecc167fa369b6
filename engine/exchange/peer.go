package exchange

import (
	"bytes"
	"crypto/tls"
	"net/netip"
	"strconv"
	"strings"

	"traffic_management/codec"
	"traffic_management/routing"
)

// Peer is what a frontend knows of its connection, made once for each. It belongs to the connection's loop.
type Peer struct {
	// Immutable:
	Addr    netip.AddrPort       // of the client; zero on unix sockets
	Local   netip.AddrPort       // of ours; zero on unix sockets
	TLS     *tls.ConnectionState // nil for clear text
	Subject []byte               // of the client's verified certificate, as RFC 2253 writes it; nil without one

	addr, port []byte // as text: the client's address, our port
	options    int    // of the TLS session, as HostOptions numbers them

	// Owned by the loop:
	env     *Env // what the rest was found with
	trusted bool
	current bool // a session for the same name would have the same options now
}

// HostOptions knows which TLS options the connections of each host are made with. Any goroutine may ask it. Its answer for
// a host changes when a certificate is replaced by one with other names.
type HostOptions interface {
	// Options is the number of a host's options; host is lent, in lower case, without port and trailing dot, and empty
	// for a client that names none. Equal numbers mean equal options, in this configuration and any other.
	Options(host []byte) int
}

// NewPeer makes the Peer of one connection. state is that of its TLS session, established and never changed again, and
// hosts the Env.Hosts of the configuration that its handshake was done with; both are nil for clear text.
func NewPeer(addr, local netip.AddrPort, state *tls.ConnectionState, hosts HostOptions) Peer {
	p := Peer{Addr: netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()), Local: local, TLS: state}
	if state != nil && hosts != nil {
		p.options = optionsOf(state, hosts)
	}
	if state != nil && len(state.VerifiedChains) > 0 {
		p.Subject = []byte(state.VerifiedChains[0][0].Subject.String())
	}
	text := make([]byte, 0, 48)
	if addr.IsValid() {
		text = p.Addr.Addr().AppendTo(text)
	}
	n := len(text)
	if local.IsValid() {
		text = strconv.AppendUint(text, uint64(local.Port()), 10)
	}
	p.addr, p.port = text[:n:n], text[n:]
	return p
}

var (
	schemeHTTP  = []byte("http")
	schemeHTTPS = []byte("https")
)

// scheme is that of the URIs which the peer's requests are for.
func (p *Peer) scheme() []byte {
	if p.TLS != nil {
		return schemeHTTPS
	}
	return schemeHTTP
}

// Trusted reports whether what the peer says about where its requests came from is kept. On its loop.
func (p *Peer) Trusted(env *Env) bool {
	if p.env != env {
		p.meet(env)
	}
	return p.trusted
}

// meet finds out what a configuration makes of the peer.
func (p *Peer) meet(env *Env) {
	p.env, p.trusted = env, false
	for _, prefix := range env.Trusted {
		if prefix.Contains(p.Addr.Addr()) {
			p.trusted = true
			break
		}
	}
	if p.TLS != nil && env.Hosts != nil {
		p.current = optionsOf(p.TLS, env.Hosts) == p.options
	}
}

// optionsOf is what a session for the same name has.
func optionsOf(state *tls.ConnectionState, hosts HostOptions) int {
	return hosts.Options([]byte(strings.ToLower(state.ServerName)))
}

// Outdated reports whether a session for the same name would have other TLS options by now. Requests for that name get 421
// on this one, so that its client had better connect anew.
func (p *Peer) Outdated(env *Env) bool {
	if p.TLS == nil || env.Hosts == nil {
		return false
	}
	if p.env != env {
		p.meet(env)
	}
	return !p.current
}

// misdirected reports whether a request for this authority needs a TLS session with other options than the peer's (RFC
// 9110 section 15.5.20): what the session proved, a client certificate say, proves nothing for that host.
func (x *Exchange) misdirected(authority []byte) bool {
	p, hosts := x.Peer, x.env.Hosts
	if hosts == nil || p.TLS == nil {
		return false
	}
	host := bytes.TrimSuffix(routing.HostOf(authority), dot)
	if codec.EqualFold(host, p.TLS.ServerName) {
		return p.Outdated(x.env)
	}
	for i, c := range host {
		if c != codec.Lower(c) {
			host = x.join(host)
			for j := i; j < len(host); j++ {
				host[j] = codec.Lower(host[j])
			}
			break
		}
	}
	return hosts.Options(host) != p.options
}

var dot = []byte(".")
