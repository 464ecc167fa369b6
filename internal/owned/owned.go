// Package owned has numbers that one goroutine writes and any reads.
package owned

// Int64 is a number with one writer, usually the goroutine of a loop, and any number of readers. Its Add and Load differ
// between builds, see plain.go. Writers of two numbers are kept out of each other's cache lines by whoever lays them out.
type Int64 struct{ n int64 }
