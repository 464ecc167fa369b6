package codec

import "math"

// ParseLength is the value of a Content-Length: digits only, less than 2^63 (RFC 9110 section 8.6).
func ParseLength(b []byte) (length int64, ok bool) {
	for _, c := range b {
		d := int64(c) - '0'
		if d < 0 || d > 9 || length > (math.MaxInt64-d)/10 {
			return 0, false
		}
		length = length*10 + d
	}
	return length, len(b) > 0
}

// Contentless reports whether a response of this status to a request of this method has no content, whatever its
// fields say.
func Contentless(request Method, status int) bool {
	return request == MethodHead || status < 200 || status == 204 || status == 304 ||
		request == MethodConnect && status < 300
}
