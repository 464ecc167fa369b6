package telemetry

import (
	"math"
	"math/rand/v2"
)

// A sampler chooses a part of the requests, the same ones for the same seed. It belongs to one loop.
type sampler struct {
	random rand.PCG
	part   samplePart
	below  uint64 // sampleSome: a number below this one is chosen
}

// samplePart is which requests are chosen.
type samplePart uint8

const (
	sampleAll  samplePart = iota
	sampleSome            // none, if below is 0
)

func (p samplePart) String() string { return [...]string{"all", "some"}[p] }

// newSampler chooses this part of the requests, 0 to 1, on this loop.
func newSampler(part float64, seed uint64, loop int) sampler {
	if part == 1 {
		return sampler{part: sampleAll}
	}
	// Less than 1 times 2^64 fits a uint64; 1 would not.
	return sampler{random: *rand.NewPCG(seed, uint64(loop)), part: sampleSome, below: uint64(math.Ldexp(part, 64))}
}

// choose decides about one request.
func (s *sampler) choose() bool { return s.part == sampleAll || s.random.Uint64() < s.below }
