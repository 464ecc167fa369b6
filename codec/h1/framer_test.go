package h1

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"traffic_management/codec"
)

func TestFrame(t *testing.T) {
	for _, c := range []struct {
		framing codec.Framing
		content string
		end     bool
		want    string
	}{
		{codec.NoContent, "", true, ""},
		{codec.NoContent, "of a HEAD response", false, ""},
		{codec.ByLength, "", true, ""},
		{codec.ByLength, "abc", false, "abc"},
		{codec.ByLength, "abc", true, "abc"},
		{codec.ByClose, "abc", true, "abc"},
		{codec.ByChunks, "", false, ""},
		{codec.ByChunks, "", true, "0\r\n\r\n"},
		{codec.ByChunks, "abc", false, "3\r\nabc\r\n"},
		{codec.ByChunks, "abc", true, "3\r\nabc\r\n0\r\n\r\n"},
		{codec.ByChunks, string(make([]byte, 26)), false, "1a\r\n" + string(make([]byte, 26)) + "\r\n"},
	} {
		var w Framer
		if got := string(bytes.Join(w.Frame(c.framing, []byte(c.content), c.end), nil)); got != c.want {
			t.Errorf("%v, %q, end %v: got %q, want %q", c.framing, c.content, c.end, got, c.want)
		}
	}
}

// What a Framer writes in pieces of any size, the decoder takes apart into the same content, and nothing is left over.
func TestFrameThenDecode(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	var w Framer
	for range 200 {
		var content, wire []byte
		for n := rnd.IntN(6); n >= 0; n-- {
			piece := bytes.Repeat([]byte{byte('a' + n)}, rnd.IntN(1<<rnd.IntN(18)))
			content = append(content, piece...)
			wire = append(wire, bytes.Join(w.Frame(codec.ByChunks, piece, n == 0), nil)...)
		}
		var y Body
		y.Start(codec.ByChunks, -1, codec.Upstream, &Limits{HeadBytes: 100, Fields: 1})
		var got []byte
		for !y.Done() && len(wire) > 0 {
			data, n, err := y.Decode(wire)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			got, wire = append(got, data...), wire[n:]
		}
		if !y.Done() || len(wire) > 0 || !bytes.Equal(got, content) {
			t.Fatalf("seed %d: %d of %d bytes, done %v, %d left", seed, len(got), len(content), y.Done(), len(wire))
		}
	}
}

func TestFrameAllocatesNothing(t *testing.T) {
	var w Framer
	p := make([]byte, 1000)
	total := 0
	if n := testing.AllocsPerRun(100, func() {
		total += len(w.Frame(codec.ByChunks, p, false)) + len(w.Frame(codec.ByChunks, p, true)) + len(w.Frame(codec.ByLength, p, true))
	}); n != 0 || total == 0 {
		t.Errorf("%v allocations, %d buffers", n, total)
	}
}
