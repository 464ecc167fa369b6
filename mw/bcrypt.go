package mw

import (
	"encoding/base64"
	"runtime"

	//lint:ignore SA1019 bcrypt, which is not deprecated, is made of it
	"golang.org/x/crypto/blowfish"
)

// bcryptText is what is encrypted with the key that a password comes to.
const bcryptText = "OrpheanBeholderScryDoubt"

// bcryptSum is how many bytes of the result a hash has: all but the last, as it was from the first implementation on.
const bcryptSum = len(bcryptText) - 1

// Where a hash has its parts: "$2b$10$", salt, sum.
const (
	bcryptSalt   = 7
	bcryptDigits = bcryptSalt + 22
)

// bcryptRounds is how many rounds take about 200 us. Between so many others have the processor: the runtime would take it
// away after 10 ms only, and a loop that woke meanwhile would wait for that.
const bcryptRounds = 4

var bcryptEncoding = base64.NewEncoding(cryptAlphabet[:2] + cryptAlphabet[12:] + cryptAlphabet[2:12]).
	WithPadding(base64.NoPadding)

// bcryptMatches reports whether a password is the one of a hash, which was checked, of a cost (Provos and Mazieres, "A
// Future-Adaptable Password Scheme", 1999). It is golang.org/x/crypto/bcrypt's comparison, but for the pauses.
func bcryptMatches(hash string, cost int, password string) bool {
	salt, err := bcryptEncoding.DecodeString(hash[bcryptSalt:bcryptDigits])
	if err != nil {
		return false
	}
	key := append([]byte(password), 0)
	c, err := blowfish.NewSaltedCipher(key, salt)
	if err != nil {
		return false
	}
	for i := range 1 << cost {
		blowfish.ExpandKey(key, c)
		blowfish.ExpandKey(salt, c)
		if i%bcryptRounds == 0 {
			runtime.Gosched()
		}
	}
	sum := []byte(bcryptText)
	for at := 0; at < len(sum); at += blowfish.BlockSize {
		for range 64 {
			c.Encrypt(sum[at:], sum[at:])
		}
	}
	return same(hash[bcryptDigits:], bcryptEncoding.EncodeToString(sum[:bcryptSum]))
}
