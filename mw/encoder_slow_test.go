package mw

import "testing"

// TestSlowEncoders: the levels that docs/middlewares.md names are those whose pieces loops must not wait for.
func TestSlowEncoders(t *testing.T) {
	for coding, first := range map[Coding]int{CodingBrotli: 4, CodingZstd: 6, CodingGzip: 7} {
		low, high := coding.Levels()
		for level := low; level <= high; level++ {
			if got := newEncoderKind(Algorithm{coding, level}).slow(); got != (level >= first) {
				t.Errorf("%v %d: slow %v", coding, level, got)
			}
		}
	}
}
