//go:build !race

package upstream

// seeds is how many seeds a simulation of one goroutine runs.
const seeds = 64

// pooled says whether memory that was given back to a sync.Pool is there again.
const pooled = true
