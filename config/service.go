package config

import (
	"maps"
	"math"
	"slices"
	"time"
)

// Service is a group of servers that share the requests sent to it.
type Service struct {
	LoadBalancer     LoadBalancer
	Servers          []Server          // at least one, not all of them backups
	HealthCheck      *HealthCheck      // nil: servers are taken to be healthy
	OutlierDetection *OutlierDetection // nil: servers that fail stay in use
	Timeouts         Timeouts
	Pool             Pool
	TLS              *ServiceTLS // nil: as ServiceTLS with nothing given
	PassHostHeader   bool        // the request's Host goes to the server; otherwise the server's own name does
}

func (s *Service) keys(o *object) {
	o.key("load_balancer", section(&s.LoadBalancer), "How requests are shared out.")
	o.require("servers", list(&s.Servers, 1, func(v *Server) value { return section(v) }), "at least one")
	o.key("health_check", optional(&s.HealthCheck), "Asks the servers whether they work. Without this section they are not asked.")
	o.key("outlier_detection", optional(&s.OutlierDetection),
		"Leaves out servers that fail requests, for a while. Without this section they stay in use.")
	o.key("timeouts", section(&s.Timeouts), "How long servers may take.")
	o.key("pool", section(&s.Pool), "Connections kept open to the servers.")
	o.key("tls", optional(&s.TLS),
		"How connections to `https://` servers are secured. Without this section the system's authorities must vouch for the host of the URL.")
	o.key("pass_host_header", boolean(&s.PassHostHeader, true),
		"servers see the `Host` of the client; with `false` that of their own URL")
}

// Server is one server of a service.
type Server struct {
	URL    ServerURL
	Weight int  // share of the requests; 0 drains
	Backup bool // used when no other server can be
}

func (s *Server) keys(o *object) {
	o.require("url", serverURL(&s.URL), "where it listens; the port of `http://host` and `h2c://host` is 80, of `https://host` 443; `h2c` is HTTP/2 without TLS")
	o.key("weight", integer(&s.Weight, 1, 0, math.MaxUint16),
		"its share where the strategy has weights; 0 drains it: no new requests but the sticky ones")
	o.key("backup", boolean(&s.Backup, false), "used only while no other server can be")
}

// Timeouts is how long the servers of a service may take.
type Timeouts struct {
	Connect      time.Duration
	Request      time.Duration // up to the response head
	ResponseIdle time.Duration
	Queue        time.Duration
}

func (t *Timeouts) keys(o *object) {
	o.key("connect_ms", milliseconds(&t.Connect, 3000, 1, dayMillis), "opening a connection")
	o.key("request_ms", milliseconds(&t.Request, 60_000, 1, dayMillis),
		"from the request to the head of its response; 504 after it")
	o.key("response_idle_ms", milliseconds(&t.ResponseIdle, 60_000, 1, dayMillis), "longest silence inside a response body")
	o.key("queue_ms", milliseconds(&t.Queue, 1000, 0, dayMillis),
		"wait for a connection when `pool.max_connections_per_server` are in use; 503 after it")
}

// Pool is the connections kept open to the servers of a service. Counts are over all loops.
type Pool struct {
	MaxIdlePerServer        int
	IdleTimeout             time.Duration
	MaxConnectionsPerServer int // 0: no limit
	Multiplex               Multiplex
	PipelineDepth           int // most requests on their way on one connection, with MultiplexPipeline
}

func (p *Pool) keys(o *object) {
	o.key("max_idle_per_server", integer(&p.MaxIdlePerServer, 128, 0, math.MaxInt32), "idle connections kept to each server")
	o.key("idle_timeout_seconds", seconds(&p.IdleTimeout, 30, 1, daySeconds),
		"how long they are kept; stay below the time after which the server closes them")
	o.key("max_connections_per_server", integer(&p.MaxConnectionsPerServer, 0, 0, math.MaxInt32),
		"connections to each server, idle or not; 0: no limit")
	o.key("multiplex", choice(&p.Multiplex, MultiplexOff),
		"whether requests of many clients share a connection of HTTP/1.1: those without content that may safely be repeated can; with HTTP/2 all do")
	o.key("pipeline_depth", integer(&p.PipelineDepth, 8, 2, 1000), "with `pipeline`, most requests on their way on one connection")
}

// checkServices tells of what does not go together in a service.
func (l *loader) checkServices(c *Config) {
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		s, path := c.Services[name], "services."+name
		l.checkBalancer(path+".load_balancer", &s.LoadBalancer)
		l.checkHealth(path, s)
		l.checkServiceTLS(path, s)
		primary := func(v Server) bool { return !v.Backup }
		if len(s.Servers) > 0 && !slices.ContainsFunc(s.Servers, primary) {
			l.wrong(path+".servers", "all of them are backups, expected one at least that is not")
		}
	}
}
