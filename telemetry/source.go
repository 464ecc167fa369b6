package telemetry

import (
	"maps"
	"strings"
	"time"
)

// Source knows what no loop counts: how things are now. A scrape asks it, from any goroutine and several at a time; it
// must neither block on a loop nor lock one out.
type Source interface {
	// Servers calls yield for every server of every service in use. The sample is lent for the call.
	Servers(yield func(*ServerSample))
	// Breakers calls yield for every circuit breaker in use.
	Breakers(yield func(BreakerSample))
	// Mirrors calls yield for every middleware in use that copies requests.
	Mirrors(yield func(MirrorSample))
	// Keys calls yield for every middleware in use that has keys fetched.
	Keys(yield func(KeysSample))
	// Certificates calls yield for every certificate of every entry point in use.
	Certificates(yield func(CertificateSample))
	Process() ProcessSample
}

// ServerSample is one server of a service now.
type ServerSample struct {
	Service, Server string

	Up       bool // as far as health checks know
	Ejected  bool // for its errors, for a while
	Draining bool
	Weight   float64 // in force: an override and slow start counted
	InFlight int64   // requests it has and has not ended
	Open     int64   // connections, idle ones and those being dialled included
	Idle     int64

	Succeeded uint64 // requests, ever
	Failed    uint64 // for which the server is to blame
}

// BreakerSample is one circuit breaker now.
type BreakerSample struct {
	Service, Server, Breaker string // Server is empty for the one of the whole service
	State                    BreakerState
}

// BreakerState is what a circuit breaker does, as the series have it.
type BreakerState uint8

// States of a circuit breaker.
const (
	BreakerClosed   BreakerState = iota // requests pass
	BreakerHalfOpen                     // a few requests pass to see how they fare
	BreakerOpen                         // requests are refused
)

func (s BreakerState) String() string { return [...]string{"closed", "half_open", "open"}[s] }

// MirrorSample is one middleware that copies requests.
type MirrorSample struct {
	Middleware string
	Sent, Shed int64 // copies that were begun; that were due and were not begun, or given up
}

// KeysSample is one middleware that has the keys of tokens fetched.
type KeysSample struct {
	Middleware      string
	Fetched, Failed uint64    // fetches that brought keys that can be used, or did not
	Last            time.Time // of the last that did; zero: none
}

// CertificateSample is one certificate of an entry point now.
type CertificateSample struct {
	EntryPoint, File, Name string // Name is one of those in it
	Expires                time.Time
}

// ProcessSample is the process as a whole now.
type ProcessSample struct {
	OldSnapshots     int    // configurations that were replaced and still have exchanges
	Overload         int    // level: 0 normal, 1 connections are closed, 2 requests are refused
	MemoryUsed       uint64 // in bytes, as compared with the limit
	MemoryLimit      uint64 // in bytes; 0: none
	InvariantsBroken uint64 // since the process began
}

// SetSource gives the registry what scrapes ask; before it they have no series of servers, breakers and the process.
func (r *Registry) SetSource(s Source) { r.source.Store(&s) }

// ServerChange is what became of a server.
type ServerChange uint8

// What can become of a server.
const (
	ServerDown     ServerChange = iota // health checks found it unable
	ServerUp                           // health checks found it able again
	ServerEjected                      // left out for a while, for its errors
	ServerReturned                     // from ejection
)

func (c ServerChange) String() string { return [...]string{"down", "up", "ejected", "returned"}[c] }

// changeKey identifies a counter of changes. breaker is empty for those of servers.
type changeKey struct{ service, server, breaker, to string }

// ServerChanged counts a change of a server's state. Any goroutine, but not for every request: it takes a lock, shortly.
func (r *Registry) ServerChanged(service, server string, to ServerChange) {
	r.count(changeKey{valid(service), valid(server), "", to.String()})
}

// BreakerChanged counts a change of a circuit breaker's state; server is empty for the breaker of a whole service. Any
// goroutine, as with ServerChanged.
func (r *Registry) BreakerChanged(service, server, breaker string, to BreakerState) {
	r.count(changeKey{valid(service), valid(server), valid(breaker), to.String()})
}

func (r *Registry) count(k changeKey) {
	r.changing.Lock()
	defer r.changing.Unlock()
	r.changes[k]++
}

// changesOf returns the counts of changes of what is in use, by service and server, and forgets the others: servers
// behind names come and go, and their counts must not pile up.
func (r *Registry) changesOf(inUse map[[2]string]bool) map[changeKey]uint64 {
	r.changing.Lock()
	defer r.changing.Unlock()
	maps.DeleteFunc(r.changes, func(k changeKey, _ uint64) bool { return !inUse[[2]string{k.service, k.server}] })
	return maps.Clone(r.changes)
}

// valid is s as the value of a label may be.
func valid(s string) string { return strings.ToValidUTF8(s, "\ufffd") }
