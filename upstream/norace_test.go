//go:build !race

package upstream

// seeds is how many seeds a simulation of one goroutine runs.
const seeds = 64
