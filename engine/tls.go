package engine

import (
	"maps"
	"slices"
	"strings"
	"time"

	"traffic_management/config"
	"traffic_management/engine/certs"
)

// secured is what one configuration does its handshakes with.
type secured struct {
	servers map[string]*certs.Server // by entry point, of those with TLS
	clients map[string]*certs.Client // by service, of those with a server that wants it
	keys    map[string]*certs.Client // by middleware, of those that say how their keys are fetched
}

// secure reads the certificates that a configuration names. The errors are everything that is wrong with them.
func secure(c *config.Config, services map[string]*config.Service, k *certs.Keeper) (secured, config.Errors) {
	s := secured{servers: map[string]*certs.Server{}, clients: map[string]*certs.Client{}, keys: map[string]*certs.Client{}}
	var errs config.Errors
	add := func(faults []certs.Fault) {
		for _, f := range faults {
			errs = append(errs, config.Error{Position: c.Position(f.Key), Key: f.Key, Msg: f.Err.Error()})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.EntryPoints)) {
		if t := c.EntryPoints[name].TLS; t != nil {
			server, faults := k.NewServer(name, t)
			s.servers[name] = server
			add(faults)
		}
	}
	https := func(v config.Server) bool { return v.URL.Scheme == config.SchemeHTTPS }
	for _, name := range slices.Sorted(maps.Keys(services)) {
		if v := services[name]; slices.ContainsFunc(v.Servers, https) {
			client, faults := k.NewClient(name, tlsKey(c, name), v.TLS)
			s.clients[name] = client
			add(faults)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Middlewares)) {
		if j := c.Middlewares[name].JWT; j != nil && j.TLS != nil {
			client, faults := k.NewClient(name+"@jwt", "middlewares."+name+".jwt.tls", j.TLS)
			s.keys[name] = client
			add(faults)
		}
	}
	return s, errs
}

// tlsKey is where the configuration says how connections to a service's servers are secured.
func tlsKey(c *config.Config, service string) string {
	if c.Services[service] == nil {
		return "middlewares." + strings.TrimSuffix(service, config.ForwardAuthService("")) + ".forward_auth.tls"
	}
	return "services." + service + ".tls"
}

// warnings is what is odd about the certificates, for the log.
func (s *secured) warnings(now time.Time) (texts []string) {
	for _, name := range slices.Sorted(maps.Keys(s.servers)) {
		for _, text := range s.servers[name].Warnings(now) {
			texts = append(texts, "entry point "+name+": "+text)
		}
	}
	return texts
}

// files are the paths of everything that was read.
func (s *secured) files() (files []string) {
	for _, server := range s.servers {
		files = append(files, server.Files()...)
	}
	for _, clients := range []map[string]*certs.Client{s.clients, s.keys} {
		for _, client := range clients {
			files = append(files, client.Files()...)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// watchCertificates watches the files that the configuration in force names. e.changing is held.
func (e *Engine) watchCertificates() {
	var files []string
	if e.Config().Reload.Watch {
		files = e.current().snapshot.secured.files()
	}
	e.follow(&e.certificates, files, "certificates", e.refreshCertificates)
}

// refreshCertificates reads the files of certificates anew. What is wrong with one leaves what it had before in force. No
// connection is touched.
func (e *Engine) refreshCertificates() {
	e.changing.Lock()
	defer e.changing.Unlock()
	if e.stage != stageServing {
		return
	}
	s := &e.current().snapshot.secured
	for _, name := range slices.Sorted(maps.Keys(s.servers)) {
		e.refreshed("entrypoint", name, s.servers[name].Refresh)
	}
	for _, name := range slices.Sorted(maps.Keys(s.clients)) {
		if e.refreshed("service", name, s.clients[name].Refresh) {
			e.names.secure(name, s.clients[name].Config())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.keys)) {
		e.refreshed("middleware", name, s.keys[name].Refresh)
	}
	e.current().snapshot.secureKeys()
}

// refreshed reads the files of one entry point or service anew, and logs and counts what came of it.
func (e *Engine) refreshed(kind, name string, refresh func() (bool, []certs.Fault)) (changed bool) {
	changed, faults := refresh()
	for _, f := range faults {
		e.logger.Error("a certificate was not loaded, the one before stays in force", kind, name, "key", f.Key, "error", f.Err)
	}
	if changed {
		e.logger.Info("certificates loaded", kind, name)
	}
	if changed || len(faults) > 0 {
		e.registry.CertificatesReloaded(len(faults) == 0)
	}
	return changed
}
