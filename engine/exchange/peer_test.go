package exchange_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/netip"
	"strings"
	"testing"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// What a server is told of the client follows its TLS session, unless a trusted peer knows better.
func TestForwardedScheme(t *testing.T) {
	const said, forwarded = "x-forwarded-proto: wss", "forwarded: for=192.0.2.9;proto=wss"
	for _, c := range []struct {
		name    string
		state   *tls.ConnectionState
		trusted bool
		want    []string
	}{
		{"clear text", nil, false, []string{"X-Forwarded-Proto: http\r\n"}},
		{"TLS", &tls.ConnectionState{}, false, []string{"X-Forwarded-Proto: https\r\n", "X-Forwarded-Port: 443\r\n"}},
		{"a trusted peer", &tls.ConnectionState{}, true, []string{"x-forwarded-proto: wss\r\n",
			"forwarded: for=192.0.2.9;proto=wss, for=198.51.100.7;host=\"h\";proto=https\r\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			if c.trusted {
				s.entry.Env.Trusted = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
			}
			s.caller(c.state).asks(head("GET", "h", "/", codec.NoContent, said, forwarded))
			for _, line := range c.want {
				if got := s.servers[0].got; strings.Count(got, line) != 1 || strings.Count(strings.ToLower(got), "proto:") != 1 {
					t.Errorf("the server got %q, want %q", got, line)
				}
			}
		})
	}
}

func TestSubject(t *testing.T) {
	leaf := &x509.Certificate{Subject: pkix.Name{CommonName: "worker, 7", Organization: []string{"Example"}, Country: []string{"NL"}}}
	for _, c := range []struct {
		name  string
		state *tls.ConnectionState
		want  string
	}{
		{"clear text", nil, ""},
		{"no certificate", &tls.ConnectionState{}, ""},
		{"not verified", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}, ""},
		{"verified", &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf, {}}}}, `CN=worker\, 7,O=Example,C=NL`},
	} {
		if p := exchange.NewPeer(netip.AddrPort{}, netip.AddrPort{}, c.state, nil); string(p.Subject) != c.want {
			t.Errorf("%s: %q, want %q", c.name, p.Subject, c.want)
		}
	}
}

// hosts numbers the TLS options of hosts; those that are not in it have options 0.
type hosts map[string]int

func (m hosts) Options(host []byte) int { return m[string(host)] }

// A session serves the hosts whose TLS options are those it was made with.
func TestMisdirected(t *testing.T) {
	table := hosts{"strict.test": 1, "strict2.test": 1, "2001:db8::1": 2}
	for _, c := range []struct {
		name, authority string
		refused         bool
	}{
		{"strict.test", "strict.test", false},
		{"strict.test", "Strict.TEST.:8443", false},
		{"strict.test", "STRICT2.test", false},
		{"Strict.Test", "strict2.test.", false},
		{"strict.test", "open.test", true},
		{"open.test", "strict.test", true},
		{"open.test", "sTRICT.test.:443", true},
		{"open.test", "[2001:DB8::1]:443", true},
		{"open.test", "other.test", false},
		{"", "open.test", false},
		{"", "strict.test:443", true},
	} {
		s := newScene(t)
		s.entry.Env.Hosts = table
		client := s.caller(&tls.ConnectionState{ServerName: c.name})
		client.asks(head("GET", c.authority, "/", codec.NoContent))
		if refused := len(s.servers) == 0 && strings.HasPrefix(client.heard[0], "421 "); refused != c.refused {
			t.Errorf("session for %q, request for %q: refused %v, the client heard %q", c.name, c.authority, refused, client.heard)
		}
	}
}

// Clear text has no options that a host could want otherwise.
func TestClearTextIsNotMisdirected(t *testing.T) {
	s := newScene(t)
	s.entry.Env.Hosts = hosts{"strict.test": 1}
	s.caller(nil).asks(head("GET", "strict.test", "/", codec.NoContent))
	if len(s.servers) != 1 {
		t.Error("the request did not reach a server")
	}
}

// What a session was made with stays, whatever a later configuration wants of new ones.
func TestMisdirectedAfterReload(t *testing.T) {
	s := newScene(t)
	env := *s.entry.Env
	with := func(h exchange.HostOptions) *exchange.Env { e := env; e.Hosts = h; return &e }
	s.entry.Env = with(hosts{"a.test": 1, "b.test": 2})
	client := s.caller(&tls.ConnectionState{ServerName: "A.test"})
	for i, c := range []struct {
		hosts     exchange.HostOptions
		authority string
		status    string
	}{
		{hosts{"a.test": 2, "b.test": 1}, "a.test", "421 "}, // also before any other request
		{hosts{"a.test": 1, "b.test": 2}, "a.test", ""},
		{hosts{"a.test": 2, "b.test": 1}, "a.test", "421 "},
		{hosts{"a.test": 2, "b.test": 1}, "b.test", ""},
		{nil, "b.test", ""},
		{hosts{"a.test": 1}, "a.test", ""},
	} {
		s.entry.Env = with(c.hosts)
		client.asks(head("GET", c.authority, "/", codec.NoContent))
		if c.status == "" {
			s.replies("HTTP/1.1 204 No Content\r\n\r\n")
			c.status = "204"
		}
		if len(client.heard) == 0 || !strings.HasPrefix(client.heard[0], c.status) || !client.finished {
			t.Errorf("%d: the client heard %q, want %s", i, client.heard, c.status)
		}
	}
}
