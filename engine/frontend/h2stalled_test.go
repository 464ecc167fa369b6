package frontend_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"traffic_management/internal/sim"
)

// Of many responses that a client lets nothing come of, each beyond what a connection may have waiting holds a sip. As the
// client opens windows, one by one and in any order, every byte of all of them comes.
func TestH2StalledResponses(t *testing.T) {
	const streams, size, window = 24, 200_000, 64 << 10
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	s := newH2Stall(t)
	s.loop.Net = sim.Net{Window: window, Piece: window}
	c := s.h2client()
	c.deaf = true
	taken := 0
	for i := range streams {
		c.request(uint32(2*i+1), true)
		s.servers[i].sends("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat(string(rune('a'+i)), size))
	}
	for _, server := range s.servers {
		taken += size - server.conn.Unsent()
	}
	// What the client took, what may wait, and of each what lies with the kernel, and a sip.
	if most := 65535 + 256<<10 + streams*(window+5<<10); taken > most {
		t.Errorf("%d bytes were taken of %d responses, more than %d", taken, streams, most)
	}
	content := make([]int, streams)
	open := make([]uint32, streams)
	for i := range open {
		open[i] = uint32(2*i + 1)
	}
	for steps := 0; len(open) > 0; steps++ {
		if steps == 10_000 {
			t.Fatalf("the windows were opened %d times, and of the streams came %v", steps, content)
		}
		for _, frame := range c.frames {
			var id uint32
			if n, _ := fmt.Sscanf(frame, "DATA %d ", &id); n == 0 {
				continue
			}
			_, p, _ := strings.Cut(strings.TrimPrefix(frame, "DATA "), " ")
			p, end := strings.CutSuffix(p, " END")
			if i := id / 2; strings.Trim(p, string(rune('a'+rune(i)))) != "" {
				t.Fatalf("stream %d got another one's content", id)
			} else if content[i] += len(p); end {
				open = slices.DeleteFunc(open, func(other uint32) bool { return other == id })
			}
		}
		c.frames = nil
		id := uint32(0)
		if len(open) > 0 && rnd.IntN(2) == 0 {
			id = open[rnd.IntN(len(open))]
		}
		c.framer.WriteWindowUpdate(id, uint32(20_000+rnd.IntN(60_000)))
		c.flush()
		s.loop.Advance(5 * time.Millisecond) // soon enough for a stream not to count as stalled
	}
	for i, n := range content {
		if n != size {
			t.Errorf("%d bytes came on stream %d", n, 2*i+1)
		}
	}
}
