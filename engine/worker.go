package engine

import (
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"traffic_management/engine/exchange"
	"traffic_management/engine/frontend"
	"traffic_management/engine/reactor"
	"traffic_management/telemetry"
	"traffic_management/upstream"
)

// worker is all that one loop owns. Everything in it belongs to the loop once it runs.
type worker struct {
	loop        *reactor.EventLoop
	pools       *upstream.Pools
	conns       *frontend.Connections
	local       *exchange.Local
	observer    *observer
	doorkeepers []*doorkeeper        // of the configuration in force
	generation  *exchange.Generation // that new exchanges belong to; nil before the first configuration
	counts      *telemetry.LoopShard
	logger      *slog.Logger

	clients atomic.Int64 // its client connections, and those on their way to it; any goroutine

	flushLater reactor.Timer
	paused     uint64 // of the loop's own count, how many telemetry knows
}

// newWorker makes the worker of one loop. It serves nothing before it adopts a configuration.
func (e *Engine) newWorker(index int, d *reactor.Descriptors) (*worker, error) {
	w := &worker{conns: frontend.NewConnections(), logger: e.logger, counts: e.registry.Loop(index)}
	var err error
	w.loop, err = reactor.New(reactor.Config{
		Index:       index,
		Descriptors: d,
		Handshakes:  e.handshakes,
		Plain:       e.options.Plain,
		Busy:        w.busy,
		Shed:        w.shedOne,
		OnTurn:      w.turned,
		OnPanic:     w.panicked,
	})
	if err != nil {
		return nil, err
	}
	w.flushLater.Fire = func() {} // that there is a turn is enough: it ends with flushLog
	w.loop.OnTurnEnd(w.flushLog)
	w.observer = newObserver(index, e.registry)
	w.pools = upstream.NewPools(w.loop, e.group, e.seed, w.observer.meter)
	w.local = exchange.NewLocal(w.loop, w.pools, w.observer, e.seed)
	w.local.Contain(w.filterPanicked)
	return w, nil
}

// adoption is what one loop has to do for a configuration to come into force.
type adoption struct {
	tables *tables
	log    *telemetry.LogShard // nil without an access log
	from   *state
	leave  []*door // that clients are to come through no more
	grace  time.Duration
	feels  *exchange.Pressure
	over   func() // called when no exchange runs any more with the configuration before
}

// busyTime is how long after its beginning a request is thought to be answered soon: what takes longer hardly minds a
// handshake.
const busyTime = 200 * time.Microsecond

// busy reports whether an answer is awaited that may come at any moment.
func (w *worker) busy() bool {
	return w.generation != nil && w.generation.Running() > 0 && w.loop.Clock().Sub(w.local.Began()) < busyTime
}

// adopt makes a configuration the one that new requests run with.
func (w *worker) adopt(a *adoption) {
	w.observer.tables = a.tables
	if w.observer.log != a.log {
		if w.observer.log != nil {
			w.observer.log.Drain()
		}
		w.observer.log = a.log
	}
	before := w.generation
	w.generation = &exchange.Generation{Number: a.from.generation}
	w.doorkeepers = w.doorkeepers[:0]
	for i, ep := range a.from.snapshot.entryPoints {
		k := a.from.doors[i].keepers[w.loop.Index()]
		env := *ep.env
		env.Generation, env.Pressure = w.generation, a.feels
		k.entry.Env, k.entry.Settings, k.entry.TLS = &env, ep.settings, ep.tls
		k.entry.Meter = entryMeter{a.tables.entries[env.EntryPoint]}
		if k.acceptors == nil {
			k.accept()
		}
		k.look()
		w.doorkeepers = append(w.doorkeepers, k)
	}
	for _, d := range a.leave {
		d.keepers[w.loop.Index()].leave(a.grace)
	}
	for _, v := range a.from.snapshot.services {
		w.pools.Adopt(v.Service)
	}
	if before != nil {
		before.Retire(a.over)
	}
}

// run runs the loop until it is shut down. With pin it stays on the core of this number.
func (w *worker) run(pin int) {
	if pin >= 0 {
		runtime.LockOSThread()
		var set unix.CPUSet
		set.Set(pin)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			w.logger.Warn("cannot pin a loop to a core", "loop", w.loop.Index(), "core", pin, "error", err)
		}
	}
	if err := w.loop.Run(); err != nil {
		w.logger.Error("a loop ended", "loop", w.loop.Index(), "error", err)
	}
	if log := w.observer.log; log != nil {
		log.Drain()
	}
}

// drain lets exchanges end, when nothing is accepted any more; done is called when no client connection is left. Until
// then connections to servers are kept: each client may send one more request. On the loop.
func (w *worker) drain(plan frontend.DrainPlan, done func()) {
	w.conns.Drain(w.loop, plan, func() {
		w.local.CancelSubrequests()
		w.pools.Close()
		done()
	})
}

func (w *worker) flushLog() {
	if log := w.observer.log; log != nil && log.Flush(time.Duration(w.loop.Now())) && !w.flushLater.Armed() {
		w.loop.Arm(&w.flushLater, telemetry.FlushEvery)
	}
}

// turned is told of each turn of the loop.
func (w *worker) turned(took time.Duration) {
	w.counts.Turn(took)
	for n := w.loop.Stats().Pauses.Load(); w.paused < n; w.paused++ {
		w.counts.AcceptPaused()
	}
}

// look lets the loop accept or not, at every door.
func (w *worker) look() {
	for _, k := range w.doorkeepers {
		k.look()
	}
}

// shedOne makes room for a client: the connection of another one that is idle goes, else one to a server. It reports
// whether there was one.
func (w *worker) shedOne() bool {
	if w.shedClient() {
		return true
	}
	shed := w.pools.ShedIdle()
	if shed {
		w.counts.ShedUpstream()
	}
	return shed
}

func (w *worker) shedClient() bool {
	shed := w.conns.ShedIdle()
	if shed {
		w.counts.Shed()
	}
	return shed
}

// relieve closes some of the clients' idle connections because memory is short.
func (w *worker) relieve() {
	for n := w.conns.Counts().Idle/shedShare + 1; n > 0 && w.shedClient(); n-- {
	}
}

// letGo gives up memory that is only kept for later.
func (w *worker) letGo() {
	w.loop.LetGo()
	w.local.LetGo()
}

// filterPanicked is told of panics in middlewares.
func (w *worker) filterPanicked(v any, stack []byte) {
	w.counts.Panicked()
	w.logger.Error("a middleware panicked; the request it had was ended", "loop", w.loop.Index(), "panic", v, "stack", string(stack))
}

// panicked is told of any other panic on the loop.
func (w *worker) panicked(v any, stack []byte) {
	w.counts.Panicked()
	w.logger.Error("a panic was contained; its connection was closed", "loop", w.loop.Index(), "panic", v,
		"stack", string(stack))
}
