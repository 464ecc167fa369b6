//go:build race

package mw

// manyKeys is fewer, where each costs ten times as much.
const manyKeys = 50_000
