package upstream

import (
	"sync/atomic"
	"time"

	"traffic_management/codec"
	"traffic_management/codec/h1"
)

// Options are the settings of a service; immutable.
type Options struct {
	Strategy       Strategy
	ConnectTimeout time.Duration // to open a connection
	RequestTimeout time.Duration // of the server's silence from the request, or its last content, to the response head
	ResponseIdle   time.Duration // longest silence inside response content
	QueueTimeout   time.Duration // longest wait for a connection at MaxConnections
	IdleTimeout    time.Duration // how long a connection stays idle in a pool
	MaxIdle        int           // idle connections to one server, over all loops
	MaxConnections int           // connections to one server, over all loops; 0: no limit
	PassHost       bool          // send the client's Host, else the server's
	HeadLimits     h1.Limits     // of response heads
}

// Service is a set of servers that answer the same requests. It is shared by all loops.
type Service struct {
	// Immutable:
	Name    string
	Options Options
	slot    int // index into Pools.services

	// Atomic, any goroutine:
	targets atomic.Pointer[[]*Target]
}

var nextSlot atomic.Int64

// NewService makes a service that has no servers yet; SetTargets gives it some.
func NewService(name string, o Options) *Service {
	s := &Service{Name: name, Options: o, slot: int(nextSlot.Add(1) - 1)}
	s.targets.Store(new([]*Target))
	return s
}

// SetTargets replaces the servers; any goroutine may call it. Connections to servers that are in both sets are kept,
// those to others finish what they carry. The slice belongs to the service from here on.
func (s *Service) SetTargets(targets []*Target) { s.targets.Store(&targets) }

// Targets is the present set of servers, not to be changed.
func (s *Service) Targets() []*Target { return *s.targets.Load() }

// Errors that Open reports through Receiver.Failed.
var (
	errNoTarget = &codec.Error{Side: codec.Upstream, Kind: codec.KindNoTarget, Retry: codec.RetryNever, Status: 503,
		Cause: errText("no server of the service is available")}
	errQueueFull = &codec.Error{Side: codec.Upstream, Kind: codec.KindQueue, Retry: codec.RetryNever, Status: 503,
		Cause: errText("too many requests wait for a connection to the server")}
	errQueueTimeout = &codec.Error{Side: codec.Upstream, Kind: codec.KindQueue, Retry: codec.RetryNever, Status: 503,
		Cause: errText("no connection to the server became free in time")}
)

type errText string

func (e errText) Error() string { return string(e) }

// Open begins one attempt to have the request h answered by a server of the service, other than those in tried while
// there is another. It returns at once; r hears the outcome later, never inside this call. h is lent for the call.
// The caller ends the attempt with Release.
func (s *Service) Open(p *Pools, h *codec.Head, tried []*Target, r codec.Receiver) *Attempt {
	l := p.local(s)
	a := p.newAttempt()
	a.service, a.receiver, a.opened = s, r, p.loop.Now()
	i := l.balancer.Pick(tried, p.rnd.Uint64())
	if i < 0 {
		a.failLater(errNoTarget)
		return a
	}
	a.pool = l.pools[i]
	a.pool.counts.InFlight.Add(1)
	a.pool.acquire(a)
	return a
}
