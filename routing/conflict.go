package routing

import (
	"fmt"
	"slices"
	"strings"
)

// ConflictKind tells what is wrong with a router beside the others.
type ConflictKind uint8

// Kinds of conflicts.
const (
	none        ConflictKind = iota
	Tie                      // same priority as another router, and some request can match both
	Unreachable              // all that the router matches goes to routers asked before it
	Impossible               // no request can match the router
)

func (k ConflictKind) String() string {
	return [...]string{"none", "tie", "unreachable", "impossible"}[k]
}

// Conflict is one finding for the operator.
type Conflict struct {
	Kind  ConflictKind
	Name  string // the router that loses
	Other string // the router asked before it; with Unreachable the first of them; empty with Impossible
	Text  string // a sentence that says so and what can be done
}

// Conflicts finds what the operator of these routers, all of one entry point, should know: at most one finding for each
// router, in the order of the table. Unreachable and Impossible are reported only where they are certain; a Tie, where
// the conditions do not exclude each other. The search is near linear and so not exhaustive: see maxLooks.
func Conflicts[T any](entries []Entry[T]) []Conflict {
	sorted := ordered(entries)
	s := newSearch(len(sorted))
	for i := range sorted {
		e := &sorted[i]
		s.add(contender{name: e.Name, priority: e.priority(), branches: branches(e.Rule.root)}, e.Rule.String())
	}
	return s.run()
}

// contender is one router in the search. Its rank is its position.
type contender struct {
	name     string
	priority int
	branches []branch
	twin     int32 // rank of the first router with the same rule; its own when it is that
	finding  Conflict
}

// search is one run of Conflicts.
type search struct {
	all    []contender
	twins  map[string]int32 // by rule in its one spelling: the first rank
	seen   map[box]bool     // what free holds
	free   shelves          // branches that ask for a host and a path only, the first for each pair of them
	bound  shelves          // branches with further conditions, none of them left out
	rivals shelves          // all branches, by priority
}

// box is a set of hosts and a set of paths.
type box struct {
	host hostSet
	path pathSet
}

func newSearch(size int) *search {
	return &search{
		all:    make([]contender, 0, size),
		twins:  make(map[string]int32, size),
		seen:   map[box]bool{},
		free:   shelves{},
		bound:  shelves{},
		rivals: shelves{},
	}
}

// add takes the next router in order.
func (s *search) add(c contender, rule string) {
	rank := int32(len(s.all))
	twin, ok := s.twins[rule]
	if !ok {
		twin = rank
		s.twins[rule] = rank
	}
	c.twin = twin
	s.all = append(s.all, c)
	for _, b := range c.branches {
		s.rivals.put(c.priority, spot{rank, b})
		switch at := (box{b.host, b.path}); {
		case !b.whole:
		case len(b.rest) > 0:
			s.bound.put(0, spot{rank, b})
		case !s.seen[at]:
			s.seen[at] = true
			s.free.put(0, spot{rank, b})
		}
	}
}

func (s *search) run() []Conflict {
	s.free.seal()
	s.bound.seal()
	s.rivals.seal()
	for rank := range s.all {
		s.judge(int32(rank))
	}
	for rank := range s.all {
		if s.all[rank].finding.Kind < Unreachable {
			s.ties(int32(rank))
		}
	}
	var found []Conflict
	for _, c := range s.all {
		if c.finding.Kind != none {
			found = append(found, c.finding)
		}
	}
	return found
}

// judge finds out whether a router can be reached at all.
func (s *search) judge(rank int32) {
	c := &s.all[rank]
	if len(c.branches) == 0 {
		c.finding = Conflict{Kind: Impossible, Name: c.name, Text: fmt.Sprintf("router %q matches no request: its "+
			"conditions exclude each other; to match any one of several hosts or paths, join them with ||", c.name)}
		return
	}
	var by []string
	for _, b := range c.branches {
		name, ok := s.shadow(rank, c.twin, b)
		if !ok {
			return
		}
		if !slices.Contains(by, name) {
			by = append(by, name)
		}
	}
	c.finding = Conflict{Kind: Unreachable, Name: c.name, Other: by[0], Text: fmt.Sprintf("router %q is never reached: "+
		"what it matches goes to %s first; give %q a higher priority, or remove it", c.name, quoted(by), c.name)}
}

// shadow finds a router before rank that takes all that fulfils b.
func (s *search) shadow(rank, twin int32, b branch) (name string, ok bool) {
	if twin < rank {
		return s.all[twin].name, true
	}
	takes := func(p *spot) bool {
		if p.rank >= rank || !p.demandsNoMoreThan(&b) {
			return false
		}
		name = s.all[p.rank].name
		return true
	}
	in := func(sh *shelf) bool { return sh.wider(b.path, takes) }
	ok = s.free.around(0, b.host, in) || s.bound.around(0, b.host, in)
	return name, ok
}

// ties finds routers of the same priority that can match what the router of this rank matches, and reports each pair for
// the later of the two, unless that has a finding. It looks at hosts as wide as the router's or wider: routers with
// narrower ones find this one.
func (s *search) ties(rank int32) {
	c := &s.all[rank]
	for _, b := range c.branches {
		record := func(p *spot) bool {
			winner, loser := &s.all[min(rank, p.rank)], &s.all[max(rank, p.rank)]
			if winner != loser && winner.finding.Kind < Unreachable && loser.finding.Kind == none && !p.excludes(&b) {
				loser.finding = tie(winner, loser)
			}
			return false
		}
		s.rivals.around(c.priority, b.host, func(sh *shelf) bool {
			return sh.wider(b.path, record) || sh.narrower(b.path, record)
		})
	}
}

func tie(winner, loser *contender) Conflict {
	return Conflict{Kind: Tie, Name: loser.name, Other: winner.name, Text: fmt.Sprintf("routers %q and %q have the same "+
		"priority %d and can match the same request; %q is then asked first, by its name; give one of them another priority",
		winner.name, loser.name, loser.priority, winner.name)}
}

// quoted lists names for a sentence, at most three of them.
func quoted(names []string) string {
	const most = 3
	var parts []string
	for _, n := range names[:min(len(names), most)] {
		parts = append(parts, fmt.Sprintf("%q", n))
	}
	if more := len(names) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("%d others", more))
	}
	return strings.Join(parts, ", ")
}
