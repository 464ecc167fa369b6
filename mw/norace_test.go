//go:build !race

package mw

// manyKeys is how many keys a flood has in tests.
const manyKeys = 1_000_000

// pooled says whether memory that was given back to a sync.Pool is there again: the race detector drops some of it.
const pooled = true
