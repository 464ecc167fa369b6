package engine

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"traffic_management/engine/frontend"
	"traffic_management/engine/reactor"
	"traffic_management/upstream"
)

// loadFailure is the last time that a configuration was refused; immutable.
type loadFailure struct {
	At     time.Time `json:"at"`
	Errors []string  `json:"errors"`
}

// failedLoad takes note of a configuration that was refused.
func (e *Engine) failedLoad(err error) {
	e.registry.ConfigLoaded(false, time.Now())
	e.failure.Store(&loadFailure{time.Now(), texts(err)})
}

// texts are the errors of a configuration one by one.
func texts(err error) []string {
	var all []string
	for _, one := range separate(err) {
		all = append(all, one.Error())
	}
	return all
}

// configView is which configuration is in force.
type configView struct {
	File         string       `json:"file"`
	Generation   uint64       `json:"generation"` // counted from 1, by loads since the process began
	LoadedAt     time.Time    `json:"loaded_at"`
	OldSnapshots int          `json:"old_snapshots"` // replaced, with exchanges that still run
	LastFailure  *loadFailure `json:"last_failure"`  // also one before the configuration in force was loaded
}

func (e *Engine) configViewOf(s *state) configView {
	return configView{e.options.File, s.generation, s.loadedAt, e.OldSnapshots(), e.failure.Load()}
}

func (a *admin) config(w http.ResponseWriter, _ *http.Request) error {
	s := a.engine.current()
	return writeJSON(w, http.StatusOK, struct {
		configView
		Config map[string]any `json:"config"`
	}{a.engine.configViewOf(s), s.config.Show()})
}

// reload is POST /api/reload.
func (a *admin) reload(w http.ResponseWriter, r *http.Request) error {
	if err := readJSON(w, r, &struct{}{}); err != nil {
		return err
	}
	switch err := a.engine.ReloadFile(); {
	case errors.Is(err, errNotServing):
		return refuse(http.StatusServiceUnavailable, err.Error())
	case err != nil:
		no := refuse(http.StatusUnprocessableEntity, "the configuration was not loaded, the one before stays in force")
		no.Errors = texts(err)
		return no
	}
	return writeJSON(w, http.StatusOK, a.engine.configViewOf(a.engine.current()))
}

// overviewView is the process at a glance.
type overviewView struct {
	Version     string            `json:"version"`
	State       string            `json:"state"` // serving or draining
	PID         int               `json:"pid"`
	Started     time.Time         `json:"started"`
	Loops       int               `json:"loops"`
	Batches     bool              `json:"io_uring"`
	Config      configView        `json:"config"`
	EntryPoints []entryPointView  `json:"entrypoints"`
	Routers     int               `json:"routers"`
	Services    int               `json:"services"`
	Servers     serverCounts      `json:"servers"`
	Breakers    breakerCounts     `json:"breakers"`
	Overload    overloadView      `json:"overload"`
	Requests    map[string]uint64 `json:"requests"` // since the process began, by class of the status code
}

// overloadView is how the process stands against its memory limit.
type overloadView struct {
	Level string `json:"level"`
	Used  uint64 `json:"memory_used_bytes"`  // 0 without a limit
	Limit uint64 `json:"memory_limit_bytes"` // 0: none
}

// breakerCounts is how many circuit breakers there are, of services and of servers.
type breakerCounts struct {
	Total int `json:"total"`
	Open  int `json:"open"` // half-open ones too
}

func (n *breakerCounts) add(s upstream.BreakerState) {
	n.Total++
	if s != upstream.BreakerClosed {
		n.Open++
	}
}

// entryPointView is one entry point's connections.
type entryPointView struct {
	Name           string `json:"name"`
	Address        string `json:"address"`
	Open           int64  `json:"open"` // of clients, tunnels included
	Tunnels        int64  `json:"tunnels"`
	MaxConnections int    `json:"max_connections"` // 0: no limit

	Certificates []certificateView `json:"certificates,omitempty"` // with TLS
}

