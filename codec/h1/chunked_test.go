package h1

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"traffic_management/codec"
)

// decoded is what a decoder made of a message.
type decoded struct {
	data     string
	consumed int
	done     bool
	trailers string
	err      error
}

// decodeSplit decodes in, given in pieces whose sizes next chooses, each with what was left of the one before.
func decodeSplit(t *testing.T, y *Body, in []byte, next func() int) (r decoded) {
	t.Helper()
	for end := 0; end < len(in) && r.err == nil && !y.Done(); {
		end = min(len(in), end+next())
		for r.consumed < end && !y.Done() {
			piece := bytes.Clone(in[r.consumed:end])
			data, n, err := y.Decode(piece)
			r.data += string(data)
			r.consumed += n
			if err != nil {
				if _, m, again := y.Decode(piece[n:]); again != err || m != 0 {
					t.Fatalf("%q: %v, then %d %v", in, err, m, again)
				}
				r.err, r.consumed = err, 0 // how far a broken message was read means nothing
				break
			}
			if n == 0 {
				t.Fatalf("%q: nothing consumed of %q", in, piece)
			}
			for i := range piece {
				piece[i] = '!' // what was lent is gone
			}
		}
	}
	r.done = y.Done()
	for _, f := range y.Trailers() {
		r.trailers += fmt.Sprintf("%s=%s;", f.Name, f.Value)
	}
	return r
}

// feedBody decodes in whole, byte by byte, and with bytes behind it; all must agree.
func feedBody(t *testing.T, start func(y *Body), in []byte) decoded {
	t.Helper()
	var y Body
	start(&y)
	whole := decodeSplit(t, &y, in, func() int { return len(in) })
	start(&y)
	if single := decodeSplit(t, &y, in, func() int { return 1 }); single != whole {
		t.Fatalf("%q: whole %+v, byte by byte %+v", in, whole, single)
	}
	if whole.done || whole.err != nil {
		start(&y)
		more := append(bytes.Clone(in), "\r\n5\r\nGET"...)
		if r := decodeSplit(t, &y, more, func() int { return len(more) }); r != whole {
			t.Fatalf("%q: %+v, with bytes behind it %+v", in, whole, r)
		}
	}
	return whole
}

func startChunks(y *Body) { y.Start(codec.ByChunks, -1, codec.Client, &testLimits) }

func TestChunked(t *testing.T) {
	for _, c := range []struct{ in, data, trailers string }{
		{"0\r\n\r\n", "", ""},
		{"0000000000000000\r\n\r\n", "", ""},
		{"5\r\nhello\r\n0\r\n\r\n", "hello", ""},
		{"000000000000000A\r\n0123456789\r\n1\r\n\n\r\n0\r\n\r\n", "0123456789\n", ""},
		{"a\r\n0123456789\r\n00\r\n\r\n", "0123456789", ""},
		{"2;a\r\n\r\n\r\n0;b=\"c;\xff\t\"\r\n\r\n", "\r\n", ""},
		{"1 \t ;a = b ; c\r\nx\r\n0\r\n\r\n", "x", ""},
		{"1;\r\nx\r\n0\r\n\r\n", "x", ""},
		{"1;" + strings.Repeat("a", 254) + "\r\nx\r\n0\r\n\r\n", "x", ""},
		{"0\r\nA: b\r\n\r\n", "", "A=b;"},
		{"1\r\nx\r\n0\r\nA:b \r\nContent-Length: 5\r\nc:\r\n\r\n", "x", "A=b;Content-Length=5;c=;"},
	} {
		r := feedBody(t, startChunks, []byte(c.in))
		if want := (decoded{c.data, len(c.in), true, c.trailers, nil}); r != want {
			t.Errorf("%q: got %+v, want %+v", c.in, r, want)
		}
	}
}

