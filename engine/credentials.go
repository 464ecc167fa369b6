package engine

import (
	"context"
	"maps"
	"slices"

	"traffic_management/engine/exchange"
)

// refreshable is a filter that has read files, and can read them anew. What is wrong with one leaves what it had before.
type refreshable interface {
	Files() []string
	Refresh() (changed bool, err error)
}

// refreshables are those of the filters, by name of their middlewares.
func refreshables(filters map[string]exchange.Filter) map[string]refreshable {
	found := map[string]refreshable{}
	for name, f := range filters {
		if r, ok := f.(refreshable); ok && len(r.Files()) > 0 {
			found[name] = r
		}
	}
	return found
}

// watchCredentials watches the files that middlewares have read. e.changing is held.
func (e *Engine) watchCredentials() {
	var files []string
	if e.Config().Reload.Watch {
		for _, r := range e.current().snapshot.credentials {
			files = append(files, r.Files()...)
		}
	}
	slices.Sort(files)
	e.follow(&e.credentials, slices.Compact(files), "credentials", e.refreshCredentials)
}

// refreshCredentials reads the files of middlewares anew.
func (e *Engine) refreshCredentials() {
	e.changing.Lock()
	defer e.changing.Unlock()
	if e.stage != stageServing {
		return
	}
	credentials := e.current().snapshot.credentials
	for _, name := range slices.Sorted(maps.Keys(credentials)) {
		changed, err := credentials[name].Refresh()
		switch {
		case err != nil:
			e.logger.Error("a file of credentials was not loaded, what it held before stays in force", "middleware", name, "error", err)
		case changed:
			e.logger.Info("credentials loaded", "middleware", name)
		}
	}
}

// fetchKeys fetches the keys that the configuration in force names, and ends to fetch those of no use any more. e.changing
// is held.
func (e *Engine) fetchKeys() {
	e.current().snapshot.secureKeys()
	wanted := e.catalog.keys
	for origin, end := range e.fetching {
		if wanted[origin] == nil {
			end()
			delete(e.fetching, origin)
		}
	}
	for origin, keys := range wanted {
		if e.fetching[origin] != nil {
			continue
		}
		ctx, end := context.WithCancel(e.ctx)
		e.fetching[origin] = end
		e.running.Go(func() { keys.Run(ctx, e.keysFetched) })
	}
}

// keysFetched logs what came of a fetch of keys.
func (e *Engine) keysFetched(url string, changed bool, err error) {
	switch {
	case err != nil:
		e.logger.Error("keys of tokens were not fetched, those from before stay in force", "url", url, "error", err)
	case changed:
		e.logger.Info("keys of tokens fetched", "url", url)
	}
}
