package telemetry

import (
	"encoding/json"
	"strings"
	"testing"
)

// Every byte, at every place of a word and of what follows the last word, with room in the buffer and without.
func TestAppendJSONTextByByte(t *testing.T) {
	for c := range 256 {
		for length := 1; length < 19; length++ {
			for at := range length {
				in := strings.Repeat("\x7f", at) + string([]byte{byte(c)}) + strings.Repeat("~", length-at-1)
				for _, dst := range [][]byte{[]byte(`"`), append(make([]byte, 0, 200), '"')} {
					var back string
					if err := json.Unmarshal(append(appendJSONText(dst, in), '"'), &back); err != nil {
						t.Fatalf("%v of %q", err, in)
					}
					if want := string([]rune(in)); back != want {
						t.Fatalf("%q came back as %q", in, back)
					}
				}
			}
		}
	}
}

func TestAppendJSONText(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"plain <b>&", "plain <b>&"},
		{`a"b\c`, `a\"b\\c`},
		{"\n\r\t\x00\x1f\x7f", `\n\r\t\u0000\u001f` + "\x7f"},
		{"é€\U0001f600\u2028", "é€\U0001f600\u2028"},
		{"\ufffd", "\ufffd"}, // valid, and no error
		{"a\xffb\xc3", `a\ufffdb\ufffd`},
		{"\xed\xa0\x80", `\ufffd\ufffd\ufffd`}, // a surrogate
		{"\xf0\x9f\x98", `\ufffd\ufffd\ufffd`},
	} {
		if got := string(appendJSONText(nil, tt.in)); got != tt.want {
			t.Errorf("%q becomes %s, want %s", tt.in, got, tt.want)
		}
	}
}

func FuzzJSONText(f *testing.F) {
	f.Add("a\"b\\c\n\x00")
	f.Add("\xff\xed\xa0\x80\xf0\x9f\x98é\u2028")
	f.Fuzz(func(t *testing.T, s string) {
		out := appendJSONText([]byte{'"'}, s)
		if len(out)-1 > maxEscape*len(s) {
			t.Fatalf("%d bytes became %d", len(s), len(out)-1)
		}
		var back string
		if err := json.Unmarshal(append(out, '"'), &back); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		if want := string([]rune(s)); back != want {
			t.Fatalf("%q came back as %q", s, back)
		}
	})
}
