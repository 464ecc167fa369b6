package routing

import (
	"cmp"
	"slices"
	"strings"
)

// maxBranches bounds what multiplying out one conjunction may give; what would go over it is left to the program.
const maxBranches = 256

// branch is one way to fulfil a rule: a conjunction. A request that a rule matches fulfils at least one of its
// branches; with whole, one that fulfils the branch is matched by the rule.
type branch struct {
	host  hostSet
	path  pathSet
	rest  []*node // the other matchers, all of which must hold
	whole bool    // nothing of the conjunction was left out
}

// spread tells how many members a set of hosts or paths has.
type spread uint8

const (
	spreadAll  spread = iota // every one
	spreadMany               // hosts of one label before a common end; paths with a common prefix
	spreadOne                // a single one
)

func (s spread) String() string { return [...]string{"all", "many", "one"}[s] }

// hostSet is the hosts a branch demands. Two sets are disjoint, or one covers the other.
type hostSet struct {
	spread spread
	name   string // spreadOne: the host without trailing dot; spreadMany: what follows the first label, dot included
}

// covers reports whether every member of u is in h.
func (h hostSet) covers(u hostSet) bool {
	switch {
	case h.spread == spreadAll || h == u:
		return true
	case h.spread == spreadMany && u.spread == spreadOne:
		return u.parent() == h.name
	}
	return false
}

// parent is what follows the first label, dot included; empty when there is no dot.
func (h hostSet) parent() string {
	if i := strings.IndexByte(h.name, '.'); i >= 0 {
		return h.name[i:]
	}
	return ""
}

// pathSet is the routing paths a branch demands. Two sets are disjoint, or one covers the other.
type pathSet struct {
	spread spread
	text   string // spreadOne: the path; spreadMany: the prefix
}

// covers reports whether every member of u is in p.
func (p pathSet) covers(u pathSet) bool {
	switch p.spread {
	case spreadAll:
		return true
	case spreadMany:
		return u.spread != spreadAll && strings.HasPrefix(u.text, p.text)
	}
	return p == u
}

// compare orders sets by text, wider ones first, so that a set stands before all it covers.
func (p pathSet) compare(u pathSet) int {
	return cmp.Or(cmp.Compare(p.text, u.text), cmp.Compare(p.spread, u.spread))
}

// excludes reports whether no request fulfils both branches. False may also mean that it cannot be told.
func (b *branch) excludes(c *branch) bool {
	if _, ok := meet(b.host, c.host); !ok {
		return true
	}
	if _, ok := meet(b.path, c.path); !ok {
		return true
	}
	for _, n := range b.rest {
		if n.bars(c) || slices.ContainsFunc(c.rest, n.excludes) {
			return true
		}
	}
	return slices.ContainsFunc(c.rest, func(n *node) bool { return n.bars(b) })
}

// demandsNoMoreThan reports whether every further condition of b is one of c too.
func (b *branch) demandsNoMoreThan(c *branch) bool {
	return !slices.ContainsFunc(b.rest, func(n *node) bool {
		return !slices.ContainsFunc(c.rest, func(o *node) bool {
			return n.negated == o.negated && n.match.same(o.match)
		})
	})
}

// bars reports whether a leaf is the negation of hosts or paths that cover those of b.
func (n *node) bars(b *branch) bool {
	host, path, ok := n.match.demands()
	return ok && n.negated && host.covers(b.host) && path.covers(b.path)
}

// excludes reports whether two leaves cannot both be true. False may also mean that it cannot be told.
func (n *node) excludes(o *node) bool {
	if n.negated != o.negated {
		return n.match.same(o.match)
	}
	if n.negated || n.match.kind != o.match.kind {
		return false
	}
	switch n.match.kind {
	case kindMethod:
		return n.match.value != o.match.value
	case kindClientIP:
		return !n.match.network.Overlaps(o.match.network)
	}
	return false
}

// meet is the intersection of two sets of a family in which sets are disjoint or nested; false when it is empty.
func meet[S interface{ covers(S) bool }](a, b S) (S, bool) {
	switch {
	case a.covers(b):
		return b, true
	case b.covers(a):
		return a, true
	}
	return a, false
}

// branches is a rule as a union of conjunctions. None at all: no request can match.
func branches(n *node) []branch {
	switch n.op {
	case opOr:
		var all []branch
		for _, k := range n.kids {
			all = append(all, branches(k)...)
		}
		return all
	case opAnd:
		return product(n.kids)
	}
	return leafBranches(n)
}

func leafBranches(n *node) []branch {
	b := branch{whole: true}
	m := n.match
	switch m.kind {
	case kindAlways, kindNever:
		if n.negated == (m.kind == kindAlways) {
			return nil
		}
		return []branch{b}
	}
	if host, path, ok := m.demands(); ok && !n.negated {
		b.host, b.path = host, path
	} else {
		b.rest = []*node{n}
	}
	return []branch{b}
}

// demands is the hosts and paths that m is true for, when it looks at nothing else.
func (m *matcher) demands() (host hostSet, path pathSet, ok bool) {
	switch m.kind {
	case kindHost:
		return hostSet{spreadOne, m.value}, pathSet{}, true
	case kindHostWildcard:
		return hostSet{spreadMany, m.value}, pathSet{}, true
	case kindPath:
		return hostSet{}, pathSet{spreadOne, m.value}, true
	case kindPathPrefix:
		return hostSet{}, pathSet{spreadMany, m.value}, true
	}
	return hostSet{}, pathSet{}, false
}

// product multiplies out a conjunction, the factors that tell most first: those are kept when it grows too large.
func product(kids []*node) []branch {
	factors := make([][]branch, len(kids))
	for i, k := range kids {
		factors[i] = branches(k)
	}
	slices.SortStableFunc(factors, func(a, b []branch) int { return weight(a) - weight(b) })
	all := []branch{{whole: true}}
	for _, f := range factors {
		if len(all) > 1 && len(f) > 1 && len(all)*len(f) > maxBranches {
			for i := range all {
				all[i].whole = false
			}
			continue
		}
		all = cross(all, f)
	}
	return all
}

// weight orders factors: single branches, which multiply nothing, then those that demand a host, then a path.
func weight(f []branch) int {
	switch {
	case len(f) <= 1:
		return 0
	case !slices.ContainsFunc(f, func(b branch) bool { return b.host.spread == spreadAll }):
		return 1
	case !slices.ContainsFunc(f, func(b branch) bool { return b.path.spread == spreadAll }):
		return 2
	}
	return 3
}

// cross is every branch of as together with every one of bs, without those that contradict themselves.
func cross(as, bs []branch) []branch {
	all := make([]branch, 0, len(as)*len(bs))
	for _, a := range as {
		for _, b := range bs {
			host, ok := meet(a.host, b.host)
			if !ok {
				continue
			}
			path, ok := meet(a.path, b.path)
			if !ok {
				continue
			}
			all = append(all, branch{host, path, slices.Concat(a.rest, b.rest), a.whole && b.whole})
		}
	}
	return all
}
