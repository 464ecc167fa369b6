package exchange

import (
	"crypto/tls"
	"net/netip"
	"strconv"
)

// Peer is what a frontend knows of its connection, made once for each. It belongs to the connection's loop.
type Peer struct {
	// Immutable:
	Addr    netip.AddrPort       // of the client; zero on unix sockets
	Local   netip.AddrPort       // of ours; zero on unix sockets
	TLS     *tls.ConnectionState // nil for clear text
	Subject []byte               // of the client's verified certificate, as RFC 2253 writes it; nil without one

	addr, port []byte // as text: the client's address, our port

	// Owned by the loop:
	env     *Env // what trusted was found with
	trusted bool
}

// NewPeer makes the Peer of one connection. state is that of its TLS session, established and never changed again, nil
// for clear text.
func NewPeer(addr, local netip.AddrPort, state *tls.ConnectionState) Peer {
	p := Peer{Addr: netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()), Local: local, TLS: state}
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

func (p *Peer) isTrusted(env *Env) bool {
	if p.env != env {
		p.env, p.trusted = env, false
		for _, prefix := range env.Trusted {
			if prefix.Contains(p.Addr.Addr()) {
				p.trusted = true
				break
			}
		}
	}
	return p.trusted
}
