package codec

// maxStatus is the largest status code there can be (RFC 9110 section 15).
const maxStatus = 599

// StatusSet is a set of status codes. The zero value is empty.
type StatusSet [(maxStatus + 64) / 64]uint64

// Add puts the codes from low to high, both included, into the set; those that are no status codes are left out.
func (s *StatusSet) Add(low, high int) {
	for code := max(low, 100); code <= min(high, maxStatus); code++ {
		s[code/64] |= 1 << (code % 64)
	}
}

// Has reports whether the code is in the set.
func (s *StatusSet) Has(code int) bool {
	return uint(code) <= maxStatus && s[code/64]&(1<<(code%64)) != 0
}

// Empty reports whether no code is in the set.
func (s *StatusSet) Empty() bool { return *s == StatusSet{} }
