//go:build race

package mw

// manyKeys is fewer, where each costs ten times as much.
const manyKeys = 50_000

// pooled says whether memory that was given back to a sync.Pool is there again: the race detector drops some of it.
const pooled = false
