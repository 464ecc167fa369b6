//go:build !race

package mw

// manyKeys is how many keys a flood has in tests.
const manyKeys = 1_000_000
