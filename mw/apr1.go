package mw

import (
	"crypto/md5"
	"runtime"
	"strings"
)

const (
	apr1Prefix = "$apr1$"
	apr1Rounds = 1000
	apr1Pause  = 100 // rounds without a pause: 0.3 ms for the longest password
	// cryptAlphabet are the digits of base 64 as crypt(3) has them, and bcrypt in another order.
	cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// apr1Salt is the salt in a hash of apr1.
func apr1Salt(hash string) string {
	salt, _, _ := strings.Cut(strings.TrimPrefix(hash, apr1Prefix), "$")
	return salt
}

// apr1 is Apache's variant of the MD5 scheme of crypt(3). What goes into each sum, and in which order, has no other
// reason than that it was so first.
func apr1(password, salt string) string {
	inner := md5.Sum([]byte(password + salt + password))
	text := []byte(password + apr1Prefix + salt)
	for left := len(password); left > 0; left -= len(inner) {
		text = append(text, inner[:min(left, len(inner))]...)
	}
	for bits := len(password); bits > 0; bits >>= 1 {
		if bits&1 == 1 {
			text = append(text, 0)
		} else {
			text = append(text, password[0])
		}
	}
	sum := md5.Sum(text)
	for round := range apr1Rounds {
		if round%apr1Pause == 0 {
			runtime.Gosched() // a loop may want the core
		}
		text = text[:0]
		if round%2 == 1 {
			text = append(text, password...)
		} else {
			text = append(text, sum[:]...)
		}
		if round%3 != 0 {
			text = append(text, salt...)
		}
		if round%7 != 0 {
			text = append(text, password...)
		}
		if round%2 == 1 {
			text = append(text, sum[:]...)
		} else {
			text = append(text, password...)
		}
		sum = md5.Sum(text)
	}
	return apr1Prefix + salt + "$" + string(apr1Digits(sum))
}

// apr1Digits writes a sum three bytes at a time, picked from its thirds, the last one alone.
func apr1Digits(sum [md5.Size]byte) (digits []byte) {
	write := func(v uint, n int) {
		for ; n > 0; n-- {
			digits = append(digits, cryptAlphabet[v&63])
			v >>= 6
		}
	}
	for i := range 5 {
		third := i + 12
		if i == 4 {
			third = 5
		}
		write(uint(sum[i])<<16|uint(sum[i+6])<<8|uint(sum[third]), 4)
	}
	write(uint(sum[11]), 2)
	return digits
}
