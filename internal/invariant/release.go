//go:build !invariants

package invariant

// Enabled says that this build counts broken invariants and goes on.
const Enabled = false

// Poison does nothing in this build.
func Poison([]byte) {}
