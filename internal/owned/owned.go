// Package owned has numbers that one goroutine writes and any reads.
package owned

import "sync/atomic"

// Int64 is a number with one writer, usually the goroutine of a loop, and any number of readers. Its Add and Load differ
// between builds, see plain.go. They order nothing else: who writes one number and then looks whether another goroutine
// wrote its own needs atomics. Writers of two numbers are kept out of each other's cache lines by whoever lays them out.
type Int64 struct {
	_ [0]atomic.Int64 // aligned as this is
	n int64
}
