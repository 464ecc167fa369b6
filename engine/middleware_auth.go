package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"traffic_management/config"
	"traffic_management/engine/exchange"
	"traffic_management/mw"
	"traffic_management/telemetry"
)

func (b *builder) basicAuth(name string, m *config.Middleware) (exchange.Filter, error) {
	c := m.BasicAuth
	o := mw.BasicAuthOptions{UsersFile: c.UsersFile, Realm: c.Realm, RemoveHeader: c.RemoveHeader, Passwords: b.known.passwords}
	for _, line := range c.Users {
		o.Users = append(o.Users, string(line))
	}
	f, err := mw.NewBasicAuth(o)
	if err == nil {
		return f, nil
	}
	key := "middlewares." + name + ".basic_auth"
	var user *mw.UserError
	switch {
	case errors.As(err, &user):
		return nil, at(b.config, fmt.Sprintf("%s.users[%d]", key, user.Index), user.Err)
	default:
		return nil, at(b.config, key+".users_file", err)
	}
}

func (b *builder) jwt(name string, m *config.Middleware) (exchange.Filter, error) {
	c := m.JWT
	key := "middlewares." + name + ".jwt"
	o := mw.JWTOptions{Issuer: c.Issuer, Audience: c.Audience}
	for _, claim := range slices.Sorted(maps.Keys(c.ClaimsToHeaders)) {
		o.Fields = append(o.Fields, mw.ClaimField{Claim: claim, Name: c.ClaimsToHeaders[claim]})
	}
	var err error
	switch {
	case c.Secret != "":
		key += ".secret"
		o.Keys, err = mw.SecretKeys(string(c.Secret))
	case c.JWKSFile != "":
		key += ".jwks_file"
		o.Keys, err = mw.FileKeys(c.JWKSFile)
	default:
		o.Keys = b.fetched(c)
		b.fetch[name] = o.Keys
	}
	if err != nil {
		return nil, at(b.config, key, err)
	}
	return mw.NewJWT(o), nil
}

// keyOrigin is where keys come from, and how the connection is secured: with the same they are the same.
type keyOrigin struct {
	url string
	tls config.ServiceTLS
}

// fetched are the keys from a URL: those that are there already when the configuration before has them, too.
func (b *builder) fetched(c *config.JWT) *mw.Keys {
	origin := keyOrigin{url: c.JWKSURL}
	if c.TLS != nil {
		origin.tls = *c.TLS
	}
	k := b.keys[origin]
	if k == nil {
		k = b.known.keys[origin]
	}
	if k == nil {
		k = mw.FetchedKeys(origin.url)
	}
	b.keys[origin] = k
	return k
}

// secureKeys has keys fetched over connections that are secured as the files say now.
func (s *snapshot) secureKeys() {
	for name, client := range s.secured.keys {
		if k := s.fetched[name]; k != nil {
			k.Secure(client.Config())
		}
	}
}

// Keys is the telemetry.Source's.
func (s source) Keys(yield func(telemetry.KeysSample)) {
	state := s.current()
	if state == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(state.snapshot.fetched)) {
		k := state.snapshot.fetched[name]
		yield(telemetry.KeysSample{Middleware: name, Fetched: k.Fetched(), Failed: k.Failed(), Last: k.LastFetched()})
	}
}
