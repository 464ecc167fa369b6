package exchange

import (
	"math/rand/v2"
	"net/netip"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
	"traffic_management/routing"
	"traffic_management/upstream"
)

// AliasPolicy says what happens to a request field whose name a server could take for one that we set or trust,
// because it folds "_" or "." onto "-".
type AliasPolicy uint8

// Alias policies.
const (
	AliasDrop AliasPolicy = iota
	AliasReject
	AliasKeep
)

// Env is what the exchanges of one entry point need of a configuration. It is immutable: a reload makes a new one, and
// exchanges that run keep theirs.
type Env struct {
	Table      *routing.Table[*Route]
	Trusted    []netip.Prefix // peers whose forwarding fields are kept
	Hosts      HostOptions    // nil: all hosts have the same TLS options
	Alias      AliasPolicy
	MaxBody    int64     // of request content in bytes; 0: no limit
	Upgrades   []string  // names of the protocols that a request may ask for, in lower case
	Pressure   *Pressure // nil: none is felt
	EntryPoint int       // number of the entry point, for tables kept by the observer

	// Generation is the loop's count of exchanges with this configuration: with it an Env belongs to one loop. nil
	// when nobody counts.
	Generation *Generation
}

// Route is where a router leads. It is immutable.
type Route struct {
	Name    string
	Service *upstream.Service
	ID      int                      // number of the route, for tables kept by the observer
	Retry   *RetryPolicy             // nil: one more try when no server can have acted on the first
	Breaker *upstream.ServiceBreaker // nil: none
	Chain   *Chain                   // nil: no filters
}

// Observer is told of every exchange when it is over, on its loop. x is lent.
type Observer interface{ Done(x *Exchange) }

// Client is the frontend's side of an exchange.
//
// One that is an upstream.Taker, too, is asked how much of the response is worth reading from its server.
type Client interface {
	codec.Stream
	// Finished says that the exchange is over and must not be touched any more. It comes after the event in which the
	// last part was delivered, never inside a call of the frontend's.
	Finished()
}

// Local is what the exchanges of one loop share. It belongs to the loop.
type Local struct {
	Loop  reactor.Loop
	Pools *upstream.Pools

	began    reactor.Instant // when the last exchange did
	observer Observer
	panicked func(v any, stack []byte) // told of panics of filters; nil: they are not contained
	free     []*Exchange
	asking   map[*Subrequest]struct{} // those that have an attempt
	match    routing.Request
	scratch  routing.Scratch
	rnd      *rand.PCG
	reply    replyWriter
}

// NewLocal makes the shared part of one loop.
func NewLocal(loop reactor.Loop, pools *upstream.Pools, o Observer, seed uint64) *Local {
	return &Local{Loop: loop, Pools: pools, observer: o, asking: map[*Subrequest]struct{}{}, rnd: rand.NewPCG(^seed, uint64(loop.Index()))}
}

// Random is 64 random bits, for decisions that need not be kept secret.
func (l *Local) Random() uint64 { return l.rnd.Uint64() }

// Began is when the last exchange did. Zero: none has.
func (l *Local) Began() reactor.Instant { return l.began }

// Begin makes an exchange for the next request of c. The frontend parses the head into x.RequestHead, then calls Own
// and Request, or Reject.
func (l *Local) Begin(env *Env, c Client, peer *Peer) *Exchange {
	var x *Exchange
	if n := len(l.free); n > 0 {
		x = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		x = &Exchange{local: l}
		x.finished, x.timer.Fire, x.limit.Fire = x.finish, x.expired, x.overdue
	}
	x.env, x.client, x.Peer = env, c, peer
	if env.Generation != nil {
		env.Generation.running++
	}
	x.Started = l.Loop.Now()
	l.began = x.Started
	return x
}
