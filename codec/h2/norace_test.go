//go:build !race

package h2

// pooled says whether memory that was given back to a sync.Pool is there again: the race detector drops some of it.
const pooled = true
