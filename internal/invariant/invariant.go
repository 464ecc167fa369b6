// Package invariant states what must hold in our own code, whatever peers send. Builds with the tag `invariants` stop
// at the first broken one and overwrite bytes whose loan has ended; other builds count and go on.
package invariant

import "sync/atomic"

// PoisonByte is what checked builds leave in bytes that are no longer lent.
const PoisonByte = 0xdb

// broken counts across all goroutines; it is written only when something is already wrong.
var broken atomic.Uint64

// Check says that cond holds. When it does not, a checked build panics with msg and every build counts it. msg is a
// constant: building one would cost more than the check. Any goroutine.
func Check(cond bool, msg string) {
	if !cond {
		fail(msg)
	}
}

// Broken is how many checks have failed since the process began. Any goroutine.
func Broken() uint64 { return broken.Load() }

// fail is apart so that Check is inlined.
//
//go:noinline
func fail(msg string) {
	broken.Add(1)
	if Enabled {
		panic("invariant broken: " + msg)
	}
}
