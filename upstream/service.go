package upstream

import (
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"traffic_management/codec"
	"traffic_management/codec/h1"
	"traffic_management/engine/reactor"
)

// Options are the settings of a service; immutable.
type Options struct {
	Strategy       Strategy
	Hash           HashKey        // with ConsistentHash
	Sticky         *Sticky        // nil: clients do not stick to servers
	SlowStart      time.Duration  // in which a server that joins or recovers comes to its whole weight; 0: at once
	PanicThreshold int            // percent of healthy primaries below which health is ignored; 0: never
	Outlier        *OutlierPolicy // nil: servers that fail are not ejected
	ConnectTimeout time.Duration  // to open a connection
	RequestTimeout time.Duration  // of the server's silence from the request, or its last content, to the response head
	ResponseIdle   time.Duration  // longest silence inside response content
	QueueTimeout   time.Duration  // longest wait for a connection at MaxConnections
	IdleTimeout    time.Duration  // how long a connection stays idle in a pool
	MaxIdle        int            // idle connections to one server, over all loops
	MaxConnections int            // connections to one server, over all loops; 0: no limit
	Multiplex      Multiplex      // of requests to HTTP/1.1 servers
	PipelineDepth  int            // with MultiplexPipeline: requests on one connection, at most
	PassHost       bool           // send the client's Host, else the server's
	HeadLimits     h1.Limits      // of response heads
	TLS            *tls.Config    // of connections to ProtocolTLS targets that are opened from now on; nil: the zero value. Without a
	// ServerName the host of each target is verified; NextProtos is ours. It must not be changed any more
}

// Service is a set of servers that answer the same requests. It is shared by all loops.
type Service struct {
	// Immutable:
	Name   string
	slot   int         // index into Pools.services
	events func(Event) // nil: nobody listens

	// Atomic, any goroutine:
	setup   atomic.Pointer[setup]
	watcher atomic.Pointer[func()] // called when the targets have changed; nil: nobody asked
	epoch   atomic.Uint64          // counts changes of what its targets take; written after each
	retries retries

	arranging sync.Mutex // held while setup is replaced

	mu     sync.Mutex // held while a target is ejected or readmitted; guards what follows
	guards []weak.Pointer[ServiceBreaker]
}

// setup is what a service consists of at one time; immutable. Loops compare the pointer to see that it changed.
type setup struct {
	options *Options
	targets []*Target
	table   *hashTable // with ConsistentHash
	sticky  *cookies   // with Options.Sticky
}

var nextSlot atomic.Int64

// NewService makes a service that has no servers yet; SetTargets gives it some. events, if not nil, is told what
// happens to them: on any goroutine, in the order in which it happens to each. It must not block nor call the service.
func NewService(name string, o *Options, events func(Event)) *Service {
	s := &Service{Name: name, slot: int(nextSlot.Add(1) - 1), events: events}
	s.setup.Store(&setup{options: o})
	return s
}

// Options are the present settings. Any goroutine.
func (s *Service) Options() *Options { return s.setup.Load().options }

// SetOptions replaces the settings. Connections, requests that run, health and the states of breakers stay. Any
// goroutine but a loop's.
func (s *Service) SetOptions(o *Options) {
	s.arranging.Lock()
	defer s.arranging.Unlock()
	s.setup.Store(s.arrange(o, s.Targets()))
	s.epoch.Add(1)
	if o.Outlier == nil {
		for _, t := range s.Targets() {
			t.ejectedUntil.Store(0)
			s.readmit(t, reactor.Clock(), "servers are no longer ejected")
		}
	}
}

// SetTargets replaces the servers. Connections to servers that are in both sets are kept, those to others finish what
// they carry. Servers that join others begin slowly. Any goroutine but a loop's. The slice belongs to the service from
// here on. A target belongs to one service at a time.
func (s *Service) SetTargets(targets []*Target) {
	s.replaceTargets(targets)
	if f := s.watcher.Load(); f != nil {
		(*f)()
	}
}

// watch has f called after each change of the targets, instead of who was before; nil: nobody.
func (s *Service) watch(f func()) {
	if f == nil {
		s.watcher.Store(nil)
	} else {
		s.watcher.Store(&f)
	}
}

func (s *Service) replaceTargets(targets []*Target) {
	s.arranging.Lock()
	defer s.arranging.Unlock()
	before := s.Targets()
	for _, t := range targets {
		t.service.Store(s)
		if len(before) > 0 && !t.among(before) {
			t.joined.Store(joinsNext)
		}
	}
	s.setup.Store(s.arrange(s.Options(), targets))
}

// Targets is the present set of servers, not to be changed. Any goroutine.
func (s *Service) Targets() []*Target { return s.setup.Load().targets }

// arrange makes the setup of these settings and servers; s.arranging is held.
func (s *Service) arrange(o *Options, targets []*Target) *setup {
	u := &setup{options: o, targets: targets}
	if o.Strategy == ConsistentHash {
		u.table = newHashTable(targets)
	}
	if o.Sticky != nil {
		u.sticky = newCookies(o.Sticky, s.Name, targets)
	}
	return u
}

// reweigh follows a change of a weight, in what does not look at weights all the time.
func (s *Service) reweigh() {
	s.arranging.Lock()
	defer s.arranging.Unlock()
	if u := s.setup.Load(); u.table != nil {
		s.setup.Store(s.arrange(u.options, u.targets))
	}
}

// Taker takes the content of a response. It belongs to the loop.
type Taker interface {
	// Fits is how many bytes more it can pass on, or may keep: who gives it more fills memory.
	Fits() int
}

// Query is what one attempt is asked for with. The zero value asks for any server.
type Query struct {
	Tried   []*Target       // chosen only when there is no other
	Lost    bool            // the last of Tried did not answer: a server that is out for its health comes before it
	Key     uint64          // with ConsistentHash: Service.Key of the request
	Stick   *Target         // Service.Stuck of the request; chosen unless it was tried or cannot be used
	Shape   Shape           // what connections the request can use
	Taker   Taker           // nil: takes whatever comes
	Breaker *ServiceBreaker // servers whose part of it is open are left out; nil: none are
	Timeout time.Duration   // of the attempt, waiting and connecting included, until the response head or, while the
	// server takes content, of its silence; 0: Options.RequestTimeout, from when there is a connection
}

// Open begins one attempt to have a request answered by a server of the service. It returns at once; r hears the
// outcome later, never inside this call. q is lent for the call. The caller ends the attempt with Release.
func (s *Service) Open(p *Pools, q *Query, r codec.Receiver) *Attempt {
	l := p.local(s)
	a := p.newAttempt()
	a.service, a.receiver, a.opened, a.timeout, a.shape = s, r, p.loop.Now(), q.Timeout, q.Shape
	a.taker = q.Taker
	i, broken := l.choose(p, q, a)
	l.balancer.ask.tried = nil // it was lent
	if i < 0 {
		if broken {
			a.failLater(errBroken)
		} else {
			a.failLater(errNoTarget)
		}
		return a
	}
	a.pool = l.pools[i]
	a.pool.counts.InFlight.Add(1)
	a.pool.acquire(a)
	return a
}
