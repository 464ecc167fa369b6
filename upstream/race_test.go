//go:build race

package upstream

// seeds is how many seeds a simulation of one goroutine runs, which the race detector slows down and cannot judge.
const seeds = 6
