package main

import (
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func TestKeySet(t *testing.T) {
	for target, want := range map[string]int{"/keys/3?set=1": 3, "/keys/0": 0, "/keys/1k": maxKeys, "/keys/x": -1} {
		r := parseTarget([]byte(target))
		if r != (resource{asKeys, want}) {
			t.Errorf("%s: %+v", target, r)
		}
		if want < 0 {
			continue
		}
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(keySet(r.size), &set); err != nil || len(set.Keys) != want {
			t.Fatalf("%s: %d keys, %v", target, len(set.Keys), err)
		}
		for i, k := range set.Keys {
			if _, ok := k.Key.(*ecdsa.PublicKey); !ok || !k.Valid() || k.KeyID != fmt.Sprintf("key-%d", i) || k.Use != "sig" {
				t.Errorf("key %d: %+v", i, k)
			}
		}
	}
}
