package engine

import (
	"errors"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"traffic_management/config"
	"traffic_management/engine/systemd"
)

// change is a configuration on its way into force. Everything that it needs is open, and nothing that is in force was
// touched, so that it can still be given up; from commit on nothing can go wrong.
//
//	prepare: compile, find doors by address or open them, open log and metrics
//	         watch the names of servers
//	commit:  servers and options of services ─▶ post each loop its adoption, wait for all
//	         close what is left over; generations follows what still runs with the configuration before
type change struct {
	next    *state
	catalog *catalog
	opened  []*door // that were not there before
	leave   []*door // that the configuration has no use for
}

// errNotServing is the answer to a reload of an engine that has not started or is ending.
var errNotServing = errors.New("the proxy is not serving, or is ending")

// ReloadFile reads the configuration file anew and brings it into force, as Reload does. What came of it is logged and
// counted; the error is the log's.
func (e *Engine) ReloadFile() error {
	e.changing.Lock() // before the file is read: of two calls the later one has the later content
	defer e.changing.Unlock()
	if e.stage != stageServing {
		e.logger.Warn("the configuration was not loaded by this process", "error", errNotServing)
		return errNotServing
	}
	in := e.options.Inherited
	in.tell(e.logger, systemd.Reloading())
	c, err := config.Load(e.options.File, os.LookupEnv, e.options.Middlewares.Kinds()...)
	if err != nil {
		e.failedLoad(err)
	} else {
		err = e.change(c)
	}
	if err == nil {
		in.tell(e.logger, systemd.Ready, e.status())
		return nil
	}
	for _, one := range separate(err) {
		e.logger.Error("the configuration was not loaded, the one before stays in force", "error", one)
	}
	in.tell(e.logger, systemd.Ready, systemd.Status("the file was not loaded, configuration %d stays in force: %v",
		e.current().generation, err))
	return err
}

// separate splits a list of errors, so that each has a line of the log.
func separate(err error) []error {
	var list config.Errors
	if !errors.As(err, &list) {
		return []error{err}
	}
	all := make([]error, len(list))
	for i := range list {
		all[i] = list[i]
	}
	return all
}

// Reload brings another configuration into force: when it returns every new request is its. Exchanges that run go on as
// they began, and no socket is touched but those of addresses that came or went. On an error, of config.Errors where
// something in the configuration is its cause, nothing has changed.
func (e *Engine) Reload(c *config.Config) error {
	e.changing.Lock()
	defer e.changing.Unlock()
	return e.change(c)
}

// change is Reload while e.changing is held.
func (e *Engine) change(c *config.Config) error {
	if e.stage != stageServing {
		return errNotServing
	}
	ch, err := e.prepare(c)
	if err != nil {
		e.failedLoad(err)
		return err
	}
	e.names.watch(e.ctx, ch.next.snapshot.services)
	e.commit(ch)
	e.registry.ConfigLoaded(true, ch.next.loadedAt)
	e.logger.Info("configuration loaded", "generation", ch.next.generation, "old_in_use", e.OldSnapshots())
	return nil
}

// prepare compiles a configuration and opens what it needs and is not there.
func (e *Engine) prepare(c *config.Config) (*change, error) {
	ch := &change{next: &state{config: c}, catalog: e.catalog.clone()}
	var err error
	if ch.next.snapshot, err = build(c, ch.catalog, e.options.Middlewares); err == nil {
		err = e.openFor(ch)
	}
	if err != nil {
		e.abandon(ch)
		return nil, err
	}
	return ch, nil
}

// abandon closes what was opened for a configuration that does not come into force.
func (e *Engine) abandon(ch *change) {
	for _, d := range ch.opened {
		d.discard()
	}
	now := e.current()
	if now == nil {
		now = new(state)
	}
	if log := ch.next.accessLog; log != now.accessLog {
		e.closeLog(log)
	}
	if m := ch.next.metrics; m != now.metrics {
		m.discard()
	}
	if a := ch.next.admin; a != now.admin {
		a.discard()
	}
}

// commit brings a change into force; the names of its servers are watched.
func (e *Engine) commit(ch *change) {
	before, next := e.current(), ch.next
	e.catalog = ch.catalog
	for _, v := range next.snapshot.services {
		e.names.use(v)
	}
	if before != nil {
		next.generation = before.generation
	}
	next.generation++
	for i, ep := range next.snapshot.entryPoints {
		next.doors[i].name = ep.name
		next.doors[i].limit.Store(int64(ep.maxConnections))
	}
	if e.options.SetLog != nil {
		e.options.SetLog(next.config.Log)
	}
	e.overload.configure(next.config.Limits)
	e.clients.limit.Store(int64(next.config.Limits.MaxConnections))
	e.adopt(ch, e.old.add(before, len(e.workers)))
	next.loadedAt = time.Now()
	e.state.Store(next)
	e.replaceShared(before, next)
	e.keeper.Use(next.snapshot.secured.servers, next.snapshot.secured.clients)
	e.watchFile()
	e.watchCertificates()
	e.watchCredentials()
	e.fetchKeys()
	for _, d := range ch.leave {
		d.listener.Close()
	}
	for _, d := range ch.opened {
		e.logger.Info("listening", "entrypoint", d.name, "address", d.listener.Addr().String(),
			"loops", e.options.Loops, "io_uring", e.batches)
	}
	for _, text := range next.snapshot.warnings {
		if before == nil || !slices.Contains(before.snapshot.warnings, text) {
			e.logger.Warn(text)
		}
	}
}

// adopt makes every loop take a change over and waits until all have. over is told by each loop that nothing runs there
// any more with the configuration before.
func (e *Engine) adopt(ch *change, over func()) {
	adoptions := make([]*adoption, len(e.workers))
	for i := range e.workers {
		a := &adoption{tables: ch.catalog.tables(i, e.registry), from: ch.next, leave: ch.leave,
			grace: ch.next.config.Shutdown.IdleClose, feels: e.overload.forRequests(), over: over}
		if log := ch.next.accessLog; log != nil {
			a.log = log.Shard(i)
		}
		adoptions[i] = a
	}
	e.onLoops(func(w *worker) { w.adopt(adoptions[w.loop.Index()]) })
}

// onLoops runs f on every loop that has not stopped and waits until it has run everywhere.
func (e *Engine) onLoops(f func(*worker)) {
	var done sync.WaitGroup
	for _, w := range e.workers {
		done.Add(1)
		if !w.loop.Post(func() { defer done.Done(); f(w) }) {
			done.Done()
		}
	}
	done.Wait()
}

// replaceShared begins to serve and closes what loops have no part in, or have let go of.
func (e *Engine) replaceShared(before, next *state) {
	if before == nil {
		before = new(state)
	}
	if m := next.metrics; m != before.metrics {
		if m != nil {
			mux := http.NewServeMux()
			mux.Handle("/metrics", e.registry.Handler())
			m.serve("metrics", mux, e.logger, &e.running)
		}
		before.metrics.leave(&e.running)
	}
	if a := next.admin; a != before.admin {
		if a != nil {
			a.serve("the status page and its API", newAdmin(e, next.config.Admin), e.logger, &e.running)
		}
		before.admin.leave(&e.running)
	}
	if next.accessLog != before.accessLog {
		e.closeLog(before.accessLog)
	}
}
