package codec

// Class bits of a byte, for Classes.
const (
	ClassToken  uint8 = 1 << iota // tchar, RFC 9110 section 5.6.2
	ClassValue                    // field value: VCHAR, obs-text, SP, HTAB (RFC 9110 section 5.5)
	ClassTarget                   // request target: any visible ASCII byte
	ClassHost                     // authority: reg-name, IP literal and port, without userinfo (RFC 3986 section 3.2)
	ClassDigit
	ClassHex
)

// Classes holds the class bits of every byte.
var Classes = func() (t [256]uint8) {
	set := func(s string, bits uint8) {
		for i := range len(s) {
			t[s[i]] |= bits
		}
	}
	const (
		digits = "0123456789"
		alpha  = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	)
	set(digits, ClassToken|ClassHost|ClassDigit|ClassHex)
	set(alpha, ClassToken|ClassHost)
	set("abcdefABCDEF", ClassHex)
	set("!#$%&'*+-.^_`|~", ClassToken)
	set("-._~%!$&'()*+;=:[]", ClassHost)
	for c := 0x21; c <= 0x7e; c++ {
		t[c] |= ClassValue | ClassTarget
	}
	for c := 0x80; c <= 0xff; c++ {
		t[c] |= ClassValue
	}
	t[' '] |= ClassValue
	t['\t'] |= ClassValue
	return t
}()

// IsToken reports whether b is a token (RFC 9110 section 5.6.2): not empty, tchars only.
func IsToken(b []byte) bool { return len(b) > 0 && All(b, ClassToken) }

// All reports whether every byte of b has one of the class bits.
func All(b []byte, class uint8) bool {
	for _, c := range b {
		if Classes[c]&class == 0 {
			return false
		}
	}
	return true
}

// Lower is c in lower case when it is an ASCII letter, else c.
func Lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// HexValue is the value of a hexadecimal digit, a byte of ClassHex.
func HexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return Lower(c) - 'a' + 10
}

// EqualFold reports whether b and s are the same but for the case of ASCII letters.
func EqualFold[S string | []byte](b []byte, s S) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if c != s[i] && Lower(c) != Lower(s[i]) {
			return false
		}
	}
	return true
}

// TrimOWS returns b without optional white space at either end (RFC 9110 section 5.6.3).
func TrimOWS(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// NextElement splits the first element off a comma-separated list (RFC 9110 section 5.6.1): the element without white
// space, possibly empty, and the rest; rest is nil after the last one.
func NextElement(list []byte) (element, rest []byte) {
	for i, c := range list {
		if c == ',' {
			return TrimOWS(list[:i]), list[i+1:]
		}
	}
	return TrimOWS(list), nil
}
