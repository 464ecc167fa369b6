package h1

import (
	"bytes"
	"fmt"
	"testing"

	"traffic_management/codec"
)

var testLimits = Limits{HeadBytes: 1024, Fields: 8}

// parser is one of the two head parsers, with everything bound but the bytes.
type parser func(b []byte, h *codec.Head) (int, error)

func requestParser(l *Limits) parser {
	return func(b []byte, h *codec.Head) (int, error) { return ParseRequestHead(b, h, l) }
}

func responseParser(m codec.Method, l *Limits) parser {
	return func(b []byte, h *codec.Head) (int, error) { return ParseResponseHead(b, m, h, l) }
}

// feed parses in whole, as every prefix and with bytes behind it, and fails unless all agree: a prefix needs more or has
// the error of the whole, and what was wrong or complete stays so. It returns what the whole gave.
func feed(t *testing.T, parse parser, in []byte) (*codec.Head, int, error) {
	t.Helper()
	h := &codec.Head{}
	n, err := parse(bytes.Clone(in), h)
	if n < 0 || n > len(in) || n > 0 && err != nil {
		t.Fatalf("%q: n %d, error %v", in, n, err)
	}
	var part codec.Head
	for k := range len(in) {
		m, e := parse(bytes.Clone(in[:k]), &part)
		switch {
		case e != nil && e != err:
			t.Fatalf("%q: error %v, but of the whole %q: %v", in[:k], e, in, err)
		case e == nil && m != 0 && (m != n || describe(&part) != describe(h)):
			t.Fatalf("%q: %d %s, but the whole %q: %d %s", in[:k], m, describe(&part), in, n, describe(h))
		case e == nil && m == 0 && n != 0 && k >= n:
			t.Fatalf("%q: needs more, but the whole does not", in[:k])
		}
	}
	if n == 0 && err == nil {
		return h, n, err
	}
	for _, more := range []string{"\r", "\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "\x00\xff: :"} {
		m, e := parse(append(bytes.Clone(in), more...), &part)
		if m != n || e != err || err == nil && describe(&part) != describe(h) {
			t.Fatalf("%q with %q behind it: %d %v, else %d %v", in, more, m, e, n, err)
		}
	}
	return h, n, err
}

// describe is all of a head as text.
func describe(h *codec.Head) string {
	s := fmt.Sprintf("%v %s/%v %q %v", h.Version, h.Method, h.Framing, h.Options, h.Length)
	if h.Status != 0 {
		s += fmt.Sprintf(" %d %q", h.Status, h.Reason)
	} else {
		s += fmt.Sprintf(" %q %q form %d, %q %q %q %q", h.MethodName, h.Target, h.Form, h.Scheme, h.Authority, h.Path,
			h.Query)
	}
	for _, f := range h.Fields {
		s += fmt.Sprintf(" [%q %q %d]", f.Name, f.Value, f.ID)
	}
	return s
}

// nameOf is the cause of an error of this package, for failures to print.
func nameOf(err error) string {
	if e, ok := err.(*codec.Error); ok {
		return fmt.Sprintf("%d %v", e.Status, e.Cause)
	}
	return fmt.Sprint(err)
}
