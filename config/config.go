package config

import (
	"math"
	"strings"
)

// Config is one configuration file, checked, with defaults in the place of what it leaves out. Names are unique keys
// of the maps; what must be in a stable order is to be sorted by name.
type Config struct {
	EntryPoints map[string]*EntryPoint // at least one
	Services    map[string]*Service
	Routers     map[string]*Router
	Middlewares map[string]*Middleware
	Metrics     *Metrics   // nil: no metrics are served
	AccessLog   *AccessLog // nil: no access log
	Admin       *Admin     // nil: no status page and API
	Limits      Limits
	Reload      Reload
	Shutdown    Shutdown
	Log         Log

	file      string
	positions map[string]Position // of every key path that the file gives
}

// Position is where the file gives the value of a key path such as "routers.api.rule" or "services.api.servers[0].url".
// A key that the file leaves out has the position of the nearest key above it.
func (c *Config) Position(keyPath string) Position {
	return nearestPosition(c.file, c.positions, keyPath)
}

func nearestPosition(file string, positions map[string]Position, keyPath string) Position {
	for keyPath != "" {
		if p, ok := positions[keyPath]; ok {
			return p
		}
		keyPath = keyPath[:max(strings.LastIndexAny(keyPath, ".["), 0)]
	}
	return Position{File: file, Line: 1, Column: 1}
}

func (c *Config) keys(o *object) {
	o.require("entrypoints", byName(&c.EntryPoints, 1),
		"Where the proxy listens. A router without a list of entry points is on all of them.")
	o.key("services", byName(&c.Services, 0), "Groups of servers that requests are forwarded to.")
	o.key("routers", byName(&c.Routers, 0), "Which requests go to which service. A request that no rule matches gets 404.")
	o.key("middlewares", byName(&c.Middlewares, 0),
		"What is done to the requests of the routers that name one. Each has exactly one kind, whose keys are below.")
	o.key("metrics", optional(&c.Metrics), "Prometheus metrics at /metrics. Without this section none are served.")
	o.key("access_log", optional(&c.AccessLog),
		"One JSON object a line for every request. Without this section there is no access log.")
	o.key("admin", optional(&c.Admin), "The status page and its API. Without this section there are none.")
	o.key("limits", section(&c.Limits), "What the process as a whole may use.")
	o.key("reload", section(&c.Reload), "How a changed file comes into force.")
	o.key("shutdown", section(&c.Shutdown), "What happens on SIGTERM and SIGINT.")
	o.key("log", section(&c.Log), "The log of the proxy itself, on standard error.")
}

// Router sends the requests that its rule matches to a service.
type Router struct {
	EntryPoints []string // names, never empty: all HTTP entry points, sorted, when the file has no list
	Rule        string   // not parsed here
	Service     string   // name of a key of Config.Services
	Middlewares []string // names, in the order of a request
	Priority    int      // 0: the length of Rule in bytes
}

// maxPriority is the largest priority a file can give; those above are for routers of the proxy's own.
const maxPriority = math.MaxInt - 1000

func (r *Router) keys(o *object) {
	o.key("entrypoints", list(&r.EntryPoints, 1, name("the name of an entry point")),
		"entry points whose requests are looked at; without it, those of every HTTP entry point")
	o.require("rule", text(&r.Rule, "", "a rule such as PathPrefix(`/api`)"),
		"which requests, in the rule language: `Host`, `PathPrefix`, `Header` and others with `&&`, `||`, `!`")
	o.require("service", text(&r.Service, "", "the name of a service"), "where they go")
	o.key("middlewares", list(&r.Middlewares, 0, name("the name of a middleware")),
		"what is done to them on the way, in this order; `retry` and `circuit_breaker` at most once")
	o.key("priority", integer(&r.Priority, 0, math.MinInt, maxPriority),
		"the router of highest priority wins, then the first by name; 0: the length of the rule")
}

// Metrics is the listener that serves metrics.
type Metrics struct {
	Address Address
}

func (m *Metrics) keys(o *object) {
	o.require("address", address(&m.Address), "where metrics are served; keep it off public networks")
}

// AccessLog is what is written about each request.
type AccessLog struct {
	File   string // Stdout or a path
	Format AccessLogFormat
	Fields map[string]bool // every field the log has, and whether it is written
	Sample float64         // the share of requests that are logged, 0 to 1
}

// Stdout is the AccessLog.File that means standard output.
const Stdout = "stdout"

// accessFields are the fields of an access log line, in its order.
var accessFields = []string{"time", "client", "method", "host", "path", "query", "protocol", "tls_version",
	"tls_cipher", "client_subject", "status", "bytes_in", "bytes_out", "duration_us", "upstream_us", "queue_us", "connect_us", "first_byte_us", "added_us", "router", "service",
	"server", "request_id", "user_agent", "referer", "retries", "error"}

func (a *AccessLog) keys(o *object) {
	o.key("file", text(&a.File, Stdout, "stdout or a path"), "`stdout` or a file, which SIGUSR1 opens anew")
	o.key("format", choice(&a.Format, AccessLogJSON), "how a line is written")
	o.key("fields", switches(&a.Fields, accessFields), "`name: false` leaves a field out; every field is on otherwise")
	o.key("sample", number(&a.Sample, 1, 0, 1), "share of the requests that are logged: 1 for all, 0.01 for one in a hundred")
}

// Log is the log of the proxy itself.
type Log struct {
	Level  LogLevel
	Format LogFormat
}

func (l *Log) keys(o *object) {
	o.key("level", choice(&l.Level, LogInfo), "the least serious messages that are written")
	o.key("format", choice(&l.Format, LogText), "how a line is written")
}
