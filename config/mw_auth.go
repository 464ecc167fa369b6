package config

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// BasicAuth lets those through who know the password of a user.
type BasicAuth struct {
	Users        []Secret // lines of htpasswd; empty with UsersFile
	UsersFile    string
	Realm        string
	RemoveHeader bool
}

func (b *BasicAuth) keys(o *object) {
	o.key("users", list(&b.Users, 0, secret), "users, each a line as `htpasswd -nB NAME` writes it, `name:hash`; of bcrypt, apr1 or SHA-1")
	o.key("users_file", file(&b.UsersFile), "a file of such lines, in place of `users`; it is read anew when it changes")
	o.key("realm", realm(&b.Realm), "what clients are told that the password is for")
	o.key("remove_header", boolean(&b.RemoveHeader, false), "the server is not shown the `Authorization` field")
}

// realm is a text that browsers show.
func realm(dst *string) value {
	form := shape{kind: kindText, expected: "a text without control characters", pattern: `^[^\x00-\x1f\x7f]+$`, initial: "Restricted"}
	return scalar[string]{dst, "Restricted", form, func(s string) (string, error) {
		if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", errForm
		}
		return s, nil
	}}
}

// check tells of no users, and of users at two places.
func (b *BasicAuth) check(l *loader, path string) {
	l.oneOf(path, map[string]bool{"users": len(b.Users) > 0, "users_file": b.UsersFile != ""})
}

// JWT lets those through who bring a token that a known key has signed.
type JWT struct {
	Secret          Secret // exactly one of the first three is not empty
	JWKSFile        string
	JWKSURL         string
	TLS             *ServiceTLS       // of JWKSURL; nil: as the defaults are
	Issuer          string            // empty: any
	Audience        string            // empty: any
	ClaimsToHeaders map[string]string // names of fields, by claim
}

// minSecret is the least a secret may be long, in bytes: that of the shortest hash (RFC 7518 section 3.2).
const minSecret = 32

func (j *JWT) keys(o *object) {
	o.key("secret", secret(&j.Secret),
		"what signs tokens of HS256, and those of HS384 from 48 bytes on, of HS512 from 64; at least 32 bytes, best from the environment")
	o.key("jwks_file", file(&j.JWKSFile), "a file of public keys, as a JSON Web Key Set; it is read anew when it changes")
	o.key("jwks_url", webURL(&j.JWKSURL), "where such a set is fetched, every five minutes and when a token names a key that is not in it")
	o.key("tls", optional(&j.TLS), "How connections to `jwks_url` are secured, where it is `https://`.")
	o.key("issuer", text(&j.Issuer, "", "a text"), "the `iss` that tokens must have; without it, any or none")
	o.key("audience", text(&j.Audience, "", "a text"), "the `aud` that tokens must have, among others or alone; without it, any or none")
	o.key("claims_to_headers", claimsValue{&j.ClaimsToHeaders},
		"names of request fields by claim: the server is told what the token says there, and never what the client does")
}

// check tells of no keys, of keys at two places, and of a secret that can be guessed.
func (j *JWT) check(l *loader, path string) {
	l.oneOf(path, map[string]bool{"secret": j.Secret != "", "jwks_file": j.JWKSFile != "", "jwks_url": j.JWKSURL != ""})
	if j.TLS != nil {
		l.checkClientTLS(path+".tls", j.TLS, l.refused(path+".jwks_url") || strings.HasPrefix(j.JWKSURL, "https://"), "a jwks_url that is https://")
	}
	if n := len(j.Secret); n > 0 && n < minSecret {
		l.wrong(path+".secret", "expected at least %d bytes, got %d", minSecret, n)
	}
}

// oneOf tells unless exactly one of these keys is given.
func (l *loader) oneOf(path string, given map[string]bool) {
	var names, there []string
	for name, is := range given {
		names = append(names, name)
		if is || l.refused(path+"."+name) {
			there = append(there, name)
		}
	}
	slices.Sort(names)
	slices.Sort(there)
	switch len(there) {
	case 0:
		l.wrong(path, "missing, expected %s", strings.Join(names, " or "))
	case 1:
	default:
		l.wrong(path+"."+there[1], "not together with %s", there[0])
	}
}

// webURL is where something is fetched.
func webURL(dst *string) value {
	form := shape{kind: kindText, expected: "a URL such as https://host/path", pattern: `^https?://[^/?#@\s]+([/?][^#\s]*)?$`}
	return scalar[string]{dst, "", form, func(s string) (string, error) {
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.ContainsAny(s, " #"):
			return "", errForm
		case u.User != nil:
			return "", errors.New("names and passwords have no place in it")
		}
		return s, nil
	}}
}

// claimsValue is a mapping from the names of claims to those of fields.
type claimsValue struct{ dst *map[string]string }

func (c claimsValue) reset() { *c.dst = map[string]string{} }

func (claimsValue) shape() shape {
	return shape{kind: kindFields, expected: "a mapping from claims to names of fields", element: claimField(new(string)), pattern: "."}
}

func (c claimsValue) show() any {
	all := make(map[string]any, len(*c.dst))
	for claim, name := range *c.dst {
		all[claim] = name
	}
	return all
}

func (c claimsValue) load(l *loader, at site, n *yaml.Node) {
	entries, ok := l.entries(at, n)
	if !ok {
		return
	}
	first := map[string]string{} // claim, by the name of its field as servers may read it
	for _, e := range entries {
		claim := e.key.Value
		if claim == "" {
			l.failAt(l.position(e.key), at, "expected the name of a claim, got nothing")
			continue
		}
		var name string
		l.load(claimField(&name), at.name(claim), e)
		folded := strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
		if earlier, twice := first[folded]; twice && name != "" {
			l.failAt(l.position(e.value), at.name(claim), "the same field as of %s", earlier)
			continue
		}
		first[folded] = claim
		(*c.dst)[claim] = name
	}
}

// claimField is the name of a field that tells of a claim.
func claimField(dst *string) value {
	form := shape{kind: kindText, expected: "a field name", pattern: "^" + tokenPattern + "$"}
	return scalar[string]{dst, "", form, func(s string) (string, error) {
		lower := strings.ToLower(s)
		switch {
		case !isToken(s):
			return "", errForm
		case slices.Contains(framing, lower), lower == "host":
			return "", errors.New("the proxy sets this field itself")
		}
		return s, nil
	}}
}
