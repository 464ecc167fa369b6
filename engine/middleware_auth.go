package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"traffic_management/config"
	"traffic_management/engine/exchange"
	"traffic_management/mw"
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
		o.Keys = b.fetched(c.JWKSURL)
	}
	if err != nil {
		return nil, at(b.config, key, err)
	}
	return mw.NewJWT(o), nil
}

// fetched are the keys at a URL: those that are there already when the configuration before has them, too.
func (b *builder) fetched(url string) *mw.Keys {
	k := b.keys[url]
	if k == nil {
		k = b.known.keys[url]
	}
	if k == nil {
		k = mw.FetchedKeys(url)
	}
	b.keys[url] = k
	return k
}
