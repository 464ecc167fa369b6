package engine

import (
	"cmp"
	"net/http"

	"traffic_management/config"
	"traffic_management/routing"
)

// tableView is the routers of one entry point, in the order in which they are asked.
type tableView struct {
	EntryPoint string       `json:"entrypoint"`
	Address    string       `json:"address"`
	Routers    []routerView `json:"routers"`
}

// routerView is one router at one entry point.
type routerView struct {
	Name        string        `json:"name"`
	Rule        string        `json:"rule"`
	Priority    int           `json:"priority"` // that counts, also where it is the length of the rule
	Service     string        `json:"service"`
	Middlewares []string      `json:"middlewares"` // with those of the entry point; of chains, what is in them
	Conflict    *conflictView `json:"conflict,omitempty"`
}

// conflictView is what is odd about a router beside the others.
type conflictView struct {
	Kind string `json:"kind"` // tie, unreachable or impossible
	With string `json:"with,omitempty"`
	Text string `json:"text"`
}

func (a *admin) routers(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string]any{"entrypoints": a.engine.current().tableViews()})
}

func (s *state) tableViews() []tableView {
	tables := []tableView{}
	for i, ep := range s.snapshot.entryPoints {
		t := tableView{EntryPoint: ep.name, Address: s.doors[i].listener.Addr().String(), Routers: []routerView{}}
		found := map[string]*routing.Conflict{}
		for j := range ep.conflicts {
			found[ep.conflicts[j].Name] = &ep.conflicts[j]
		}
		for _, name := range ep.env.Table.Order() {
			t.Routers = append(t.Routers, routerViewOf(name, s.config.Routers[name], s.config.Flow(ep.name, name), found[name]))
		}
		tables = append(tables, t)
	}
	return tables
}

func routerViewOf(name string, c *config.Router, flow []string, found *routing.Conflict) routerView {
	v := routerView{Name: name, Rule: c.Rule, Priority: cmp.Or(c.Priority, len(c.Rule)), Service: c.Service,
		Middlewares: append([]string{}, flow...)}
	if found != nil {
		v.Conflict = &conflictView{Kind: found.Kind.String(), With: found.Other, Text: found.Text}
	}
	return v
}
