package routing

import (
	"cmp"
	"slices"
)

// Entry is one router: its rule and what it leads to.
type Entry[T any] struct {
	Name     string
	Rule     *Rule // not nil
	Priority int   // higher is asked first; 0 stands for the length of the rule's text in bytes
	Value    T
}

// priority is the priority that counts.
func (e *Entry[T]) priority() int {
	if e.Priority == 0 {
		return len(e.Rule.text)
	}
	return e.Priority
}

// ordered is a copy of entries in the order they are asked: priority descending, then name ascending.
func ordered[T any](entries []Entry[T]) []Entry[T] {
	sorted := slices.Clone(entries)
	slices.SortStableFunc(sorted, func(a, b Entry[T]) int {
		return cmp.Or(cmp.Compare(b.priority(), a.priority()), cmp.Compare(a.Name, b.Name))
	})
	return sorted
}

// Table finds the router of a request. It is immutable: any goroutine may use it.
type Table[T any] struct {
	names  []string // by rank
	values []T      // by rank
	rules  rules
}

// NewTable compiles entries. It keeps their names, values and the texts of their rules, not the rules.
func NewTable[T any](entries []Entry[T]) *Table[T] {
	sorted := ordered(entries)
	t := &Table[T]{names: make([]string, len(sorted)), values: make([]T, len(sorted))}
	roots := make([]*node, len(sorted))
	for rank, e := range sorted {
		t.names[rank], t.values[rank], roots[rank] = e.Name, e.Value, e.Rule.root
	}
	t.rules = newRules(roots)
	return t
}

// Match returns the value of the first router, in the table's order, whose rule matches; false when none does.
// It allocates nothing once scratch has grown.
func (t *Table[T]) Match(r *Request, scratch *Scratch) (value T, ok bool) {
	rank := t.rules.first(r, scratch)
	if rank < 0 {
		return value, false
	}
	return t.values[rank], true
}

// Order is the names of the routers in the order they are asked.
func (t *Table[T]) Order() []string { return slices.Clone(t.names) }

// rules is the part of a table that does not depend on what routers lead to.
type rules struct {
	program program
	starts  []int32 // by rank: where the rule begins in program
	index   *index
}

func newRules(roots []*node) rules {
	s := rules{starts: make([]int32, len(roots)), index: newIndex(roots)}
	for rank, n := range roots {
		s.starts[rank] = s.program.add(n)
	}
	s.program.trim()
	return s
}

// first is the rank of the first rule that matches, or -1. Candidates come by rank, so the first to match is it.
func (s *rules) first(r *Request, scratch *Scratch) int32 {
	var l lookup
	l.begin(r, scratch)
	s.index.candidates(&l)
	for last := int32(-1); ; {
		rank := s.index.next(scratch)
		switch {
		case rank == endOfList:
			return -1
		case rank == last: // in two lists
		case s.program.run(s.starts[rank], &l):
			return rank
		}
		last = rank
	}
}