func TestChunkedFaults(t *testing.T) {
	for _, c := range []struct {
		in, data string
		want     fault
	}{
		{"\r\n", "", faultChunkSize},
		{"\n", "", faultChunkSize},
		{" 5", "", faultChunkSize},
		{"-1", "", faultChunkSize},
		{"+1", "", faultChunkSize},
		{"0x5", "", faultChunkSize},
		{"g", "", faultChunkSize},
		{";a", "", faultChunkSize},
		{"5\n", "", faultChunkSize},
		{"5 \r\n", "", faultChunkSize},
		{"5 a", "", faultChunkSize},
		{"8000000000000000", "", faultChunkSize},
		{"ffffffffffffffff", "", faultChunkSize},
		{"00000000000000005", "", faultChunkSize},
		{"5;a\n", "", faultChunkExtension},
		{"5;a\x00", "", faultChunkExtension},
		{"5;\"\x7f", "", faultChunkExtension},
		{"5\rx", "", faultChunkExtension},
		{"5;a\r\r", "", faultChunkExtension},
		{"1;" + strings.Repeat("a", 255), "", faultChunkLine},
		{"1" + strings.Repeat(" ", 256), "", faultChunkLine},
		{"2\r\nabc", "ab", faultChunkEnd},
		{"2\r\nab\n", "ab", faultChunkEnd},
		{"2\r\nab\r0", "ab", faultChunkEnd},
		{"2\r\nab\r\n\r\n", "ab", faultChunkSize},
		{"0\r\n\rx", "", faultLineEnd},
		{"0\r\n\n", "", faultName},
		{"0\r\nA\r\n", "", faultName},
		{"0\r\n A: b", "", faultFold},
		{"0\r\nA: b\r\n c", "", faultFold},
		{"0\r\nA : b", "", faultNameSpace},
		{"0\r\nA: \x00", "", faultValue},
		{"0\r\nA: b\r\n\rx", "", faultLineEnd},
		{"0\r\n" + strings.Repeat("a:\r\n", 9), "", faultFields},
		{"0\r\na:" + strings.Repeat("b", 1022), "", faultTrailerLong},
	} {
		r := feedBody(t, startChunks, []byte(c.in))
		if r.err != error(clientErrors[c.want]) || r.data != c.data || r.done {
			t.Errorf("%q: got %+v, %s, want %s", c.in, r, nameOf(r.err), nameOf(clientErrors[c.want]))
		}
	}
}

func TestChunkedZeroValue(t *testing.T) {
	var d Chunked
	in := []byte("3\r\nabc\r\n0\r\nA: b\r\n\r\nnext")
	data, n, err := d.Decode(in)
	if string(data) != "abc" || n != len(in)-4 || err != nil || !d.Done() || len(d.Trailers()) != 1 {
		t.Errorf("%q %d %v %v %v", data, n, err, d.Done(), d.Trailers())
	}
	if data, n, err = d.Decode(in); len(data) != 0 || n != 0 || err != nil {
		t.Errorf("behind the end: %q %d %v", data, n, err)
	}
	d.Reset()
	if d.Done() || d.Trailers() != nil {
		t.Errorf("after Reset: %v %v", d.Done(), d.Trailers())
	}
	d.Side = codec.Upstream
	if _, _, err = d.Decode([]byte("x")); err != error(upstreamErrors[faultChunkSize]) {
		t.Error(nameOf(err))
	}
}

func TestTrailersAreOfTheirMessageOnly(t *testing.T) {
	var d Chunked
	for _, c := range []struct{ in, want string }{
		{"0\r\nA: b\r\n\r\n", "[{A b}]"}, {"0\r\n\r\n", "[]"}, {"0\r\nC: d\r\n\r\n", "[{C d}]"},
		{"0\r\nE: " + strings.Repeat("f", 2000) + "\r\n\r\n", "[{E " + strings.Repeat("f", 2000) + "}]"}, {"0\r\n\r\n", "[]"},
	} {
		d.Reset()
		if _, _, err := d.Decode([]byte(c.in)); err != nil || !d.Done() {
			t.Fatal(err)
		}
		got := "["
		for _, f := range d.Trailers() {
			got += fmt.Sprintf("{%s %s}", f.Name, f.Value)
		}
		if got += "]"; got != c.want {
			t.Errorf("%q: got %s", c.in, got)
		}
	}
}

