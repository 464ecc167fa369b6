package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"traffic_management/config"
	"traffic_management/engine/frontend"
	"traffic_management/engine/reactor"
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
}

// Engine is a running proxy. Its methods may be called from any goroutine, each at most once.
type Engine struct {
	// Immutable after New:
	config    *config.Config
	options   Options
	logger    *slog.Logger
	seed      uint64
	snapshot  *snapshot
	registry  *telemetry.Registry
	accessLog *telemetry.AccessLog // nil without one
	metrics   net.Listener         // nil without one
	listeners []*reactor.Listener  // by entry point
	gates     []*gate              // by entry point
	group     *upstream.Group
	workers   []*worker
	names     *names
	server    *http.Server

	running sync.WaitGroup
}

// New compiles a configuration and opens every socket and file it names, so that all that can be wrong is known before
// the first connection is accepted.
func New(c *config.Config, o Options) (*Engine, error) {
	if o.Loops <= 0 {
		o.Loops = runtime.GOMAXPROCS(0)
	}
	e := &Engine{config: c, options: o, logger: o.Logger, seed: rand.Uint64(),
		registry: telemetry.New(o.Loops, o.Version, errorKinds), group: upstream.NewGroup(o.Loops)}
	var err error
	if e.snapshot, err = build(c); err != nil {
		return nil, err
	}
	if err := e.open(); err != nil {
		e.release()
		return nil, err
	}
	e.registry.ConfigLoaded(true, time.Now())
	for _, text := range e.snapshot.conflicts {
		e.logger.Warn(text)
	}
	return e, nil
}

// open opens files, listeners and loops.
func (e *Engine) open() error {
	c := e.config
	if c.AccessLog != nil {
		log, err := telemetry.OpenAccessLog(c.AccessLog.File, e.options.Loops, telemetry.AccessLogOptions{
			Fields: c.AccessLog.Fields, Sample: c.AccessLog.Sample, Seed: e.seed, Counts: e.registry.AccessLog()})
		if err != nil {
			return e.at("access_log.file", err)
		}
		e.accessLog = log
	}
	if c.Metrics != nil {
		network, address := "tcp", c.Metrics.Address.String()
		if c.Metrics.Address.Path != "" {
			network, address = "unix", c.Metrics.Address.Path
		}
		l, err := net.Listen(network, address)
		if err != nil {
			return e.at("metrics.address", err)
		}
		e.metrics = l
	}
	for _, ep := range e.snapshot.entryPoints {
		l, err := reactor.Listen(ep.address, e.options.Loops)
		if err != nil {
			return e.at("entrypoints."+ep.name+".address", err)
		}
		e.listeners = append(e.listeners, l)
		e.gates = append(e.gates, &gate{limit: int64(ep.maxConnections)})
	}
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
	return nil
}

// at says where in the configuration the cause of an error is.
func (e *Engine) at(key string, err error) error {
	return config.Errors{{Position: e.config.Position(key), Key: key, Msg: err.Error()}}
}

// Start finds the servers' addresses and begins to serve.
func (e *Engine) Start(ctx context.Context) {
	e.names = e.resolve(ctx)
	if e.metrics != nil {
		mux := http.NewServeMux()
		mux.Handle("/metrics", e.registry.Handler())
		e.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
		e.logger.Info("serving metrics", "address", e.metrics.Addr().String())
		e.running.Go(func() {
			if err := e.server.Serve(e.metrics); !errors.Is(err, http.ErrServerClosed) {
				e.logger.Error("metrics are no longer served", "error", err)
			}
		})
	}
	batches := e.workers[0].loop.Batches()
	for i, w := range e.workers {
		pin := -1
		if e.options.Pin {
			pin = i % runtime.NumCPU()
		}
		e.running.Go(func() { w.run(pin) })
	}
	for i, ep := range e.snapshot.entryPoints {
		e.logger.Info("listening", "entrypoint", ep.name, "address", e.listeners[i].Addr().String(),
			"loops", e.options.Loops, "io_uring", batches)
	}
}

// Addr is where an entry point listens; the zero Addr when there is none of this name.
func (e *Engine) Addr(entryPoint string) reactor.Addr {
	for i, ep := range e.snapshot.entryPoints {
		if ep.name == entryPoint {
			return e.listeners[i].Addr()
		}
	}
	return reactor.Addr{}
}

// MetricsAddr is where metrics are served; nil when they are not.
func (e *Engine) MetricsAddr() net.Addr {
	if e.metrics == nil {
		return nil
	}
	return e.metrics.Addr()
}

// ReopenLogs opens the access log's file anew.
func (e *Engine) ReopenLogs() error {
	if e.accessLog == nil {
		return nil
	}
	return e.accessLog.Reopen()
}

// Shutdown accepts no more connections, closes idle ones one after another, waits until running exchanges have ended and
// what they sent has left, or ctx is done, and then ends what is left. The error says how many exchanges were cut off.
func (e *Engine) Shutdown(ctx context.Context) error {
	var draining sync.WaitGroup
	for _, w := range e.workers {
		draining.Add(1)
		w.drain(e.drainPlan(), draining.Done)
	}
	drained := make(chan struct{})
	go func() {
		draining.Wait()
		close(drained)
	}()
	select {
	case <-drained:
		e.awaitSent(ctx)
	case <-ctx.Done():
	}
	e.release()
	cut := 0
	for _, w := range e.workers {
		cut += w.conns.CutOff()
	}
	if cut > 0 {
		return fmt.Errorf("%d requests were cut off at the end of the drain time", cut)
	}
	return nil
}

// drainPlan is how client connections end. Idle ones do so before the drain time is over, however it was chosen.
func (e *Engine) drainPlan() frontend.DrainPlan {
	s := &e.config.Shutdown
	return frontend.DrainPlan{IdleClose: min(s.IdleClose, s.DrainTimeout*9/10), TunnelTimeout: s.TunnelTimeout}
}

// awaitSent waits for the connections that nobody uses any more: the end of a last response may still be on its way.
func (e *Engine) awaitSent(ctx context.Context) {
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for e.openSockets() > 0 {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// openSockets is how many connections there are, of clients and to servers.
func (e *Engine) openSockets() (n int64) {
	for _, w := range e.workers {
		n += w.loop.Stats().Open.Load()
	}
	return n
}

// release closes everything, in the order that nothing is used after its end.
func (e *Engine) release() {
	for _, w := range e.workers {
		w.loop.Shutdown()
	}
	if e.server != nil {
		_ = e.server.Close()
	} else if e.metrics != nil {
		_ = e.metrics.Close()
	}
	e.running.Wait()
	if e.names != nil {
		e.names.stop()
	}
	for _, l := range e.listeners {
		l.Close()
	}
	if e.accessLog != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := e.accessLog.Close(ctx); err != nil {
			e.logger.Error("the end of the access log was not written", "error", err)
		}
	}
}
