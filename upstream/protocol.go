package upstream

import (
	"crypto/tls"
	"net"
	"strings"
)

// Protocol is what connections to a target speak.
type Protocol uint8

// Protocols.
const (
	ProtocolH1  Protocol = iota // HTTP/1.1 in clear text
	ProtocolH2C                 // HTTP/2 in clear text, by prior knowledge (RFC 9113 section 3.3)
	ProtocolTLS                 // TLS; the server chooses between HTTP/2 and HTTP/1.1 (RFC 7301)
)

func (p Protocol) String() string { return [...]string{"http", "h2c", "https"}[p] }

// scheme is that of the URLs of its servers, but for unix sockets.
func (p Protocol) scheme() string {
	if p == ProtocolTLS {
		return "https"
	}
	return "http"
}

// spoken is what a target's server was last found to speak.
type spoken uint32

const (
	spokenUnknown   spoken = iota // no connection was opened yet
	spokenH1                      // HTTP/1.1
	spokenH2                      // HTTP/2; its settings have not come yet
	spokenH2Plain                 // HTTP/2 without extended CONNECT
	spokenH2Tunnels               // HTTP/2 with extended CONNECT (RFC 8441)
)

func (s spoken) String() string {
	return [...]string{"unknown", "HTTP/1.1", "HTTP/2", "HTTP/2 without tunnels", "HTTP/2 with tunnels"}[s]
}

// speaks is what connections to the target can be expected to speak. Any goroutine.
func (t *Target) speaks() spoken {
	s := spoken(t.spoken.Load())
	switch {
	case t.Protocol == ProtocolH1:
		return spokenH1
	case s == spokenUnknown && t.Protocol == ProtocolH2C:
		return spokenH2
	}
	return s
}

// learn notes what a new connection speaks. That it is HTTP/2 says nothing against what settings said before. Any
// goroutine.
func (t *Target) learn(s spoken) {
	if present := spoken(t.spoken.Load()); present != s && (s != spokenH2 || present < spokenH2) {
		t.spoken.Store(uint32(s))
	}
}

// maxStreams is how many streams a connection is likely to take, as far as it has not said so. Any goroutine.
func (t *Target) maxStreams() int {
	if n := int(t.streams.Load()); n > 0 {
		return n
	}
	return maxStreams
}

// learnStreams notes how many streams a server takes on a connection. Any goroutine.
func (t *Target) learnStreams(n int) {
	if n > 0 && int(t.streams.Load()) != n {
		t.streams.Store(int32(n))
	}
}

// version is what a connection speaks by the outcome of its handshake.
func version(h2 bool) spoken {
	if h2 {
		return spokenH2
	}
	return spokenH1
}

// Names of protocols in a TLS handshake (RFC 7301).
const (
	alpnH2 = "h2"
	alpnH1 = "http/1.1"
)

// clientConfigs are the configurations of one target's TLS handshakes.
type clientConfigs struct {
	from     *tls.Config // Options.TLS that they were made of
	any, own *tls.Config // offering both versions; HTTP/1.1 alone
}

// of makes the configurations of c, or returns those it made before.
func (s *clientConfigs) of(c *tls.Config, t *Target) *clientConfigs {
	if s.any == nil || s.from != c {
		*s = clientConfigs{from: c, any: clientConfig(c, t, alpnH2, alpnH1), own: clientConfig(c, t, alpnH1)}
	}
	return s
}

// clientConfig is c, which may be nil, for handshakes with t that offer these protocols. The server proves to be the
// host of the target when c names no other.
func clientConfig(c *tls.Config, t *Target, protocols ...string) *tls.Config {
	if c == nil {
		c = &tls.Config{}
	}
	c = c.Clone()
	if c.ServerName == "" {
		c.ServerName = hostName(t.Host)
	}
	c.NextProtos, c.DynamicRecordSizingDisabled = protocols, true
	return c
}

// hostName is a host[:port] without the port, and an IPv6 address without brackets.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}
