//go:build !race

package frontend_test

// pooled says whether memory that was given back to a sync.Pool is there again: the race detector drops some of it.
const pooled = true
