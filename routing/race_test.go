//go:build race

package routing

// raceDetector: under it sync.Pool drops at random, so regexp allocates.
const raceDetector = true
