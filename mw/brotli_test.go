package mw

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
)

// brotliScript is what is done with an encoder: writes of up to 64 kB, and after each a flush or not.
func brotliScript(t testing.TB, e *brotliEncoder, text []byte, cuts []uint16) {
	t.Helper()
	var out bytes.Buffer
	e.Reset(&out)
	at := 0
	for _, c := range cuts {
		n := min(int(c>>1)*2, len(text)-at)
		if k, err := e.Write(text[at : at+n]); k != n || err != nil {
			t.Fatalf("wrote %d of %d: %v", k, n, err)
		}
		at += n
		if c&1 == 0 {
			continue
		}
		if err := e.Flush(); err != nil {
			t.Fatal(err)
		}
		if got, _ := decodeSome(CodingBrotli, out.String()); got != string(text[:at]) {
			t.Fatalf("after a flush %d bytes can be read of %d", len(got), at)
		}
	}
	if _, err := e.Write(text[at:]); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	in := bytes.NewReader(out.Bytes())
	got, err := io.ReadAll(brotli.NewReader(in))
	if err != nil || !bytes.Equal(got, text) || in.Len() != 0 {
		t.Fatalf("%d bytes: read %d with error %v, and %d are left", len(text), len(got), err, in.Len())
	}
}

// TestBrotliFlushes: whatever was written can be read after a flush, at each level and however it was cut, and an encoder
// that is used again begins anew.
func TestBrotliFlushes(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	low, high := CodingBrotli.Levels()
	for level := low; level <= high; level++ {
		e := newBrotliEncoder(level)
		for range 6 {
			text := []byte(randomText(rnd, rnd.IntN(300_000)))
			if rnd.IntN(3) == 0 {
				for i := range text {
					text[i] = byte(rnd.Uint32()) // nothing comes again
				}
			}
			var cuts []uint16
			for range rnd.IntN(12) {
				cuts = append(cuts, uint16(rnd.IntN(1<<(1+rnd.IntN(16)))))
			}
			brotliScript(t, e, text, cuts)
		}
	}
}

// TestBrotliLooksFarBack: what came before is found again, and distances never reach beyond the window that is announced.
func TestBrotliLooksFarBack(t *testing.T) {
	rnd := rand.New(rand.NewPCG(8, 8))
	piece := make([]byte, 4000)
	for i := range piece {
		piece[i] = byte(rnd.Uint32())
	}
	low, high := CodingBrotli.Levels()
	for level := low; level <= high; level++ {
		for _, gap := range []int{0, 30_000, 60_000, 65_000, 70_000, 200_000, 262_000} {
			other := make([]byte, gap)
			for i := range other {
				other[i] = byte(rnd.Uint32())
			}
			text := bytes.Join([][]byte{piece, other, piece}, nil)
			e := newBrotliEncoder(level)
			brotliScript(t, e, text, []uint16{uint16(rnd.IntN(1 << 16)), uint16(rnd.IntN(1 << 16))})
			if gap > 30_000 {
				continue
			}
			var out bytes.Buffer
			e.Reset(&out)
			if _, err := e.Write(text); err != nil || e.Close() != nil {
				t.Error(err)
			}
			if most := gap + len(piece) + 500; out.Len() > most {
				t.Errorf("level %d: %d bytes, %d apart, take %d", level, len(piece), gap, out.Len())
			}
		}
	}
}

// TestBrotliAllocatesNothing holds that a level's encoder that was used makes no garbage.
func TestBrotliAllocatesNothing(t *testing.T) {
	text := []byte(randomText(rand.New(rand.NewPCG(9, 9)), 200_000))
	var out output
	low, high := CodingBrotli.Levels()
	for level := low; level <= high; level++ {
		e := newBrotliEncoder(level)
		once := func() {
			out = out[:0]
			e.Reset(&out)
			for at := 0; at < len(text); at += 20_000 {
				if _, err := e.Write(text[at : at+20_000]); err != nil || e.Flush() != nil {
					t.Fatal(err)
				}
			}
			if e.Close() != nil {
				t.Fatal("cannot be closed")
			}
		}
		once()
		if n := testing.AllocsPerRun(3, once); n != 0 {
			t.Errorf("level %d: %v allocations for 200 kB", level, n)
		}
	}
}

// TestBrotliOfNothing: no content, and flushes without any, make a stream that is whole.
func TestBrotliOfNothing(t *testing.T) {
	for flushes := range 3 {
		var out bytes.Buffer
		e := newBrotliEncoder(1)
		e.Reset(&out)
		for range flushes {
			if e.Flush() != nil || out.Len() != 0 {
				t.Errorf("%d bytes of nothing", out.Len())
			}
		}
		if e.Close() != nil || decode(t, CodingBrotli, out.String()) != "" {
			t.Errorf("%d flushes: %x", flushes, out.Bytes())
		}
	}
}

func FuzzBrotli(f *testing.F) {
	f.Add(3, []byte("aaaaaaaaaaaaaaaaaaaaabcabcabcabcabcabc"), 3, []byte{3, 0, 9, 0})
	f.Add(5, []byte(strings.Repeat("event: 1\n\n", 30)), 2000, []byte{21, 0, 21, 0, 255, 255})
	f.Fuzz(func(t *testing.T, level int, text []byte, times int, cuts []byte) {
		low, high := CodingBrotli.Levels()
		if level < low || level > high || times < 1 || times*len(text) > 1<<19 {
			t.Skipf("level %d, %d times", level, times)
		}
		text = bytes.Repeat(text, times)
		var at []uint16
		for i := 0; i+1 < len(cuts) && i < 40; i += 2 {
			at = append(at, uint16(cuts[i])|uint16(cuts[i+1])<<8)
		}
		brotliScript(t, newBrotliEncoder(level), text, at)
	})
}
