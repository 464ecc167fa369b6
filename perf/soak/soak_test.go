package main

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http/httputil"
	"testing"
	"time"

	"traffic_management/perf/peers"
)

func whole() int { return 64 << 10 }

func TestCheckContent(t *testing.T) {
	const seed, size = 7, 200_000
	right, err := io.ReadAll(content(seed, size))
	if err != nil || len(right) != size {
		t.Fatal(len(right), err)
	}
	if err := checkContent(bytes.NewReader(right), seed, size, whole); err != nil {
		t.Error(err)
	}
	flipped := bytes.Clone(right)
	flipped[size-1] ^= 1
	for name, b := range map[string][]byte{"flipped": flipped, "short": right[:size-1], "long": append(right[:size:size], 0), "empty": nil} {
		if err := checkContent(bytes.NewReader(b), seed, size, whole); !errors.Is(err, errContent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := checkContent(bytes.NewReader(right), seed+1, size, whole); !errors.Is(err, errContent) {
		t.Errorf("another seed: %v", err)
	}
}

func TestChunks(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 20 {
		size := rng.Int64N(300_000)
		r := httputil.NewChunkedReader(&chunks{from: content(seed, size), rng: rng})
		if err := checkContent(r, seed, size, whole); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMoodsAgainstBackend lets every mood act on the backend itself: a right server must give no faults.
func TestMoodsAgainstBackend(t *testing.T) {
	server, l, err := backend()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() }) // after the parallel subtests
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for i := range moods {
		m := &moods[i]
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			c, err := dial(l.Addr().String(), rand.New(rand.NewPCG(seed, uint64(i))))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			// net/http takes some of the malformed requests, so that mood may find fault with it.
			if err := m.act(c); err != nil && m.name != "malformed" {
				t.Error(err)
			}
		})
	}
}

// TestFaultsAreFound gives a dead server: every mood that needs an answer must say so, and faults are counted.
func TestFaultsAreFound(t *testing.T) {
	server, l, err := backend()
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	s := &soak{peer: &peers.Peer{Address: l.Addr().String()}, acted: map[string]int{}}
	rng := rand.New(rand.NewPCG(1, 1))
	for range maxShown + 5 {
		s.behave(rng)
	}
	if got := s.faults(); len(got) != maxShown+1 || got[maxShown] != "and 5 more" {
		t.Errorf("%d faults, the last %q", len(got), got[len(got)-1])
	}
}

func TestGrown(t *testing.T) {
	before := footprint{10, 20, 40 << 20}
	for _, c := range []struct {
		after  footprint
		faults int
	}{
		{before, 0},
		{footprint{12, 22, 58 << 20}, 0},
		{footprint{13, 20, 40 << 20}, 1},
		{footprint{10, 23, 40 << 20}, 1},
		{footprint{10, 20, 59 << 20}, 1},
		{footprint{100, 200, 400 << 20}, 3},
	} {
		if got := before.grown(c.after); len(got) != c.faults {
			t.Errorf("%v: %q, want %d", c.after, got, c.faults)
		}
	}
}
