package routing

import (
	"cmp"
	"slices"
	"sort"
)

// maxLooks bounds how many spots of one shelf are looked at for one branch. It keeps the search for conflicts near
// linear where thousands of rules share a host and a path; a conflict beyond it goes unreported.
const maxLooks = 64

// spot is one branch of the rule of this rank.
type spot struct {
	rank int32
	branch
}

// shelf is spots with the same set of hosts, sorted by path so that those with wider and those with narrower paths are
// found without a scan. It is filled first, then sealed, then read.
type shelf struct {
	spots  []spot
	groups []group
}

// group is the spots of one set of paths: spots[from:to], by rank.
type group struct {
	path     pathSet
	from, to int
	up       int // the narrowest group whose paths cover this one's, or -1
}

func (s *shelf) seal() {
	slices.SortFunc(s.spots, func(a, b spot) int {
		return cmp.Or(a.path.compare(b.path), cmp.Compare(a.rank, b.rank))
	})
	for i, p := range s.spots {
		if i == 0 || p.path != s.spots[i-1].path {
			s.groups = append(s.groups, group{path: p.path, from: i})
		}
		s.groups[len(s.groups)-1].to = i + 1
	}
	var open []int // the groups around the one at hand, widest first
	for i := range s.groups {
		g := &s.groups[i]
		for len(open) > 0 && !s.groups[open[len(open)-1]].path.covers(g.path) {
			open = open[:len(open)-1]
		}
		g.up = -1
		if len(open) > 0 {
			g.up = open[len(open)-1]
		}
		open = append(open, i)
	}
}

// wider calls f for spots whose paths cover p, narrowest first, until f returns true, and reports whether it did.
//
// A set that covers p sorts before p and covers all that sorts between the two, since that too begins with its prefix.
// So every one of them is on the way up from the last group that is not behind p.
func (s *shelf) wider(p pathSet, f func(*spot) bool) bool {
	looks := 0
	for i := s.behind(p) - 1; i >= 0 && looks < maxLooks; i = s.groups[i].up {
		if g := s.groups[i]; g.path.covers(p) && s.look(g, &looks, f) {
			return true
		}
	}
	return false
}

// narrower is wider for the spots whose paths p covers and which are not equal to p.
func (s *shelf) narrower(p pathSet, f func(*spot) bool) bool {
	looks := 0
	for i := s.behind(p); i < len(s.groups) && looks < maxLooks && p.covers(s.groups[i].path); i++ {
		if s.look(s.groups[i], &looks, f) {
			return true
		}
	}
	return false
}

// look calls f for the spots of a group, at most until maxLooks is reached.
func (s *shelf) look(g group, looks *int, f func(*spot) bool) bool {
	for i := g.from; i < g.to && *looks < maxLooks; i++ {
		*looks++
		if f(&s.spots[i]) {
			return true
		}
	}
	return false
}

// behind is the number of groups that do not sort behind p.
func (s *shelf) behind(p pathSet) int {
	return sort.Search(len(s.groups), func(i int) bool { return s.groups[i].path.compare(p) > 0 })
}

// shelfKey names a shelf: a set of hosts and, where only rules of the same priority matter, that priority.
type shelfKey struct {
	host     hostSet
	priority int
}

// shelves holds a shelf for each set of hosts.
type shelves map[shelfKey]*shelf

func (ss shelves) put(priority int, s spot) {
	key := shelfKey{s.host, priority}
	if ss[key] == nil {
		ss[key] = &shelf{}
	}
	ss[key].spots = append(ss[key].spots, s)
}

func (ss shelves) seal() {
	for _, s := range ss {
		s.seal()
	}
}

// around calls f for the shelves whose hosts cover h, until f returns true, and reports whether it did.
func (ss shelves) around(priority int, h hostSet, f func(*shelf) bool) bool {
	sets := [3]hostSet{{}, h, {spreadMany, h.parent()}}
	n := 1
	switch {
	case h.spread == spreadOne && h.parent() != "":
		n = 3
	case h.spread != spreadAll:
		n = 2
	}
	for _, set := range sets[:n] {
		if s := ss[shelfKey{set, priority}]; s != nil && f(s) {
			return true
		}
	}
	return false
}
