package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
)

// maxKeys is the most keys that a set has.
const maxKeys = 100

// keySet is a JSON Web Key Set of n public keys on P-256 (RFC 7517, RFC 7518 section 6.2.1), whose names are key-0 and so on.
// Nobody has the private ones.
func keySet(n int) []byte {
	b := []byte(`{"keys":[`)
	for i := range n {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err) // the system has no random numbers
		}
		point, err := key.PublicKey.Bytes() // 4, x and y
		if err != nil {
			panic(err) // a key just made is none
		}
		if i > 0 {
			b = append(b, ',')
		}
		half := len(point) / 2
		b = fmt.Appendf(b, `{"kty":"EC","crv":"P-256","use":"sig","kid":"key-%d","x":"%s","y":"%s"}`, i,
			base64.RawURLEncoding.EncodeToString(point[1:half+1]), base64.RawURLEncoding.EncodeToString(point[half+1:]))
	}
	return append(b, "]}"...)
}
