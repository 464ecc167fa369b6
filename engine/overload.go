package engine

import (
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"traffic_management/config"
	"traffic_management/engine/exchange"
)

// When memory is short. Shares are of the limit, in percent.
//
//	level           above  until below  what follows
//	normal            -         -       nothing
//	no keep-alive    80        70       every response is its connection's last; idle connections are closed by and by
//	refuse           90        85       the same, new requests get 503, and loops let go of spare memory
const (
	tightShare, relaxedShare       = 80, 70
	fullShare, lessFullShare       = 90, 85
	collectorShare                 = 90 // what the collector is to stay within
	lookEvery                      = 100 * time.Millisecond
	shedShare                      = 50 // one in so many idle connections is closed at every look
	unlimited                int64 = math.MaxInt64
)

// ballastBytes of memory are never touched, and so take nothing but addresses; but the heap grows by as much again before
// garbage is collected. A small heap without is collected several times a second while TLS handshakes make garbage, and
// requests wait for that. Where memory is limited to less than roomBytes there is none.
const (
	ballastBytes = 16 << 20
	roomBytes    = 32 * ballastBytes
)

// overload watches the memory of the process against its limit.
type overload struct {
	// Immutable:
	logger *slog.Logger
	meter  func(fresh bool) uint64 // bytes in use; fresh: as of the last second
	shed   func()                  // closes some idle connections
	letGo  func()                  // gives up memory that is only kept for later

	pressure exchange.Pressure
	changed  chan struct{} // of capacity 1: there may be another limit
	ballast  []byte        // only configure touches it

	// Atomic, any goroutine:
	limit atomic.Uint64 // in bytes; 0: none
	empty atomic.Uint64 // bytes of ballast
	used  atomic.Uint64 // in bytes, when last looked
}

// Overload is how the process stands against its memory limit.
type Overload struct {
	Level       exchange.PressureLevel
	Used, Limit uint64 // in bytes; Limit 0: none
}

// Overload is how the process stands against its memory limit. Any goroutine.
func (e *Engine) Overload() Overload {
	o := e.overload
	return Overload{Level: o.pressure.Level(), Used: o.used.Load(), Limit: o.limit.Load()}
}

func newOverload(logger *slog.Logger, meter func(fresh bool) uint64, shed, letGo func()) *overload {
	return &overload{logger: logger, meter: meter, shed: shed, letGo: letGo, changed: make(chan struct{}, 1)}
}

// configure brings a limit into force: the configured one, or that of the control group.
func (o *overload) configure(c config.Limits) {
	limit := uint64(c.MemoryBytes)
	if limit == 0 {
		limit = groupLimit(os.DirFS("/"))
	}
	if limit == 0 || limit >= roomBytes {
		if o.ballast == nil {
			o.ballast = make([]byte, ballastBytes)
		}
	} else {
		o.ballast = nil
	}
	o.empty.Store(uint64(len(o.ballast)))
	if o.limit.Swap(limit) == limit {
		return
	}
	if limit > 0 {
		o.logger.Info("memory is limited", "bytes", limit)
	}
	if os.Getenv("GOMEMLIMIT") == "" { // who sets it knows better
		bound := unlimited
		if limit > 0 {
			bound = int64(min(limit, math.MaxInt64)/100*collectorShare) + int64(len(o.ballast))
		}
		debug.SetMemoryLimit(bound)
	}
	select {
	case o.changed <- struct{}{}:
	default: // it was told and has not looked yet
	}
}

// forRequests is what exchanges are to look at; nil without a limit.
func (o *overload) forRequests() *exchange.Pressure {
	if o.limit.Load() == 0 {
		return nil
	}
	return &o.pressure
}

// watch is a goroutine that looks at the memory until ended is closed.
func (o *overload) watch(ended <-chan struct{}) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		var due <-chan time.Time // never, without a limit
		if o.limit.Load() > 0 {
			due = tick.C
		}
		select {
		case <-ended:
			return
		case <-due:
		case <-o.changed:
		}
		o.look()
	}
}

// look measures and does what follows.
func (o *overload) look() {
	before := o.pressure.Level()
	limit, used := o.limit.Load(), uint64(0)
	if limit > 0 {
		used = o.meter(before != exchange.PressureNormal)
		used -= min(used, o.empty.Load())
	}
	o.used.Store(used)
	level := nextLevel(before, used, limit)
	if level != before {
		o.pressure.Set(level)
		o.logger.Warn("memory", "level", level.String(), "before", before.String(), "used", used, "limit", limit)
	}
	if level != exchange.PressureNormal {
		o.shed()
	}
	if level == exchange.PressureRefuse {
		o.letGo()
	}
}

// nextLevel is the level that follows on one with so much in use of a limit; 0 is none.
func nextLevel(now exchange.PressureLevel, used, limit uint64) exchange.PressureLevel {
	if limit == 0 {
		return exchange.PressureNormal
	}
	share := float64(used) / float64(limit) * 100
	switch {
	case share > fullShare, now == exchange.PressureRefuse && share >= lessFullShare:
		return exchange.PressureRefuse
	case share > tightShare, now != exchange.PressureNormal && share >= relaxedShare:
		return exchange.PressureNoKeepAlive
	}
	return exchange.PressureNormal
}
