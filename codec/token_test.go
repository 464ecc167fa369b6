package codec

import (
	"strings"
	"testing"
)

func TestClasses(t *testing.T) {
	for c := range 256 {
		letter := 'a' <= Lower(byte(c)) && Lower(byte(c)) <= 'z'
		digit := '0' <= c && c <= '9'
		want := map[uint8]bool{
			ClassToken:  letter || digit || c < 0x80 && strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)),
			ClassValue:  c >= 0x20 && c != 0x7f || c == '\t',
			ClassTarget: c > 0x20 && c < 0x7f,
			ClassHost:   letter || digit || c < 0x80 && strings.ContainsRune("-._~%!$&'()*+;=:[]", rune(c)),
			ClassDigit:  digit,
			ClassHex:    digit || 'a' <= Lower(byte(c)) && Lower(byte(c)) <= 'f',
		}
		for class, in := range want {
			if got := Classes[c]&class != 0; got != in {
				t.Errorf("byte %#x, class %#x: got %v", c, class, got)
			}
		}
	}
}

func TestEqualFold(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"", "", true}, {"Host", "hOST", true}, {"host", "hosts", false}, {"a-b", "a\rb", false}, {"[", "{", false},
		{"@", "`", false}, {"\xc3", "\xe3", false},
	} {
		if got := EqualFold([]byte(c.a), c.b); got != c.want {
			t.Errorf("%q %q: got %v", c.a, c.b, got)
		}
	}
}

func TestNextElement(t *testing.T) {
	for list, want := range map[string]string{
		"": "[]", "a": "[a]", " a , b\t": "[a][b]", "a,": "[a][]", ",a": "[][a]", " ,, ": "[][][]", "a b": "[a b]",
	} {
		got := ""
		for rest := []byte(list); rest != nil; {
			var element []byte
			element, rest = NextElement(rest)
			got += "[" + string(element) + "]"
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", list, got, want)
		}
	}
}

func TestIsToken(t *testing.T) {
	for s, want := range map[string]bool{"": false, "a": true, "x-Y_9": true, "a b": false, "a:": false, "é": false} {
		if got := IsToken([]byte(s)); got != want {
			t.Errorf("%q: got %v", s, got)
		}
	}
}
