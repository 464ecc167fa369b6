//go:build invariants

package invariant

// Enabled says that this build stops at a broken invariant.
const Enabled = true

// Poison overwrites bytes whose loan has ended, so that whoever kept them reads garbage. The caller owns b.
func Poison(b []byte) {
	for i := range b {
		b[i] = PoisonByte
	}
}
