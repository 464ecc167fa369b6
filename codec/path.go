package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// ErrTarget says that a request target holds a "%" without two hexadecimal digits, or an encoded NUL. It is shared.
var ErrTarget = &Error{Side: Client, Kind: KindSyntax, Status: 400,
	Cause: errors.New(`request target: expected two hexadecimal digits, not "00", after each "%"`)}

// NormalizePath gives an escaped path the one spelling that is routed, rewritten and forwarded: unreserved "%XX" are
// decoded and the hex of the others is in upper case (RFC 3986 section 6.2.2), "." and ".." are resolved, encoded or
// not, and never lead above the root, "//" become one, a trailing "/" stays. A leading "/" is added where there is none,
// but for the empty path and "*". It is idempotent.
//
// out is path itself when nothing has to change, else it is appended to dst, which must not overlap path. The error
// is ErrTarget.
func NormalizePath(dst, path []byte) (out []byte, err error) {
	normal, err := isNormal(path)
	if err != nil || normal {
		return path, err
	}
	start := len(dst)
	if path[0] != '/' {
		dst = append(dst, '/')
	}
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c != '%' {
			dst = append(dst, c)
			continue
		}
		v, ok := unhex(path[i:])
		if !ok || v == 0 {
			return path, ErrTarget
		}
		if unreserved(v) {
			dst = append(dst, v)
		} else {
			dst = append(dst, '%', upperHex[v>>4], upperHex[v&15])
		}
		i += 2
	}
	return dst[:start+resolveDots(dst[start:])], nil
}

// isNormal reports whether NormalizePath has nothing to change, or the error that it finds before the first change.
func isNormal(path []byte) (bool, error) {
	if len(path) == 0 || len(path) == 1 && path[0] == '*' {
		return true, nil
	}
	if path[0] != '/' {
		return false, nil
	}
	if isPlain(path) {
		return true, nil
	}
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '/':
			if s := path[i+1:]; len(s) > 0 && (s[0] == '/' || s[0] == '.' && dots(s) > 0) {
				return false, nil
			}
		case '%':
			v, ok := unhex(path[i:])
			if !ok || v == 0 {
				return false, ErrTarget
			}
			if unreserved(v) || path[i+1] != upperHex[v>>4] || path[i+2] != upperHex[v&15] {
				return false, nil
			}
			i += 2
		}
	}
	return true, nil
}

// isPlain reports whether path, which begins with "/", surely has no "%" and no "/" before "/" or ".". It looks at eight
// pairs of bytes at a time, so a short path, and seldom another one, is left to the caller.
func isPlain(path []byte) bool {
	last := len(path) - 9
	if last < 0 {
		return false
	}
	for i := 0; ; i = min(i+8, last) {
		slashes := matches(binary.LittleEndian.Uint64(path[i:]), '/')
		next := binary.LittleEndian.Uint64(path[i+1:])
		if slashes&(matches(next, '/')|matches(next, '.'))|matches(next, '%') != 0 {
			return false
		}
		if i == last {
			return true
		}
	}
}

// matches sets the high bit of every byte of w that is c, and seldom that of one above such a byte.
func matches(w uint64, c byte) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	w ^= ones * uint64(c)
	return (w - ones) &^ w & highs
}

// dots is how many dots the segment at the start of s is, 1 or 2, or 0 when it is anything else.
func dots(s []byte) int {
	n := 0
	for n < len(s) && n < 2 && s[n] == '.' {
		n++
	}
	if n < len(s) && s[n] != '/' {
		return 0
	}
	return n
}

// resolveDots resolves dot segments and merges slashes of p, which begins with "/", in place, and returns what is left
// of its length.
func resolveDots(p []byte) int {
	trailing := p[len(p)-1] == '/'
	w := 0 // p[:w] is resolved: empty, or "/" and a segment, repeated
	for r := 0; r < len(p); {
		if p[r] == '/' {
			r++
			continue
		}
		end := len(p)
		if n := bytes.IndexByte(p[r:], '/'); n >= 0 {
			end = r + n
		}
		switch dots(p[r:end]) {
		case 1:
		case 2:
			w = max(0, bytes.LastIndexByte(p[:w], '/'))
		default:
			p[w] = '/'
			w += 1 + copy(p[w+1:], p[r:end])
		}
		r = end
	}
	if w == 0 || trailing {
		p[w] = '/'
		w++
	}
	return w
}

// RoutingPath decodes every "%XX" of a normalised path but those of reserved characters, so that rules are written in
// plain text and yet tell "/a%2Fb" from "/a/b". out is the input itself when it has no "%", else it is appended to
// dst, which must not overlap it.
func RoutingPath(dst, normalized []byte) []byte {
	first := bytes.IndexByte(normalized, '%')
	if first < 0 {
		return normalized
	}
	dst = append(dst, normalized[:first]...)
	for i := first; i < len(normalized); i++ {
		c := normalized[i]
		if c == '%' {
			if v, ok := unhex(normalized[i:]); ok && !staysEncoded[v] {
				c = v
				i += 2
			}
		}
		dst = append(dst, c)
	}
	return dst
}

// staysEncoded is the set of reserved characters (RFC 3986 section 2.2) and "%".
var staysEncoded = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'()*+,/:;=?@[]") {
		t[c] = true
	}
	return t
}()

const upperHex = "0123456789ABCDEF"

// unhex is the byte that the "%XX" at the start of s stands for.
func unhex(s []byte) (v byte, ok bool) {
	if len(s) < 3 || Classes[s[1]]&Classes[s[2]]&ClassHex == 0 {
		return 0, false
	}
	return HexValue(s[1])<<4 | HexValue(s[2]), true
}

// unreserved reports whether c means the same encoded and not (RFC 3986 section 2.3).
func unreserved(c byte) bool {
	l := Lower(c)
	return 'a' <= l && l <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}