func TestBody(t *testing.T) {
	for _, c := range []struct {
		framing codec.Framing
		length  int64
		in      string
		want    decoded
		end     error // what the end of input means then
	}{
		{codec.NoContent, -1, "next", decoded{done: true}, nil},
		{codec.NoContent, 5, "next", decoded{done: true}, nil},
		{codec.ByLength, 0, "next", decoded{done: true}, nil},
		{codec.ByLength, 3, "", decoded{}, upstreamErrors[faultTruncated]},
		{codec.ByLength, 3, "ab", decoded{data: "ab", consumed: 2}, upstreamErrors[faultTruncated]},
		{codec.ByLength, 3, "abcnext", decoded{data: "abc", consumed: 3, done: true}, nil},
		{codec.ByLength, 1 << 62, "abc", decoded{data: "abc", consumed: 3}, upstreamErrors[faultTruncated]},
		{codec.ByChunks, -1, "1\r\na\r\n0\r\n", decoded{data: "a", consumed: 9}, upstreamErrors[faultTruncated]},
		{codec.ByChunks, -1, "1\r\na\r\n0\r\nA: b\r\n\r\nnext", decoded{"a", 17, true, "A=b;", nil}, nil},
		{codec.ByClose, -1, "", decoded{}, nil},
		{codec.ByClose, -1, "0\r\n\r\n", decoded{data: "0\r\n\r\n", consumed: 5}, nil},
	} {
		start := func(y *Body) { y.Start(c.framing, c.length, codec.Upstream, &testLimits) }
		if got := feedBody(t, start, []byte(c.in)); got != c.want {
			t.Errorf("%v %d %q: got %+v, want %+v", c.framing, c.length, c.in, got, c.want)
		}
		var y Body
		start(&y)
		decodeSplit(t, &y, []byte(c.in), func() int { return 2 })
		if err := y.EOF(); err != c.end || y.Done() != (c.end == nil) {
			t.Errorf("%v %d %q: end of input %s, done %v", c.framing, c.length, c.in, nameOf(err), y.Done())
		}
	}
}

// naiveChunks decodes a whole chunked message by cutting strings. It knows messages without trailers and extensions.
func naiveChunks(in string) (data, rest string, ok bool) {
	for {
		line, after, found := strings.Cut(in, "\r\n")
		size, err := strconv.ParseInt(line, 16, 64)
		if !found || err != nil || len(line) > 16 || line[0] == '-' || line[0] == '+' {
			return "", "", false
		}
		if size == 0 {
			rest, ok = strings.CutPrefix(after, "\r\n")
			return data, rest, ok
		}
		if int64(len(after)) < size {
			return "", "", false
		}
		data += after[:size]
		if in, ok = strings.CutPrefix(after[size:], "\r\n"); !ok {
			return "", "", false
		}
	}
}

func TestChunkedAgainstANaiveDecoder(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		var in []byte
		var w Framer
		for range r.IntN(5) {
			data := make([]byte, 1+r.IntN(40))
			for i := range data {
				data[i] = "\r\n0a"[r.IntN(4)]
			}
			for _, part := range w.Frame(codec.ByChunks, data, false) {
				in = append(in, part...)
			}
		}
		in = append(AppendTrailers(in, nil), "rest"[:r.IntN(5)]...)
		if r.IntN(2) == 0 {
			in[r.IntN(len(in))] = "\r\n01;"[r.IntN(5)]
		}
		checkChunks(t, in, r, seed)
	}
}

func checkChunks(t *testing.T, in []byte, r *rand.Rand, seed uint64) {
	t.Helper()
	var y Body
	y.Start(codec.ByChunks, -1, codec.Client, &benchLimits)
	got := decodeSplit(t, &y, in, func() int { return 1 + r.IntN(8) })
	data, rest, ok := naiveChunks(string(in))
	switch {
	case ok && (!got.done || got.data != data || got.consumed != len(in)-len(rest)):
		t.Fatalf("seed %d: %q: got %+v, want %q, rest %q", seed, in, got, data, rest)
	case !ok && got.done && !bytes.ContainsAny(in, ";:"):
		t.Fatalf("seed %d: %q: got %+v, want a fault or more", seed, in, got)
	}
}
