package config

import (
	"math"
	"net/netip"
	"time"
)

// Upper limits of times in the file: a day, in the unit of the key.
const (
	daySeconds = 24 * 60 * 60
	dayMillis  = daySeconds * 1000
)

// EntryPoint is one address that the proxy listens on, and what it asks of those who connect.
type EntryPoint struct {
	Address          Address
	Protocol         Protocol
	TLS              *TLS // nil: clear text
	HTTP             HTTP
	Middlewares      []string // names, in the order of a request, before those of routers
	MaxConnections   int      // 0: no limit
	ForwardedHeaders ForwardedHeaders
}

func (e *EntryPoint) keys(o *object) {
	o.require("address", address(&e.Address), "where to listen; without a host, on every address of the machine")
	o.key("protocol", choice(&e.Protocol, ProtocolHTTP), "what is spoken there")
	o.key("tls", optional(&e.TLS), "Speaks TLS. Without this section it is clear text.")
	o.key("http", section(&e.HTTP), "Limits of HTTP connections.")
	o.key("middlewares", list(&e.Middlewares, 0, name("the name of a middleware")),
		"what is done to the requests of all its routers on the way, in this order, before what the router names")
	o.key("max_connections", integer(&e.MaxConnections, 0, 0, math.MaxInt32),
		"open connections; above it new ones wait in the kernel's queue; 0: no limit")
	o.key("forwarded_headers", section(&e.ForwardedHeaders), "Whose word is taken for where a request came from.")
}

// HTTP is the limits of the HTTP connections of an entry point. 0 means no limit in the fields that say so.
type HTTP struct {
	HeaderTimeout            time.Duration
	BodyIdleTimeout          time.Duration
	BodyMinBytesPerSecond    int64 // 0: no limit
	BodyGrace                time.Duration
	IdleTimeout              time.Duration
	WriteTimeout             time.Duration
	MaxHeadBytes             int   // bytes of request line and field section together
	MaxHeaders               int   // field lines
	MaxBodyBytes             int64 // 0: no limit
	MaxRequestsPerConnection int64 // 0: no limit
	AliasHeaders             AliasHeaders
	TunnelIdleTimeout        time.Duration // silence in both directions
	UpgradeProtocols         []string      // in lower case; may be empty
	HTTP2                    HTTP2
}

func (h *HTTP) keys(o *object) {
	o.key("header_timeout_ms", milliseconds(&h.HeaderTimeout, 10_000, 1, dayMillis),
		"the whole head of a request must arrive within this time")
	o.key("body_idle_timeout_ms", milliseconds(&h.BodyIdleTimeout, 30_000, 1, dayMillis),
		"longest silence inside a request body")
	o.key("body_min_bytes_per_second", integer(&h.BodyMinBytesPerSecond, 240, 0, math.MaxInt32),
		"slowest request body, after the grace; a body may take as long as it likes above it; 0: no limit")
	o.key("body_grace_ms", milliseconds(&h.BodyGrace, 10_000, 0, dayMillis),
		"time before the slowest rate is asked for")
	o.key("idle_timeout_ms", milliseconds(&h.IdleTimeout, 75_000, 1, dayMillis),
		"a connection is kept open this long between requests")
	o.key("write_timeout_ms", milliseconds(&h.WriteTimeout, 60_000, 1, dayMillis),
		"longest time a client may refuse to read its response")
	o.key("max_head_bytes", integer(&h.MaxHeadBytes, 16384, 512, 64<<10),
		"largest head of a request; 431 above it, 414 when its first line alone is larger")
	o.key("max_headers", integer(&h.MaxHeaders, 100, 1, 10_000), "most field lines of a request; 431 above it")
	o.key("max_body_bytes", integer(&h.MaxBodyBytes, 0, 0, math.MaxInt64),
		"largest body of a request; 413 above it; 0: no limit")
	o.key("max_requests_per_connection", integer(&h.MaxRequestsPerConnection, 0, 0, math.MaxInt32),
		"a connection is closed after so many requests; 0: no limit")
	o.key("alias_headers", choice(&h.AliasHeaders, AliasDrop),
		"fields whose name, with `_` or `.` read as `-`, is one the proxy sets or trusts: left out, refused with 400, or kept")
	o.key("tunnel_idle_timeout_seconds", seconds(&h.TunnelIdleTimeout, 3600, 1, daySeconds),
		"longest silence, in both directions, of a connection that has turned to another protocol")
	o.key("upgrade_protocols", listOr(&h.UpgradeProtocols, []string{"websocket"}, upgradeProtocol),
		"protocols that connections may turn to; a request for any other is treated as if it had not asked")
	o.key("http2", section(&h.HTTP2), "Limits of HTTP/2 connections.")
}

// ForwardedHeaders is whose X-Forwarded-* and Forwarded fields are kept. Those of others are replaced.
type ForwardedHeaders struct {
	TrustedIPs []netip.Prefix // masked, IPv4 in its own form
}

func (f *ForwardedHeaders) keys(o *object) {
	o.key("trusted_ips", list(&f.TrustedIPs, 0, prefix),
		"networks whose `X-Forwarded-*` and `Forwarded` fields are kept; those of others are replaced")
}
