package h1

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"traffic_management/codec"
)

func FuzzParseRequestHead(f *testing.F) {
	for _, s := range []string{
		browserRequest, loadRequest, "\r\nPOST /a%20b? HTTP/1.0\r\nContent-Length: 5\r\n\r\n",
		"GET http://a/?b HTTP/1.1\r\nHost: A\r\nTransfer-Encoding: chunked\r\n\r\n", "CONNECT [::1]:1 HTTP/1.1\r\nHost: [::1]\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nhost:\r\nConnection: x, close, upgrade\r\nX: y\r\nUpgrade: h2c\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h, n, err := feed(t, requestParser(&testLimits), in)
		if n == 0 || err != nil {
			return
		}
		sent := AppendRequestHead(nil, h, h.Framing)
		again, m, err := feed(t, requestParser(&benchLimits), sent)
		if m != len(sent) || err != nil {
			t.Fatalf("%q is sent as %q: %d %s", in[:n], sent, m, nameOf(err))
		}
		if got, want := meaning(again, 0), meaning(h, codec.TraitNotInRequest|codec.TraitUpgrade); got != want {
			t.Fatalf("%q is sent as %q: %s, want %s", in[:n], sent, got, want)
		}
		if !bytes.Equal(sent, AppendRequestHead(nil, again, again.Framing)) {
			t.Fatalf("%q is sent as %q, and that as something else", in[:n], sent)
		}
	})
}

func FuzzParseResponseHead(f *testing.F) {
	for _, s := range []string{
		smallResponse, "HTTP/1.1 200\r\n\r\n", "HTTP/1.0 304 x\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 101 y\r\nUpgrade: z\r\nConnection: upgrade\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		for m := codec.MethodGet; m <= codec.MethodConnect; m++ {
			f.Add([]byte(s), byte(m))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, method byte) {
		m := codec.Method(method % 10)
		h, n, err := feed(t, responseParser(m, &testLimits), in)
		if n == 0 || err != nil {
			return
		}
		sent := AppendResponseHead(nil, h, h.Framing, h.Options)
		again, k, err := feed(t, responseParser(m, &benchLimits), sent)
		if k != len(sent) || err != nil || again.Framing != h.Framing || again.Status != h.Status {
			t.Fatalf("%q is sent as %q: %d %s %v", in[:n], sent, k, nameOf(err), again.Framing)
		}
		if again.Length != h.Length && !codec.Contentless(m, h.Status) {
			t.Fatalf("%q is sent as %q: length %d", in[:n], sent, again.Length)
		}
	})
}

// meaning is what must survive when a request is sent on: everything but its spelling and the fields of one hop.
func meaning(h *codec.Head, omit codec.Trait) string {
	m := codec.Head{Version: codec.HTTP11, Method: h.Method, MethodName: h.MethodName, Framing: h.Framing, Length: h.Length,
		Authority: h.Authority, Path: h.Path, Query: h.Query}
	if len(m.Path) == 0 && m.Method != codec.MethodConnect {
		m.Path = []byte("/")
		if m.Method == codec.MethodOptions && m.Query == nil {
			m.Path = []byte("*")
		}
	}
	const ours = codec.TraitNotInRequest | codec.TraitUpgrade
	for _, f := range h.Fields {
		if codec.Traits[f.ID]&(omit|ours) == 0 {
			m.Fields = append(m.Fields, f)
		}
	}
	return describe(&m)
}

func FuzzChunked(f *testing.F) {
	for _, s := range []string{
		"0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "1;a=\"b\"\r\nx\r\n0\r\nA: b\r\n\r\n", "8000000000000000\r\n", "1 ;\r\nab",
	} {
		f.Add([]byte(s), uint64(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		feedBody(t, startChunks, in)
		checkChunks(t, in, rand.New(rand.NewPCG(seed, 0)), seed)
	})
}

// FuzzAppendField: whatever is appended as a field parses as that field and nothing else.
func FuzzAppendField(f *testing.F) {
	f.Add([]byte("Name"), []byte("value"))
	f.Add([]byte("Na\r\nme"), []byte("val\r\n\r\nue"))
	f.Add([]byte("host"), []byte("12345678\x7f"))
	f.Fuzz(func(t *testing.T, name, value []byte) {
		line := appendLines(nil, []codec.Field{{Name: name, Value: value}}, 0)
		valid := codec.IsToken(name) && codec.All(value, codec.ClassValue)
		if valid != (len(line) > 0) {
			t.Fatalf("%q %q: appended %q", name, value, line)
		}
		if !valid {
			return
		}
		var h codec.Head
		s := section{head: &h, limits: &Limits{HeadBytes: len(line) + 2, Fields: 1}}
		n, bad := s.parse(append(line, "\r\n"...), 0)
		if n != len(line)+2 || bad != faultNone || len(h.Fields) != 1 || !bytes.Equal(h.Fields[0].Name, name) ||
			!bytes.Equal(h.Fields[0].Value, codec.TrimOWS(value)) {
			t.Fatalf("%q %q: %q is parsed as %d %v %q", name, value, line, n, bad, h.Fields)
		}
	})
}
