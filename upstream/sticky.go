package upstream

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"

	"traffic_management/codec"
)

// Sticky makes clients stick to servers by a cookie. Immutable.
type Sticky struct {
	Name       string // of the cookie
	Attributes string // what follows the value, from "; " on
	Key        []byte // what the values are made with, so that they tell nothing and nobody can make them
}

// cookies are the cookies of a service's targets; immutable.
type cookies struct {
	name    string
	targets map[string]*Target // by cookie value
	set     map[*Target][]byte // values of Set-Cookie
}

// cookieBytes is how much of a digest a cookie holds, in bytes.
const cookieBytes = 16

func newCookies(s *Sticky, service string, targets []*Target) *cookies {
	c := &cookies{name: s.Name, targets: map[string]*Target{}, set: map[*Target][]byte{}}
	for _, t := range targets {
		digest := hmac.New(sha256.New, s.Key)
		digest.Write([]byte(service))
		digest.Write([]byte{0}) // in no name
		digest.Write([]byte(t.ID))
		value := hex.EncodeToString(digest.Sum(nil)[:cookieBytes])
		c.targets[value] = t
		c.set[t] = []byte(s.Name + "=" + value + s.Attributes)
	}
	return c
}

// Stuck is the target that the request's sticky cookie names: nil when there is no such cookie, the target left, or
// cannot even be used for clients that stick to it. Any goroutine.
func (s *Service) Stuck(h *codec.Head) *Target {
	c := s.setup.Load().sticky
	if c == nil {
		return nil
	}
	value, ok := cookie(h, c.name)
	if !ok {
		return nil
	}
	t := c.targets[string(value)]
	if t == nil || !t.takesSticky() {
		return nil
	}
	return t
}

// Cookie is the whole value of the Set-Cookie field that makes a client stick to a target; nil when clients do not, or
// the target left. It is not to be changed. Any goroutine.
func (s *Service) Cookie(t *Target) []byte {
	if c := s.setup.Load().sticky; c != nil {
		return c.set[t]
	}
	return nil
}

// cookie is the value of the first cookie of this name in a request (RFC 6265 section 5.4), without its quotes.
func cookie(h *codec.Head, name string) ([]byte, bool) {
	for i := range h.Fields {
		if h.Fields[i].ID != codec.FieldCookie {
			continue
		}
		for rest := h.Fields[i].Value; len(rest) > 0; {
			var one []byte
			one, rest, _ = bytes.Cut(rest, semicolon)
			key, value, ok := bytes.Cut(codec.TrimOWS(one), equals)
			if ok && string(key) == name {
				return unquote(value), true
			}
		}
	}
	return nil, false
}

var (
	semicolon = []byte(";")
	equals    = []byte("=")
)

func unquote(b []byte) []byte {
	if len(b) >= 2 && b[0] == '"' && b[len(b)-1] == '"' {
		return b[1 : len(b)-1]
	}
	return b
}
