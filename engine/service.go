package engine

import (
	"net/netip"
	"strconv"
	"strings"

	"traffic_management/codec"
	"traffic_management/codec/h1"
	"traffic_management/config"
	"traffic_management/engine/certs"
	"traffic_management/engine/reactor"
	"traffic_management/upstream"
)

// service is one service, which outlives the configuration, and what this one says of it.
type service struct {
	*upstream.Service
	config  *config.Service
	options *upstream.Options
	health  *upstream.HealthPolicy // nil: servers are taken to be healthy
	servers []server
}

// hosts are the names among the servers, one for each.
func (v *service) hosts() (hosts []string) {
	for i := range v.servers {
		if _, ok := v.servers[i].fixed(); !ok {
			hosts = append(hosts, v.servers[i].url.Host)
		}
	}
	return hosts
}

// protocols are what servers speak, by the scheme of their URL.
var protocols = map[config.Scheme]upstream.Protocol{config.SchemeHTTP: upstream.ProtocolH1, config.SchemeH2C: upstream.ProtocolH2C,
	config.SchemeHTTPS: upstream.ProtocolTLS}

// server is one configured server; a name stands for any number of addresses.
type server struct {
	url    config.ServerURL
	weight int
	backup bool
}

// fixed is the server's address when no name has to be resolved for it.
func (s *server) fixed() (reactor.Addr, bool) {
	if s.url.Path != "" {
		return reactor.Addr{Path: s.url.Path}, true
	}
	ip, err := netip.ParseAddr(s.url.Host)
	return reactor.Addr{TCP: netip.AddrPortFrom(ip, s.url.Port)}, err == nil
}

// responseLimits bounds the response heads of servers. They are configured by nobody: a server is trusted more than a
// client, and many send large heads.
var responseLimits = h1.Limits{HeadBytes: 64 << 10, Fields: 256}

var hashKinds = map[config.HashKind]upstream.HashKind{config.HashClientIP: upstream.HashClientIP,
	config.HashHeader: upstream.HashHeader, config.HashCookie: upstream.HashCookie, config.HashPath: upstream.HashPath,
	config.HashQuery: upstream.HashQuery}

var multiplexes = map[config.Multiplex]upstream.Multiplex{config.MultiplexOff: upstream.MultiplexOff,
	config.MultiplexPipeline: upstream.MultiplexPipeline}

func buildService(name string, c *config.Service, known *catalog, client *certs.Client) *service {
	strategy, err := upstream.ParseStrategy(string(c.LoadBalancer.Strategy))
	if err != nil {
		panic("engine: a strategy that config takes is not known: " + err.Error())
	}
	b := &c.LoadBalancer
	o := &upstream.Options{
		Strategy:       strategy,
		Hash:           upstream.HashKey{Kind: hashKinds[b.HashOn.Kind], Name: b.HashOn.Name},
		SlowStart:      b.SlowStart,
		PanicThreshold: b.PanicThreshold,
		ConnectTimeout: c.Timeouts.Connect,
		RequestTimeout: c.Timeouts.Request,
		ResponseIdle:   c.Timeouts.ResponseIdle,
		QueueTimeout:   c.Timeouts.Queue,
		IdleTimeout:    c.Pool.IdleTimeout,
		MaxIdle:        c.Pool.MaxIdlePerServer,
		MaxConnections: c.Pool.MaxConnectionsPerServer,
		Multiplex:      multiplexes[c.Pool.Multiplex],
		PipelineDepth:  c.Pool.PipelineDepth,
		PassHost:       c.PassHostHeader,
		HeadLimits:     responseLimits,
	}
	if client != nil {
		o.TLS = client.Config()
	}
	if b.Sticky != nil {
		o.Sticky = buildSticky(&b.Sticky.Cookie)
	}
	if d := c.OutlierDetection; d != nil {
		o.Outlier = &upstream.OutlierPolicy{ConsecutiveErrors: d.ConsecutiveErrors, BaseEjection: d.BaseEjection,
			MaxEjectedPercent: d.MaxEjectedPercent}
	}
	v := &service{Service: known.services[name], config: c, options: o, health: buildHealth(c.HealthCheck)}
	if v.Service == nil {
		v.Service = upstream.NewService(name, o, known.events)
		known.services[name] = v.Service
	}
	for _, s := range c.Servers {
		v.servers = append(v.servers, server{url: s.URL, weight: s.Weight, backup: s.Backup})
	}
	return v
}

var healthTypes = map[config.HealthType]upstream.HealthType{config.HealthHTTP: upstream.CheckHTTP,
	config.HealthTCP: upstream.CheckTCP}

func buildHealth(c *config.HealthCheck) *upstream.HealthPolicy {
	if c == nil {
		return nil
	}
	p := &upstream.HealthPolicy{Type: healthTypes[c.Type], Interval: c.Interval, Timeout: c.Timeout, Healthy: c.Healthy,
		Unhealthy: c.Unhealthy, Port: c.Port, Method: c.Method, Path: c.Path, Headers: map[string]string{},
		Expected: statusSet(c.ExpectedStatus), BodyContains: c.BodyContains}
	for name, value := range c.Headers {
		if strings.EqualFold(name, "Host") {
			p.Host = value
		} else {
			p.Headers[name] = value
		}
	}
	return p
}

var sameSites = map[config.SameSite]string{config.SameSiteLax: "Lax", config.SameSiteStrict: "Strict",
	config.SameSiteNone: "None"}

func buildSticky(c *config.StickyCookie) *upstream.Sticky {
	attributes := strings.Builder{}
	attributes.WriteString("; Path=/")
	if c.MaxAge > 0 {
		attributes.WriteString("; Max-Age=" + strconv.Itoa(int(c.MaxAge.Seconds())))
	}
	if c.Secure {
		attributes.WriteString("; Secure")
	}
	if c.HTTPOnly {
		attributes.WriteString("; HttpOnly")
	}
	attributes.WriteString("; SameSite=" + sameSites[c.SameSite])
	key := []byte(c.Secret)
	if len(key) == 0 {
		key = machineSecret()
	}
	return &upstream.Sticky{Name: c.Name, Attributes: attributes.String(), Key: key}
}

// statusSet is a list of status codes as loops look at it.
func statusSet(ranges []config.StatusRange) (s codec.StatusSet) {
	for _, r := range ranges {
		s.Add(r.Low, r.High)
	}
	return s
}

// host is the server's own Host field.
func (s *server) host() string {
	switch {
	case s.url.Path != "":
		return "localhost"
	case s.url.Port == s.url.Scheme.Port():
		return hostOnly(s.url.Host)
	}
	return s.url.Address.String()
}

// hostOnly is a host as a Host field has it, an IPv6 address in brackets.
func hostOnly(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		return "[" + host + "]"
	}
	return host
}
