package codec

import (
	"bytes"
	"testing"
)

// TestCopies copies every length up to some words, with every byte at every place, and looks at what lies behind.
func TestCopies(t *testing.T) {
	for n := range 36 {
		v := bytes.Repeat([]byte("abcdefghijk"), 4)[:n:n]
		dst := bytes.Repeat([]byte("~"), n+9)
		CopyName(dst[:n:n], v)
		if want := string(v) + "~~~~~~~~~"; string(dst) != want {
			t.Errorf("CopyName of %q: %q", v, dst)
		}
		for i := range n {
			was := v[i]
			for c := range 256 {
				v[i] = byte(c)
				dst = bytes.Repeat([]byte("~"), n+9)
				fits := CopyValue(dst[:n:n], v)
				if want := All(v, ClassValue); fits != want {
					t.Errorf("CopyValue of %q: %t, want %t", v, fits, want)
				}
				if want := string(v) + "~~~~~~~~~"; fits && string(dst) != want || string(dst[n:]) != "~~~~~~~~~" {
					t.Errorf("CopyValue of %q: %q", v, dst)
				}
			}
			v[i] = was
		}
	}
}
