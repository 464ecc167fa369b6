package engine

import (
	"fmt"
	"net/http"

	"traffic_management/engine/reactor"
	"traffic_management/upstream"
)

// override is what an operator asked of one server instead of what the configuration says, until the next reload.
type override struct {
	Weight *int  `json:"weight,omitempty"`
	Drain  *bool `json:"drain,omitempty"`

	configured int // the weight it stands in for
}

// override applies what is asked of a server, beside what was asked of it before. Any goroutine but a loop's.
func (n *names) override(t *upstream.Target, asked override) {
	n.mu.Lock()
	defer n.mu.Unlock()
	o, ok := n.overrides[t]
	if !ok {
		o.configured = t.Weight()
	}
	if asked.Weight != nil {
		o.Weight = asked.Weight
		t.SetWeight(*asked.Weight)
	}
	if asked.Drain != nil {
		o.Drain = asked.Drain
		t.SetDraining(*asked.Drain)
	}
	n.overrides[t] = o
}

// overrideOf is the override of a server, if there is one. Any goroutine.
func (n *names) overrideOf(t *upstream.Target) (override, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	o, ok := n.overrides[t]
	return o, ok
}

// override is PUT /api/services/{service}/servers/{server}.
func (a *admin) override(w http.ResponseWriter, r *http.Request) error {
	var asked override
	if err := readJSON(w, r, &asked); err != nil {
		return err
	}
	switch {
	case asked.Weight == nil && asked.Drain == nil:
		return refuse(http.StatusBadRequest, `expected {"weight": n}, {"drain": true or false}, or both`)
	case asked.Weight != nil && (*asked.Weight < 0 || *asked.Weight > upstream.MaxWeight):
		return refuse(http.StatusBadRequest, fmt.Sprintf("weight: expected 0 to %d, got %d", upstream.MaxWeight, *asked.Weight))
	}
	e, service := a.engine, r.PathValue("service")
	t, err := e.findServer(service, r.PathValue("server"))
	if err != nil {
		return err
	}
	e.names.override(t, asked)
	e.logger.Info("a server was overridden until the next reload", "service", service, "server", t.ID,
		"weight", t.Weight(), "draining", t.Draining())
	return writeJSON(w, http.StatusOK, e.serverViewOf(service, t, reactor.Clock()))
}

// findServer finds a server of a service by its ID, or by its address when no other has the same.
func (e *Engine) findServer(service, name string) (found *upstream.Target, err error) {
	for _, v := range e.current().snapshot.services {
		if v.Name != service {
			continue
		}
		for _, t := range v.Targets() {
			switch {
			case t.ID == name:
				return t, nil
			case t.Addr.String() != name:
			case found != nil:
				return nil, refuse(http.StatusConflict, "several servers have the address "+name+"; use the id")
			default:
				found = t
			}
		}
		if found == nil {
			return nil, refuse(http.StatusNotFound, fmt.Sprintf("service %q has no server %q", service, name))
		}
		return found, nil
	}
	return nil, refuse(http.StatusNotFound, fmt.Sprintf("there is no service %q", service))
}
