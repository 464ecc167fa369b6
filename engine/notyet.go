package engine

import (
	"fmt"
	"maps"
	"slices"

	"traffic_management/config"
)

// notYet tells of what a configuration asks for and nothing here does: better refused than served as if it were not there.
func notYet(c *config.Config) (errs config.Errors) {
	refuse := func(key string) {
		errs = append(errs, config.Error{Position: c.Position(key), Key: key, Msg: "not supported yet by this version"})
	}
	for _, name := range slices.Sorted(maps.Keys(c.EntryPoints)) {
		if c.EntryPoints[name].TLS != nil {
			refuse("entrypoints." + name + ".tls")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		s := c.Services[name]
		for i := range s.Servers {
			if s.Servers[i].URL.Scheme != config.SchemeHTTP {
				refuse(fmt.Sprintf("services.%s.servers[%d].url", name, i))
			}
		}
	}
	return errs
}
