package mw

import (
	"crypto"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func TestSecretTooShort(t *testing.T) {
	if _, err := SecretKeys(strings.Repeat("s", 31)); err == nil {
		t.Error("31 bytes are enough")
	}
	keys, err := SecretKeys(strings.Repeat("s", 32))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(keys.set.Load().algorithms); got != "[HS256]" {
		t.Errorf("a secret of 32 bytes is for %s", got)
	}
}

func TestKeySets(t *testing.T) {
	i := issuing()
	one := func(k jose.JSONWebKey) string {
		text, err := k.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	good := one(jose.JSONWebKey{KeyID: "a", Key: i.p256.Public()})
	for _, c := range []struct{ name, text, want string }{
		{"one", `{"keys":[` + good + `]}`, ""},
		{"among what is unknown", `{"keys":[{"kty":"X"},` + good + `,{"kty":"OKP","crv":"X25519","x":"AA"},7]}`, ""},
		{"private", `{"keys":[` + one(jose.JSONWebKey{Key: i.p256}) + `]}`, ""},
		{"none", `{"keys":[]}`, "no key that can be used: there is none"},
		{"no list", `{}`, "no key that can be used: there is none"},
		{"HTML", `<html>`, "not a set of keys (JWKS): invalid character '<' looking for beginning of value"},
		{"a secret", `{"keys":[` + one(jose.JSONWebKey{KeyID: "s", Key: []byte("0123456789abcdef0123456789abcdef")}) + `]}`,
			`no key that can be used: the key "s" is of no kind that is supported`},
		{"for encryption", `{"keys":[` + one(jose.JSONWebKey{KeyID: "e", Key: i.rsa.Public(), Use: "enc"}) + `]}`,
			`no key that can be used: the key "e" is not for signatures`},
		{"with another's algorithm", `{"keys":[` + one(jose.JSONWebKey{KeyID: "e", Key: i.rsa.Public(), Algorithm: "HS256"}) + `]}`,
			`no key that can be used: the key "e" is of no kind that is supported`},
		{"too many", `{"keys":[` + strings.Repeat(good+",", maxKeys) + good + `]}`, "more than 100 keys"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := parseKeySet([]byte(c.text))
			if errorText(err) != c.want || (err == nil) != (s != nil && len(s.keys) == 1) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			for _, k := range s.keysOrNone() {
				if _, private := k.key.(crypto.Signer); private {
					t.Error("a private key is kept")
				}
			}
		})
	}
}

func (s *keySet) keysOrNone() []verifyKey {
	if s == nil {
		return nil
	}
	return s.keys
}

func TestKeysFile(t *testing.T) {
	i := issuing()
	file := filepath.Join(t.TempDir(), "keys.json")
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := FileKeys(file); !os.IsNotExist(err) {
		t.Errorf("without a file: %v", err)
	}
	write([]byte(`{"keys":[]}`))
	if _, err := FileKeys(file); errorText(err) != file+": no key that can be used: there is none" {
		t.Errorf("with an empty one: %v", err)
	}
	write(i.set(t))
	k, err := FileKeys(file)
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := k.Refresh(); changed || err != nil {
		t.Errorf("the same again: %v, %v", changed, err)
	}
	before := k.set.Load()
	write([]byte(`{`))
	if changed, err := k.Refresh(); changed || err == nil || k.set.Load() != before {
		t.Errorf("garbage: %v, %v", changed, err)
	}
	write(i.set(t, jose.JSONWebKey{KeyID: "new", Key: i.other.Public()}))
	if changed, err := k.Refresh(); !changed || err != nil || len(k.set.Load().keys) != 6 {
		t.Errorf("others: %v, %v", changed, err)
	}
}