// certificateView is one certificate in force.
type certificateView struct {
	File    string    `json:"file"`
	Name    string    `json:"name"` // one of those in it
	Expires time.Time `json:"expires"`
}

func (a *admin) overview(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, a.engine.overviewViewOf())
}

func (e *Engine) overviewViewOf() overviewView {
	s, now := e.current(), reactor.Clock()
	v := overviewView{Version: e.options.Version, State: "serving", PID: os.Getpid(), Started: e.started,
		Loops: len(e.workers), Batches: e.batches, Config: e.configViewOf(s), EntryPoints: e.entryPointViews(s),
		Routers: len(s.config.Routers), Services: len(s.snapshot.services), Requests: e.registry.Requests()}
	o := e.Overload()
	v.Overload = overloadView{o.Level.String(), o.Used, o.Limit}
	if !e.ready() {
		v.State = "draining"
	}
	for _, service := range s.snapshot.services {
		for _, b := range service.Breakers(now) {
			v.Breakers.add(b.State)
		}
		for _, t := range service.Targets() {
			st := t.Status(now)
			v.Servers.add(st.State)
			for _, b := range st.Breakers {
				v.Breakers.add(b.State)
			}
		}
	}
	return v
}

func (e *Engine) entryPointViews(s *state) []entryPointView {
	views := []entryPointView{}
	for i, ep := range s.snapshot.entryPoints {
		open, tunnels := e.registry.EntryPoint(ep.name).Open()
		view := entryPointView{Name: ep.name, Address: s.doors[i].listener.Addr().String(), Open: open, Tunnels: tunnels,
			MaxConnections: ep.maxConnections}
		if server := s.snapshot.secured.servers[ep.name]; server != nil {
			for _, c := range server.Certificates() {
				view.Certificates = append(view.Certificates, certificateView{c.File, c.Name, c.Expires})
			}
		}
		views = append(views, view)
	}
	return views
}

// loopView is one loop's connections.
type loopView struct {
	Loop      int   `json:"loop"`
	Fresh     int   `json:"fresh"` // have sent nothing yet
	Idle      int   `json:"idle"`
	Active    int   `json:"active"`
	Tunnels   int   `json:"tunnels"`
	ToServers int64 `json:"to_servers"` // and those that are being closed
}

// connections is GET /api/connections. Loops that do not answer in time are told apart.
func (a *admin) connections(w http.ResponseWriter, _ *http.Request) error {
	e := a.engine
	loops, stalled := []loopView{}, []int{}
	for i, n := range poll(e.workers, func(w *worker) frontend.Counts { return w.conns.Counts() }) {
		if n == nil {
			stalled = append(stalled, i)
			continue
		}
		open := e.workers[i].loop.Stats().Open.Load()
		loops = append(loops, loopView{i, n.Fresh, n.Idle, n.Active, n.Tunnels, max(open-int64(n.Open()), 0)})
	}
	return writeJSON(w, http.StatusOK, map[string]any{
		"entrypoints": e.entryPointViews(e.current()), "loops": loops, "stalled_loops": stalled})
}

// ready reports whether new connections are welcome.
func (e *Engine) ready() bool { return e.current() != nil && e.ctx.Err() == nil }

func (a *admin) readyz(w http.ResponseWriter, _ *http.Request) error {
	if !a.engine.ready() {
		return refuse(http.StatusServiceUnavailable, "the proxy is starting, or ending")
	}
	return writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

func (a *admin) healthz(w http.ResponseWriter, _ *http.Request) error {
	for i, alive := range poll(a.engine.workers, func(*worker) struct{} { return struct{}{} }) {
		if alive == nil {
			return refuse(http.StatusServiceUnavailable, fmt.Sprintf("loop %d has not answered for %v", i, loopPatience))
		}
	}
	return writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
}
