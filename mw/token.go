package mw

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"traffic_management/codec"
)

const (
	// clockSkew is how far the clocks of those who make tokens may be from ours.
	clockSkew = time.Minute
	// tokenTime is how long a token that was found good need not be verified again.
	tokenTime = 5 * time.Minute
)

// tokenFault is what is wrong with a token.
type tokenFault uint8

// Faults.
const (
	tokenGood      tokenFault = iota
	tokenMalformed            // it cannot be read, or names an algorithm that is never accepted
	tokenKey                  // there is no key of this name, or none that its algorithm goes with
	tokenSignature
	tokenExpired
	tokenEarly
	tokenIssuer
	tokenAudience
	tokenFaults // how many there are
)

func (f tokenFault) String() string {
	return [...]string{"the token is good", "the token is malformed", "the token names no key that is accepted",
		"the signature of the token is not valid", "the token has expired", "the token is not valid yet",
		"the token is from another issuer", "the token is for another audience"}[f]
}

// ClaimField is a field of requests that tells the server of a claim.
type ClaimField struct {
	Claim string
	Name  string // of the field, a token
}

// verified is what a good token says.
type verified struct {
	set    *keySet       // that it was verified with
	good   time.Duration // how long it stays so
	fields []codec.Field // one for each ClaimField, without a value where there is no claim that can be one
}

// tokenRules are what tokens must be like; immutable.
type tokenRules struct {
	issuer   string // empty: any
	audience string // empty: any
	fields   []ClaimField
}

// verify checks a token with the keys of a set. It takes as long as a signature: not on a loop. name is the name of the key
// that the token asks for.
func (r *tokenRules) verify(token string, set *keySet, now time.Time) (v *verified, name string, fault tokenFault) {
	parsed, err := jwt.ParseSigned(token, set.algorithms)
	if err != nil || len(parsed.Headers) != 1 {
		return nil, "", tokenMalformed
	}
	h := parsed.Headers[0]
	if _, critical := h.ExtraHeaders["crit"]; critical { // an extension that must be understood (RFC 7515 section 4.1.11)
		return nil, "", tokenMalformed
	}
	keys := set.find(h.KeyID, jose.SignatureAlgorithm(h.Algorithm))
	if len(keys) == 0 {
		return nil, h.KeyID, tokenKey
	}
	for _, key := range keys {
		var c jwt.Claims
		var all map[string]json.RawMessage
		switch err := parsed.Claims(key, &c, &all); {
		case errors.Is(err, jose.ErrCryptoFailure):
			continue
		case err != nil || all == nil:
			return nil, h.KeyID, tokenMalformed
		}
		if fault = r.validate(&c, now); fault != tokenGood {
			return nil, h.KeyID, fault
		}
		return r.note(set, &c, all, now), h.KeyID, tokenGood
	}
	return nil, h.KeyID, tokenSignature
}

// validate checks the claims of a token whose signature is valid (RFC 7519 section 4.1).
func (r *tokenRules) validate(c *jwt.Claims, now time.Time) tokenFault {
	expected := jwt.Expected{Issuer: r.issuer, Time: now}
	if r.audience != "" {
		expected.AnyAudience = jwt.Audience{r.audience}
	}
	switch c.ValidateWithLeeway(expected, clockSkew) {
	case nil:
		return tokenGood
	case jwt.ErrExpired:
		return tokenExpired
	case jwt.ErrNotValidYet, jwt.ErrIssuedInTheFuture:
		return tokenEarly
	case jwt.ErrInvalidIssuer:
		return tokenIssuer
	case jwt.ErrInvalidAudience:
		return tokenAudience
	}
	return tokenMalformed
}

// note is what is kept of a good token.
func (r *tokenRules) note(set *keySet, c *jwt.Claims, all map[string]json.RawMessage, now time.Time) *verified {
	v := &verified{set: set, good: tokenTime}
	if c.Expiry != nil {
		v.good = min(v.good, c.Expiry.Time().Add(clockSkew).Sub(now))
	}
	for _, f := range r.fields {
		v.fields = append(v.fields, codec.Field{Name: []byte(f.Name), ID: codec.LookupFieldID([]byte(f.Name)),
			Value: claimValue(all[f.Claim])})
	}
	return v
}

// claimValue is a claim as the value of a field: a text, a number, true or false, or a list of them with commas between. nil
// when it is something else, or has what would make it mean something else in a field.
func claimValue(text json.RawMessage) []byte {
	if text == nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // so that digits stay as they are
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		return single(v)
	}
	var values [][]byte
	for _, one := range list {
		value := single(one)
		if value == nil || bytes.IndexByte(value, ',') >= 0 {
			return nil
		}
		values = append(values, value)
	}
	if values == nil {
		return nil
	}
	return bytes.Join(values, []byte(","))
}

func single(v any) []byte {
	var text string
	switch v := v.(type) {
	case string:
		text = v
	case json.Number:
		text = v.String()
	case bool:
		text = "false"
		if v {
			text = "true"
		}
	}
	if text == "" || text != strings.Trim(text, " \t") || !codec.All([]byte(text), codec.ClassValue) {
		return nil
	}
	return []byte(text)
}
