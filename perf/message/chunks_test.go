package message

import (
	"errors"
	"strings"
	"testing"
)

func TestChunks(t *testing.T) {
	for in, want := range map[string]error{
		"5\r\nabcde\r\n0\r\n\r\n":                                 nil,
		"1A;x=y\r\n" + strings.Repeat("\r", 26) + "\r\n0\r\n\r\n": nil,
		"0\r\nX: trailer\r\n\r\n":                                 nil,
		"-1\r\n":                                                  ErrSyntax,
		"\r\n":                                                    ErrSyntax,
		"g\r\n":                                                   ErrSyntax,
		strings.Repeat("0", 300):                                  ErrSyntax,
	} {
		var c Chunks
		n, done, err := c.Take([]byte(in + "next"))
		if !errors.Is(err, want) || want == nil && (!done || n != len(in) || c != Chunks{}) {
			t.Errorf("%q: %d of %d bytes, done %v, %v", in, n, len(in), done, err)
		}
		if want != nil {
			continue
		}
		// In two pieces, cut anywhere, it ends at the same place.
		for i := range len(in) {
			var c Chunks
			n, done, err := c.Take([]byte(in[:i]))
			if done || err != nil {
				t.Fatalf("%d bytes of %q: done %v, %v", i, in, done, err)
			}
			if m, done, err := c.Take([]byte(in[n:] + "next")); !done || err != nil || n+m != len(in) {
				t.Fatalf("%q in two at %d: %d and %d bytes, done %v, %v", in, i, n, m, done, err)
			}
		}
	}
}
