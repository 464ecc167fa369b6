package engine

import (
	"crypto/tls"
	"slices"
	"time"

	"traffic_management/codec"
	"traffic_management/codec/h2"
	"traffic_management/engine/exchange"
	"traffic_management/engine/frontend"
	"traffic_management/engine/reactor"
	"traffic_management/telemetry"
	"traffic_management/upstream"
)

// errorKinds are the names of the kinds of errors, by codec.Kind.
var errorKinds = func() []string {
	names := make([]string, codec.Kinds)
	for k := range names {
		names[k] = codec.Kind(k).String()
	}
	names[codec.KindNone] = ""
	return names
}()

// tlsVersions and cipherSuites are the names that the access log has of what a session settled on.
var (
	tlsVersions  = map[uint16]string{tls.VersionTLS12: "1.2", tls.VersionTLS13: "1.3"}
	cipherSuites = func() map[uint16]string {
		names := map[uint16]string{}
		for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
			names[s.ID] = s.Name
		}
		return names
	}()
)

// handshakeReasons are why TLS handshakes of clients fail, as a frontend.Meter is told.
var handshakeReasons = func() []string {
	names := []string{frontend.HandshakeTimeout, frontend.HandshakeEnded}
	for r := reactor.HandshakeOther; r <= reactor.HandshakeShed; r++ {
		names = append(names, r.String())
	}
	return names
}()

// observer writes what exchanges of one loop did into the loop's counters and access log. It belongs to the loop.
type observer struct {
	loop     int
	registry *telemetry.Registry
	*tables  // by exchange.Route.ID and exchange.Env.EntryPoint; a reload replaces them
	noRoute  *telemetry.RouteShard
	log      *telemetry.LogShard // nil without an access log; a reload replaces it
	record   telemetry.Record
}

func newObserver(loop int, r *telemetry.Registry) *observer {
	return &observer{loop: loop, registry: r, tables: new(tables), noRoute: r.Route("", "").Shard(loop)}
}

// Done is the exchange.Observer's.
func (o *observer) Done(x *exchange.Exchange) {
	total := x.Ended.Sub(x.Started)
	upstreamTime := min(time.Duration(x.UpstreamTime()), total)
	added := total - upstreamTime
	shard := o.noRoute
	if x.Route != nil {
		shard = o.routes[x.Route.ID]
		for range x.Retries {
			o.services[x.Route.ID].Retried()
		}
		for range x.RetriesRefused {
			o.services[x.Route.ID].RetryRefused()
		}
	}
	if x.Tunnel() {
		added = 0
		shard.Tunnel(x.Status, x.BytesIn, x.BytesOut)
	} else {
		shard.Done(x.Status, total, added, x.BytesIn, x.BytesOut)
	}
	if x.Err != nil && x.Err.Side == codec.Client && x.Err.Kind != codec.KindNone {
		o.entries[x.EntryPoint()].ClientError(int(x.Err.Kind))
	}
	if x.Err != nil && x.Err.Kind == codec.KindOverload {
		o.entries[x.EntryPoint()].Refused()
	}
	if o.log != nil {
		o.append(x, total, upstreamTime, added)
	}
}

// append writes the access log's line.
func (o *observer) append(x *exchange.Exchange, total, upstreamTime, added time.Duration) {
	h := &x.RequestHead
	authority, path, query := x.Asked()
	r := &o.record
	*r = telemetry.Record{
		Time:      time.Now().Add(-total),
		Client:    x.Peer.Addr,
		Method:    h.MethodName,
		Host:      authority,
		Path:      path,
		Query:     query,
		RequestID: x.RequestID,
		UserAgent: h.Get(codec.FieldUserAgent),
		Referer:   h.Get(codec.FieldReferer),
		Status:    x.Status,
		Retries:   x.Retries,
		BytesIn:   x.BytesIn,
		BytesOut:  x.BytesOut,
		Duration:  total,
		Upstream:  upstreamTime,
		Queue:     x.QueueTime(),
		Connect:   x.ConnectTime(),
		FirstByte: x.FirstByte(),
		Added:     added,
	}
	if h.Version != 0 {
		r.Protocol = h.Version.String()
	}
	if state := x.Peer.TLS; state != nil {
		r.TLS, r.Cipher, r.Subject = tlsVersions[state.Version], cipherSuites[state.CipherSuite], x.Peer.Subject
	}
	if x.Route != nil {
		r.Router, r.Service = x.Route.Name, x.Route.Service.Name
	}
	if t := x.Target(); t != nil {
		r.Server = t.ID
	}
	if x.Err != nil {
		r.Error = x.Err.Kind.String()
	}
	o.log.Append(r)
}

// serviceMeter is the upstream.Meter of one service on one loop.
type serviceMeter struct{ *telemetry.ServiceShard }

func (m serviceMeter) Failed(k codec.Kind) { m.Error(int(k)) }

func (o *observer) meter(s *upstream.Service) upstream.Meter {
	return serviceMeter{o.registry.Service(s.Name).Shard(o.loop)}
}

// entryMeter is the frontend.Meter of one entry point on one loop.
type entryMeter struct{ *telemetry.EntryPointShard }

func (m entryMeter) Accepted() { m.Opened() }

func (m entryMeter) HandshakeFailed(reason string) {
	m.EntryPointShard.HandshakeFailed(slices.Index(handshakeReasons, reason))
}

func (m entryMeter) HTTP2Error(reason string) {
	m.EntryPointShard.HTTP2Error(slices.Index(h2.Reasons, reason))
}
