package telemetry

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf8"
	"unsafe"
)

// plainJSON tells which bytes may stand in a JSON string as they are, each on its own (RFC 8259 section 7).
var plainJSON = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// maxEscape is the most bytes that one byte of text becomes in a JSON string.
const maxEscape = len(`\u0000`)

// appendJSONText appends s as the inside of a JSON string: quotes, backslashes and control characters escaped, every
// byte that is not UTF-8 replaced by U+FFFD. It appends at most maxEscape bytes for each of s.
//
// What is plain, in most values all of it, is copied eight bytes at a time and looked at on the way. One body without
// calls, since most values are so short that calls would cost more than the bytes.
func appendJSONText(dst []byte, s string) []byte {
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	start := len(dst)
	if cap(dst)-start < len(b) {
		dst = slices.Grow(dst, len(b))
	}
	to := dst[start : start+len(b)]
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		binary.LittleEndian.PutUint64(to[i:], w)
		if marks := notPlain(w); marks != 0 {
			i += bits.TrailingZeros64(marks) / 8
			return appendEscaped(dst[:start+i], s[i:])
		}
	}
	for ; i < len(b); i++ {
		if !plainJSON[b[i]] {
			return appendEscaped(dst[:start+i], s[i:])
		}
		to[i] = b[i]
	}
	return dst[:start+len(b)]
}

// appendEscaped is appendJSONText for what is not all plain.
func appendEscaped(dst []byte, s string) []byte {
	from := 0 // what is before was appended
	for i := 0; i < len(s); {
		c := s[i]
		if plainJSON[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = append(dst, s[from:i]...)
		dst = appendEscape(dst, c)
		i++
		from = i
	}
	return append(dst, s[from:]...)
}

// notPlain sets the highest bit of every byte of w that is not plain. It may set that of bytes above such a one too,
// since a subtraction borrows from above, but the lowest mark is always true.
func notPlain(w uint64) uint64 {
	const each = 0x0101010101010101
	control := w - each*0x20
	quote := w ^ each*'"' - each
	backslash := w ^ each*'\\' - each
	return (w | control | quote | backslash) & (each * 0x80)
}

// appendEscape appends the escape of a byte that may not stand as it is.
func appendEscape(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	if c >= utf8.RuneSelf {
		return append(dst, `\ufffd`...)
	}
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
