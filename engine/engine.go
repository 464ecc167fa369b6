package engine

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"traffic_management/codec/h2"
	"traffic_management/config"
	"traffic_management/engine/certs"
	"traffic_management/engine/reactor"
	"traffic_management/engine/systemd"
	"traffic_management/telemetry"
	"traffic_management/upstream"
)

// Options are what the command line says.
type Options struct {
	Loops   int // 0: one for each core that the process may use
	Pin     bool
	Plain   bool // make every socket call by itself, without io_uring
	Version string
	Logger  *slog.Logger
	File    string // the configuration's, which ReloadFile reads anew
	// Middlewares are the kinds that the program brings. A file that has them is read with config.Load and their Kinds.
	Middlewares Middlewares
	// Inherited is what the process was started with; nil is nothing.
	Inherited *Inheritance
	// Program is what Upgrade starts.
	Program Program
	// SetLog, when set, is told of the log's level and format when a configuration comes into force.
	SetLog func(config.Log)

	// Names of servers, for tests: how they are looked up and what passes until the next time. nil is the system's.
	lookup upstream.Lookup
	sleep  upstream.Sleep
}

// Engine is a running proxy. Its methods may be called from any goroutine.
type Engine struct {
	// Immutable after New:
	options  Options
	logger   *slog.Logger
	seed     uint64
	started  time.Time
	registry *telemetry.Registry
	group    *upstream.Group
	overload *overload
	workers  []*worker
	batches  bool // socket calls of a turn are made together
	names    *names
	keeper   *certs.Keeper
	ctx      context.Context // of a reload; ends when Shutdown begins
	stop     context.CancelFunc
	ended    chan struct{} // closed when the goroutines that follow the loops are to end

	handshakes *reactor.Handshakes

	state atomic.Pointer[state] // nil before the first configuration is in force; see current

	upgrading sync.Mutex // held while a new process starts; locked before changing
	changing  sync.Mutex // held while what is in force changes: one at a time
	// Guarded by changing:
	stage   stage
	catalog *catalog
	first   *change // what New prepared and Start brings into force
	unwatch func()  // ends the watching of the file; nil while it is not watched

	certificates fileWatch
	credentials  fileWatch
	fetching     map[keyOrigin]context.CancelFunc // of keys that are fetched

	failure atomic.Pointer[loadFailure] // the last; nil when none was

	clients clients
	old     generations
	events  chan upstream.Event // to be logged
	running sync.WaitGroup
}

// state is what is in force; immutable.
type state struct {
	config     *config.Config
	snapshot   *snapshot
	generation uint64 // counted from 1
	loadedAt   time.Time
	doors      []*door              // by entry point of the snapshot
	accessLog  *telemetry.AccessLog // nil without one
	metrics    *web                 // nil without one
	admin      *web                 // nil without one
}

// current is what is in force: nil before Start. Any goroutine.
func (e *Engine) current() *state { return e.state.Load() }

// stage is how far the life of an engine has come.
type stage uint8

const (
	stageNew stage = iota
	stageServing
	stageReplaced // another process accepts in this one's place
	stageDraining // nothing is accepted any more
)

func (s stage) String() string { return [...]string{"new", "serving", "replaced", "draining"}[s] }

// New compiles a configuration and opens every socket and file it names, so that all that can be wrong is known before
// the first connection is accepted. Start follows.
func New(c *config.Config, o Options) (*Engine, error) {
	if o.Loops <= 0 {
		o.Loops = runtime.GOMAXPROCS(0)
	}
	if err := o.Middlewares.check(); err != nil {
		return nil, err
	}
	names := telemetry.Names{Errors: errorKinds, Handshakes: handshakeReasons, HTTP2: h2.Reasons}
	e := &Engine{options: o, logger: o.Logger, seed: rand.Uint64(), started: time.Now(),
		registry: telemetry.New(o.Loops, o.Version, names), group: upstream.NewGroup(o.Loops),
		handshakes: reactor.NewHandshakes(0, 0), names: newNames(&o), old: generations{ended: make(chan struct{}, 1)},
		events: make(chan upstream.Event, eventQueue), ended: make(chan struct{}), fetching: map[keyOrigin]context.CancelFunc{}}
	e.keeper = certs.NewKeeper(o.Logger, o.Inherited.secrets(), e.registry.StapleFetched)
	e.catalog = newCatalog(e.happened, e.keeper)
	e.overload = newOverload(o.Logger, newMemoryMeter().read, e.onEach((*worker).relieve), e.onEach((*worker).letGo))
	e.registry.SetSource(source{e})
	e.ctx, e.stop = context.WithCancel(context.Background())
	err := e.open(c)
	if err != nil {
		e.release()
		return nil, err
	}
	return e, nil
}

