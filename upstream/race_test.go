//go:build race

package upstream

// seeds is how many seeds a simulation of one goroutine runs, which the race detector slows down and cannot judge.
const seeds = 6

// pooled says whether memory that was given back to a sync.Pool is there again: the race detector drops some of it.
const pooled = false
