package engine

import (
	"math"
	"net/http"
	"slices"

	"traffic_management/config"
	"traffic_management/engine/reactor"
	"traffic_management/upstream"
)

// serviceView is one service.
type serviceView struct {
	Name     string          `json:"name"`
	Strategy config.Strategy `json:"strategy"`
	Routers  []string        `json:"routers"`
	Health   bool            `json:"health_check"`      // whether there are any
	Outlier  bool            `json:"outlier_detection"` // whether there is any
	Sticky   string          `json:"sticky_cookie,omitempty"`
	Servers  serverCounts    `json:"servers"`
	InFlight int64           `json:"in_flight"`
	Breakers []breakerView   `json:"breakers"` // for the service as a whole
}

// serverCounts is how many servers there are by state.
type serverCounts struct {
	Total    int `json:"total"`
	Up       int `json:"up"`
	Down     int `json:"down"`
	Ejected  int `json:"ejected"`
	Draining int `json:"draining"`
}

func (n *serverCounts) add(s upstream.TargetState) {
	n.Total++
	switch s {
	case upstream.TargetUp:
		n.Up++
	case upstream.TargetDown:
		n.Down++
	case upstream.TargetEjected:
		n.Ejected++
	case upstream.TargetDraining:
		n.Draining++
	}
}

// breakerView is one circuit breaker.
type breakerView struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	OpenFor  int64  `json:"open_for_ms"`
	Failures int    `json:"failures"` // in a row
	Opened   int    `json:"opened"`   // times
}

// serverView is one server of a service.
type serverView struct {
	Service    string        `json:"service"`
	ID         string        `json:"id"`
	Address    string        `json:"address"`
	State      string        `json:"state"`
	Healthy    bool          `json:"healthy"`
	Backup     bool          `json:"backup"`
	Draining   bool          `json:"draining"`
	EjectedFor int64         `json:"ejected_for_ms"`
	Ejections  int           `json:"ejections"`
	LastError  string        `json:"last_error"`
	Weight     int           `json:"weight"`           // configured
	InForce    float64       `json:"weight_in_force"`  // with the override, and less during slow start
	SlowStart  float64       `json:"slow_start_share"` // 1 when it is over
	InFlight   int64         `json:"in_flight"`
	Open       int64         `json:"open_connections"`
	Idle       int64         `json:"idle_connections"`
	Succeeded  uint64        `json:"succeeded"` // requests, since the server was added
	Failed     uint64        `json:"failed"`    // by its fault, or with a status of 500 or above
	Breakers   []breakerView `json:"breakers"`
	Override   *override     `json:"override,omitempty"`
}

func (a *admin) services(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string]any{"services": a.engine.serviceViews()})
}

func (a *admin) servers(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string]any{"servers": a.engine.serverViews()})
}

func (e *Engine) serviceViews() []serviceView {
	s, now := e.current(), reactor.Clock()
	routers := map[string][]string{}
	for name, r := range s.config.Routers {
		routers[r.Service] = append(routers[r.Service], name)
	}
	views := []serviceView{}
	for _, v := range s.snapshot.services {
		c := v.config
		view := serviceView{Name: v.Name, Strategy: c.LoadBalancer.Strategy, Routers: append([]string{}, routers[v.Name]...),
			Health: c.HealthCheck != nil, Outlier: c.OutlierDetection != nil, Breakers: breakerViews(v.Breakers(now))}
		slices.Sort(view.Routers)
		if sticky := c.LoadBalancer.Sticky; sticky != nil {
			view.Sticky = sticky.Cookie.Name
		}
		for _, t := range v.Targets() {
			st := t.Status(now)
			view.Servers.add(st.State)
			view.InFlight += st.InFlight
		}
		views = append(views, view)
	}
	return views
}

func (e *Engine) serverViews() []serverView {
	views := []serverView{}
	now := reactor.Clock()
	for _, v := range e.current().snapshot.services {
		for _, t := range v.Targets() {
			views = append(views, e.serverViewOf(v.Name, t, now))
		}
	}
	return views
}

func (e *Engine) serverViewOf(service string, t *upstream.Target, now reactor.Instant) serverView {
	st := t.Status(now)
	v := serverView{Service: service, ID: t.ID, Address: t.Addr.String(), State: st.State.String(), Healthy: st.Healthy,
		Backup: t.Backup(), Draining: t.Draining(), EjectedFor: st.EjectedFor.Milliseconds(), Ejections: st.Ejections,
		LastError: st.LastError, Weight: t.Weight(), InForce: weightInForce(t, &st), SlowStart: round(st.SlowStart),
		InFlight: st.InFlight, Open: st.Open, Idle: st.Idle,
		Succeeded: st.Succeeded, Failed: st.Failed, Breakers: breakerViews(st.Breakers)}
	if o, ok := e.names.overrideOf(t); ok {
		v.Weight, v.Override = o.configured, &o
	}
	return v
}

// weightInForce is a server's weight as balancers count it now.
func weightInForce(t *upstream.Target, st *upstream.Status) float64 {
	return round(float64(t.Weight()) * st.SlowStart)
}

// round leaves three digits behind the point: enough for a share, and easy to read.
func round(f float64) float64 { return math.Round(f*1000) / 1000 }

func breakerViews(all []upstream.BreakerStatus) []breakerView {
	views := make([]breakerView, len(all))
	for i, b := range all {
		views[i] = breakerView{b.Name, b.State.String(), b.OpenFor.Milliseconds(), b.Failures, b.Opened}
	}
	return views
}
