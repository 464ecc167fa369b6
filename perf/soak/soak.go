package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"traffic_management/perf/peers"
)

// maxShown is how many faults are told one by one.
const maxShown = 20

// soak is one proxy under its clients.
type soak struct {
	peer *peers.Peer
	seed uint64

	mu    sync.Mutex // for what follows: every client's goroutine writes it
	acted map[string]int
	shown []string
	more  int
}

// run lets clients behave for some seconds. It returns when the last of them is done.
func (s *soak) run(ctx context.Context, clients int, seconds float64) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds*float64(time.Second)))
	defer cancel()
	var all sync.WaitGroup
	for i := range clients {
		s.seed++
		rng := rand.New(rand.NewPCG(s.seed, uint64(i)))
		all.Go(func() {
			for ctx.Err() == nil {
				s.behave(rng)
			}
		})
	}
	all.Wait()
}

// behave is one connection of one mood.
func (s *soak) behave(rng *rand.Rand) {
	m := anyMood(rng)
	c, err := dial(s.peer.Address, rng)
	if err == nil {
		err = m.act(c)
		c.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acted[m.name]++
	switch {
	case err == nil:
	case len(s.shown) < maxShown:
		s.shown = append(s.shown, m.name+": "+err.Error())
	default:
		s.more++
	}
}

func (s *soak) faults() []string {
	if s.more > 0 {
		return append(s.shown, fmt.Sprintf("and %d more", s.more))
	}
	return s.shown
}
