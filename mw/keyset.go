package mw

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

const (
	// maxKeySet bounds a set of keys, in bytes.
	maxKeySet = 256 << 10
	// maxKeys bounds their number.
	maxKeys = 100
	// triedKeys is with how many keys a token is tried that does not say which one it was signed with.
	triedKeys = 4
	// The sizes of keys of RSA: less is not safe (RFC 7518 section 3.3), more takes too long.
	minRSA, maxRSA = 2048, 8192
)

// keySet is the keys that tokens may be signed with; immutable.
type keySet struct {
	keys       []verifyKey
	algorithms []jose.SignatureAlgorithm // that tokens may name; which one a key can be used with is another matter
	sum        digest                    // of what it was read from
}

// verifyKey is one of them. What it can be used for follows from what it is, whatever a token says: one that is public
// never becomes a shared secret.
type verifyKey struct {
	id         string // empty: it has none
	key        any
	algorithms []jose.SignatureAlgorithm
}

// publicAlgorithms are those of public keys.
var publicAlgorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}

// secretSet is the set of one shared secret. Each algorithm wants one as long as its hash (RFC 7518 section 3.2).
func secretSet(secret []byte) (*keySet, error) {
	k := verifyKey{key: secret}
	for _, a := range []struct {
		size int
		name jose.SignatureAlgorithm
	}{{32, jose.HS256}, {48, jose.HS384}, {64, jose.HS512}} {
		if len(secret) >= a.size {
			k.algorithms = append(k.algorithms, a.name)
		}
	}
	if k.algorithms == nil {
		return nil, errors.New("a secret of less than 32 bytes can be guessed")
	}
	return &keySet{keys: []verifyKey{k}, algorithms: k.algorithms}, nil
}

// parseKeySet reads a JSON Web Key Set (RFC 7517 section 5). Keys that cannot be used are left out; without any that can
// it is an error, which says why of the first.
func parseKeySet(text []byte) (*keySet, error) {
	var list struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("not a set of keys (JWKS): %w", err)
	}
	if len(list.Keys) > maxKeys {
		return nil, fmt.Errorf("more than %d keys", maxKeys)
	}
	s := &keySet{algorithms: publicAlgorithms, sum: sha256.Sum256(text)}
	why := errors.New("there is none")
	for i, one := range list.Keys {
		runtime.Gosched() // a loop may want the core
		k, err := parseKey(one)
		if err != nil {
			if len(s.keys) == 0 && i == 0 {
				why = err
			}
			continue
		}
		s.keys = append(s.keys, k)
	}
	if len(s.keys) == 0 {
		return nil, fmt.Errorf("no key that can be used: %w", why)
	}
	return s, nil
}

func parseKey(text []byte) (verifyKey, error) {
	var k jose.JSONWebKey
	if err := k.UnmarshalJSON(text); err != nil {
		return verifyKey{}, err
	}
	if k.Use != "" && k.Use != "sig" {
		return verifyKey{}, fmt.Errorf("the key %q is not for signatures", k.KeyID)
	}
	public := k.Public()
	algorithms := algorithmsOf(public.Key)
	if k.Algorithm != "" {
		named := jose.SignatureAlgorithm(k.Algorithm)
		algorithms = slices.DeleteFunc(algorithms, func(a jose.SignatureAlgorithm) bool { return a != named })
	}
	if len(algorithms) == 0 {
		return verifyKey{}, fmt.Errorf("the key %q is of no kind that is supported", k.KeyID)
	}
	return verifyKey{k.KeyID, public.Key, algorithms}, nil
}

// algorithmsOf are those a public key can be used with; none for a shared secret, which has no place in a set.
func algorithmsOf(key any) []jose.SignatureAlgorithm {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits >= minRSA && bits <= maxRSA {
			return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}
		}
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return []jose.SignatureAlgorithm{jose.ES256}
		case elliptic.P384():
			return []jose.SignatureAlgorithm{jose.ES384}
		case elliptic.P521():
			return []jose.SignatureAlgorithm{jose.ES512}
		}
	case ed25519.PublicKey:
		return []jose.SignatureAlgorithm{jose.EdDSA}
	}
	return nil
}

// find are the keys that a token may be signed with that says so of itself, a few at most.
func (s *keySet) find(id string, algorithm jose.SignatureAlgorithm) (found []any) {
	for i := range s.keys {
		k := &s.keys[i]
		// A shared secret has no name, so that any will do.
		if _, secret := k.key.([]byte); !secret && id != "" && k.id != id {
			continue
		}
		if slices.Contains(k.algorithms, algorithm) && len(found) < triedKeys {
			found = append(found, k.key)
		}
	}
	return found
}