// open makes the loops and what the first configuration needs.
func (e *Engine) open(c *config.Config) error {
	descriptors, err := reactor.ProcessDescriptors()
	if err != nil {
		return err
	}
	for i := range e.options.Loops {
		w, err := e.newWorker(i, descriptors)
		if err != nil {
			return err
		}
		e.workers = append(e.workers, w)
	}
	e.clients.workers = e.workers
	e.batches = e.workers[0].loop.Batches()
	e.first, err = e.prepare(c)
	return err
}

// onEach is f on every loop, without waiting for any.
func (e *Engine) onEach(f func(*worker)) func() {
	return func() {
		for _, w := range e.workers {
			w.loop.Post(func() { f(w) })
		}
	}
}

// at says where in a configuration the cause of an error is.
func at(c *config.Config, key string, err error) error {
	return config.Errors{{Position: c.Position(key), Key: key, Msg: err.Error()}}
}

// Start finds the servers' addresses and begins to serve. Once, before anything else.
func (e *Engine) Start(ctx context.Context) {
	e.changing.Lock()
	defer e.changing.Unlock()
	ch := e.first
	e.first = nil
	e.names.watch(ctx, ch.next.snapshot.services)
	for i, w := range e.workers {
		pin := -1
		if e.options.Pin {
			pin = i % runtime.NumCPU()
		}
		e.running.Go(func() { w.run(pin) })
	}
	e.running.Go(e.followGenerations)
	e.running.Go(func() { e.overload.watch(e.ended) })
	e.running.Go(e.logEvents)
	e.running.Go(func() { e.keeper.Run(e.ctx) })
	e.stage = stageServing
	e.commit(ch)
	e.registry.ConfigLoaded(true, ch.next.loadedAt)
	in := e.options.Inherited
	in.drop(e.logger)
	e.running.Go(e.keepAlive)
	in.tell(e.logger, systemd.Ready, e.status())
	if err := in.tellReady(); err != nil {
		e.logger.Warn("the process before cannot be told that this one serves", "error", err)
	}
}

// status is what the service manager shows of us.
func (e *Engine) status() string {
	s := e.current()
	return systemd.Status("serving, configuration %d of %s", s.generation, s.loadedAt.Format(time.DateTime))
}

// Config is the configuration in force, not to be changed. After Start.
func (e *Engine) Config() *config.Config { return e.current().config }

// Addr is where an entry point listens; the zero Addr when there is none of this name. After Start.
func (e *Engine) Addr(entryPoint string) reactor.Addr {
	s := e.current()
	for i, ep := range s.snapshot.entryPoints {
		if ep.name == entryPoint {
			return s.doors[i].listener.Addr()
		}
	}
	return reactor.Addr{}
}

// MetricsAddr is where metrics are served; nil when they are not. After Start.
func (e *Engine) MetricsAddr() net.Addr {
	if m := e.current().metrics; m != nil {
		return m.listener.Addr()
	}
	return nil
}

// AdminAddr is where the status page and its API are served; nil when they are not. After Start.
func (e *Engine) AdminAddr() net.Addr {
	if a := e.current().admin; a != nil {
		return a.listener.Addr()
	}
	return nil
}

// ReopenLogs opens the access log's file anew. After Start.
func (e *Engine) ReopenLogs() error {
	e.changing.Lock() // no reload closes the log meanwhile
	defer e.changing.Unlock()
	if log := e.current().accessLog; log != nil && e.stage < stageDraining {
		return log.Reopen()
	}
	return nil
}
