package config

// Protocol is what an entry point speaks.
type Protocol string

// ProtocolHTTP is HTTP/1.0, HTTP/1.1 and HTTP/2.
const ProtocolHTTP Protocol = "http"

func (Protocol) words() []Protocol { return []Protocol{ProtocolHTTP} }

// AliasHeaders is what becomes of a request field whose name would fold onto one the proxy sets or trusts, in servers
// that read "_" or "." as "-".
type AliasHeaders string

// What becomes of such fields.
const (
	AliasDrop   AliasHeaders = "drop"   // the field is left out
	AliasReject AliasHeaders = "reject" // the request gets 400
	AliasKeep   AliasHeaders = "keep"   // the field is forwarded
)

func (AliasHeaders) words() []AliasHeaders { return []AliasHeaders{AliasDrop, AliasReject, AliasKeep} }

// Strategy is how a service shares out its requests.
type Strategy string

// Strategies.
const (
	RoundRobin     Strategy = "round_robin"     // each in turn
	Weighted       Strategy = "weighted"        // in turn by weight, smoothly
	LeastConn      Strategy = "least_conn"      // the one with the fewest requests running
	Random         Strategy = "random"          // by chance
	P2C            Strategy = "p2c"             // of two by chance the one with fewer requests running
	EWMA           Strategy = "ewma"            // of two by chance the one that is expected to answer first
	ConsistentHash Strategy = "consistent_hash" // the same one for requests that have LoadBalancer.HashOn in common
)

func (Strategy) words() []Strategy {
	return []Strategy{RoundRobin, Weighted, LeastConn, Random, P2C, EWMA, ConsistentHash}
}

// SameSite is whether requests that other sites cause carry a cookie.
type SameSite string

// Values of the attribute of the same name.
const (
	SameSiteLax    SameSite = "lax"    // those that follow a link do
	SameSiteStrict SameSite = "strict" // none does
	SameSiteNone   SameSite = "none"   // all do
)

func (SameSite) words() []SameSite { return []SameSite{SameSiteLax, SameSiteStrict, SameSiteNone} }

// HealthType is what a health check does.
type HealthType string

// Checks.
const (
	HealthHTTP HealthType = "http" // sends a request
	HealthTCP  HealthType = "tcp"  // opens a connection
)

func (HealthType) words() []HealthType { return []HealthType{HealthHTTP, HealthTCP} }

// Multiplex is whether requests of many clients share a connection to a server.
type Multiplex string

// What shares a connection of HTTP/1.1. Those of HTTP/2 are always shared.
const (
	MultiplexOff      Multiplex = "off"      // nothing: each running request has a connection of its own
	MultiplexPipeline Multiplex = "pipeline" // requests that may safely be repeated and have no content, one behind another
)

func (Multiplex) words() []Multiplex { return []Multiplex{MultiplexOff, MultiplexPipeline} }

// AccessLogFormat is how a line of the access log is written.
type AccessLogFormat string

// AccessLogJSON is one JSON object a line.
const AccessLogJSON AccessLogFormat = "json"

func (AccessLogFormat) words() []AccessLogFormat { return []AccessLogFormat{AccessLogJSON} }

// LogLevel is the least serious message that is logged.
type LogLevel string

// Levels, from the least serious.
const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

func (LogLevel) words() []LogLevel { return []LogLevel{LogDebug, LogInfo, LogWarn, LogError} }

// LogFormat is how a line of the log is written.
type LogFormat string

// Formats of the log.
const (
	LogText LogFormat = "text" // key=value
	LogJSON LogFormat = "json"
)

func (LogFormat) words() []LogFormat { return []LogFormat{LogText, LogJSON} }
