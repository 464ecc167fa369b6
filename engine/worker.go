package engine

import (
	"fmt"
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
	loop      *reactor.EventLoop
	pools     *upstream.Pools
	conns     *frontend.Connections
	acceptors []*reactor.Acceptor
	log       *telemetry.LogShard // nil without an access log
	counts    *telemetry.LoopShard
	logger    *slog.Logger

	flushLater reactor.Timer
	paused     uint64 // of the loop's own counts, how many telemetry knows
	shed       uint64
}

// gate keeps one entry point's connections, over all loops, at its limit: above it accepting pauses everywhere and new
// connections wait in the kernel's queue. Loops that accept at the same moment may each take one more.
type gate struct {
	limit int64
	open  atomic.Int64
	all   []*doorkeeper
}

// doorkeeper is a gate's part of one loop.
type doorkeeper struct {
	*gate
	loop     reactor.Loop
	acceptor *reactor.Acceptor
}

func (d *doorkeeper) entered() {
	if d.limit > 0 && d.open.Add(1) >= d.limit {
		d.tellAll()
	}
}

func (d *doorkeeper) left() {
	if d.limit > 0 && d.open.Add(-1) == d.limit-1 {
		d.tellAll()
	}
}

// tellAll makes every loop look, this one at once.
func (d *doorkeeper) tellAll() {
	for _, other := range d.all {
		if other == d {
			d.look()
		} else {
			other.loop.Post(other.look)
		}
	}
}

// look accepts or not by what is true now: what loops tell each other may arrive in another order than it happened.
func (d *doorkeeper) look() {
	if d.open.Load() >= d.limit {
		d.acceptor.Pause()
	} else {
		d.acceptor.Resume()
	}
}

// newWorker makes the worker of one loop; its entry points are added by listen.
func (e *Engine) newWorker(index int, d *reactor.Descriptors) (*worker, error) {
	w := &worker{conns: frontend.NewConnections(), logger: e.logger, counts: e.registry.Loop(index)}
	var err error
	w.loop, err = reactor.New(reactor.Config{
		Index:       index,
		Descriptors: d,
		Plain:       e.options.Plain,
		Shed:        w.conns.ShedIdle,
		OnTurn:      w.turned,
		OnPanic:     w.panicked,
	})
	if err != nil {
		return nil, err
	}
	if e.accessLog != nil {
		w.log = e.accessLog.Shard(index)
		w.flushLater.Fire = func() {} // that there is a turn is enough: it ends with flushLog
		w.loop.OnTurnEnd(w.flushLog)
	}
	o := newObserver(index, e.registry, e.snapshot, w.log)
	w.pools = upstream.NewPools(w.loop, e.group, e.seed, o.meter)
	local := exchange.NewLocal(w.loop, w.pools, o, e.seed)
	for i, ep := range e.snapshot.entryPoints {
		if err := w.listen(local, ep, o.entries[i], e.listeners[i], e.gates[i]); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// listen makes the loop accept the connections of one entry point.
func (w *worker) listen(local *exchange.Local, ep *entryPoint, shard *telemetry.EntryPointShard, l *reactor.Listener,
	g *gate) error {
	d := &doorkeeper{gate: g, loop: w.loop}
	g.all = append(g.all, d)
	entry := &frontend.EntryPoint{
		Local:    local,
		Conns:    w.conns,
		Meter:    entryMeter{shard},
		OnClosed: d.left,
		Env:      ep.env,
		Settings: ep.settings,
	}
	var err error
	d.acceptor, err = w.loop.AddListener(l.Socket(w.loop.Index()), func(c reactor.Conn) reactor.Sink {
		d.entered()
		return entry.Accept(c)
	})
	if err != nil {
		return fmt.Errorf("entry point %s: %w", ep.name, err)
	}
	w.acceptors = append(w.acceptors, d.acceptor)
	return nil
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
	if w.log != nil {
		w.log.Drain()
	}
}

// drain stops accepting and lets exchanges end; done is called on the loop when no client connection is left. Until then
// connections to servers are kept: each client may send one more request.
func (w *worker) drain(plan frontend.DrainPlan, done func()) {
	w.loop.Post(func() {
		for _, a := range w.acceptors {
			a.Close()
		}
		w.conns.Drain(w.loop, plan, func() {
			w.pools.Close()
			done()
		})
	})
}

func (w *worker) flushLog() {
	if w.log.Flush(time.Duration(w.loop.Now())) && !w.flushLater.Armed() {
		w.loop.Arm(&w.flushLater, telemetry.FlushEvery)
	}
}

// turned is told of each turn of the loop.
func (w *worker) turned(took time.Duration) {
	w.counts.Turn(took)
	s := w.loop.Stats()
	for n := s.Pauses.Load(); w.paused < n; w.paused++ {
		w.counts.AcceptPaused()
	}
	for n := s.Shed.Load(); w.shed < n; w.shed++ {
		w.counts.Shed()
	}
}

func (w *worker) panicked(v any, stack []byte) {
	w.counts.Panicked()
	w.logger.Error("a panic was contained; its connection was closed", "loop", w.loop.Index(), "panic", v,
		"stack", string(stack))
}
