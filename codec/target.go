package codec

import "bytes"

// SplitTarget parts path and query of a target in origin form, or of what follows the authority of an absolute one, and
// reports whether the path's "%XX" are valid (ValidPercents). query is nil when there is no "?".
func SplitTarget(t []byte) (path, query []byte, ok bool) {
	if i := bytes.IndexByte(t, '?'); i >= 0 {
		query = t[i+1:]
		t = t[:i:i]
	}
	return t, query, ValidPercents(t)
}

// ValidPercents reports whether two hexadecimal digits that are not "00" follow each "%" of b.
func ValidPercents(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '%')
		if i < 0 {
			return true
		}
		b = b[i+1:]
		if len(b) < 2 || Classes[b[0]]&Classes[b[1]]&ClassHex == 0 || b[0] == '0' && b[1] == '0' {
			return false
		}
		b = b[2:]
	}
}

// AppendOriginForm appends path and query as the origin form of a request target (RFC 9112 section 3.2.1). Whatever a
// rewrite left is not taken for another form: "/" is put before a path that does not begin with it, "?" in a path and
// bytes that a target cannot hold are percent-encoded. No query is a nil one.
func AppendOriginForm(dst, path, query []byte) []byte {
	if len(path) == 0 || path[0] != '/' {
		dst = append(dst, '/')
	}
	for {
		mark := bytes.IndexByte(path, '?')
		if mark < 0 {
			break
		}
		dst = append(appendVisible(dst, path[:mark]), "%3F"...)
		path = path[mark+1:]
	}
	dst = appendVisible(dst, path)
	if query != nil {
		dst = append(dst, '?')
		dst = appendVisible(dst, query)
	}
	return dst
}

// appendVisible appends b, percent-encoding the bytes that a target cannot hold.
func appendVisible(dst, b []byte) []byte {
	for {
		i := NextNotTarget(b, 0)
		dst = append(dst, b[:i]...)
		if i == len(b) {
			return dst
		}
		dst = append(dst, '%', upperHex[b[i]>>4], upperHex[b[i]&15])
		b = b[i+1:]
	}
}
