package routing

import (
	"bytes"
	"cmp"
	"slices"
)

// index proposes the rules that may match a request. Rules are named by their rank: their position in the order of
// the table. Every rule lies under the host and path each of its branches demands, so none that matches is missed.
// Immutable once it is built.
//
// A set of hosts has a tree over paths: compressed, one node for each place where listed paths end or part.
type index struct {
	one   map[string]uint32 // roots by host
	many  map[string]uint32 // roots by what follows the first label of the host, dot included
	all   uint32            // root of the rules that demand no host
	nodes []pathNode
	first []byte  // for every node, the first byte of its label; 0 for roots
	ranks []int32 // lists of candidates, each ascending
}

// pathNode is one node of a tree over paths. 40 bytes.
type pathNode struct {
	label    string // the bytes from the parent's end to here
	kids     uint32 // nodes[kids : kids+width], by first byte
	list     uint32 // where this node's candidates begin in ranks
	prefixes uint32 // candidates with a prefix that ends here
	exacts   uint32 // candidates, behind those, with a path that ends here
	width    uint16
}

// cursor walks one list of candidates: ranks[at:end]. rank is ranks[at], or endOfList.
type cursor struct {
	at, end uint32
	rank    int32
}

const endOfList = int32(1<<31 - 1)

// collect adds a cursor for every list under root that a path belongs to.
func (x *index) collect(root uint32, path []byte, s *Scratch) {
	n := &x.nodes[root]
	for {
		if n.prefixes > 0 {
			s.cursors = append(s.cursors, cursor{n.list, n.list + n.prefixes, x.ranks[n.list]})
		}
		if len(path) == 0 {
			if at := n.list + n.prefixes; n.exacts > 0 {
				s.cursors = append(s.cursors, cursor{at, at + n.exacts, x.ranks[at]})
			}
			return
		}
		i := bytes.IndexByte(x.first[n.kids:n.kids+uint32(n.width)], path[0])
		if i < 0 {
			return
		}
		n = &x.nodes[n.kids+uint32(i)]
		if len(path) < len(n.label) || string(path[:len(n.label)]) != n.label {
			return
		}
		path = path[len(n.label):]
	}
}

// candidates sets the scratch's cursors to all lists that may hold a match.
func (x *index) candidates(l *lookup) {
	s := l.scratch
	s.cursors = s.cursors[:0]
	if root, ok := x.one[string(l.bare)]; ok {
		x.collect(root, l.path, s)
	}
	if root, ok := x.many[string(l.parent)]; ok {
		x.collect(root, l.path, s)
	}
	x.collect(x.all, l.path, s)
}

// next is the lowest rank the cursors have not given yet, or endOfList. A rank may come more than once.
func (x *index) next(s *Scratch) int32 {
	var low *cursor
	rank := endOfList
	for i := range s.cursors {
		if c := &s.cursors[i]; c.rank < rank {
			low, rank = c, c.rank
		}
	}
	if low != nil {
		low.at++
		low.rank = endOfList
		if low.at < low.end {
			low.rank = x.ranks[low.at]
		}
	}
	return rank
}

// place is one entry of the index while it is built: the rule of this rank, under these hosts and this path.
type place struct {
	root uint32
	path pathSet
	rank int32
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.root, q.root), p.path.compare(q.path), cmp.Compare(p.rank, q.rank))
}

// newIndex indexes rules, given by rank.
func newIndex(rules []*node) *index {
	x := &index{one: map[string]uint32{}, many: map[string]uint32{}}
	var places []place
	roots := uint32(1)
	for rank, n := range rules {
		for _, b := range branches(n) {
			places = append(places, place{x.root(b.host, &roots), b.path, int32(rank)})
		}
	}
	slices.SortFunc(places, place.compare)
	places = slices.Compact(places)
	x.nodes, x.first = make([]pathNode, roots), make([]byte, roots)
	for len(places) > 0 {
		root := places[0].root
		end := groupEnd(places, func(p place) bool { return p.root == root })
		x.fill(root, places[:end], 0)
		places = places[end:]
	}
	x.nodes, x.first, x.ranks = slices.Clone(x.nodes), slices.Clone(x.first), slices.Clone(x.ranks)
	return x
}

// root is the tree of a set of hosts; a new one takes the next number.
func (x *index) root(h hostSet, next *uint32) uint32 {
	trees := x.one
	switch h.spread {
	case spreadAll:
		return x.all
	case spreadMany:
		trees = x.many
	}
	r, ok := trees[h.name]
	if !ok {
		r = *next
		*next++
		trees[h.name] = r
	}
	return r
}

// groupEnd is how many places from the first on are in.
func groupEnd(places []place, in func(place) bool) int {
	n := 0
	for n < len(places) && in(places[n]) {
		n++
	}
	return n
}

// fill makes node the tree of places, which are sorted and share their first depth bytes.
func (x *index) fill(node uint32, places []place, depth int) {
	n := pathNode{label: x.nodes[node].label, list: uint32(len(x.ranks))}
	for len(places) > 0 && len(places[0].path.text) == depth {
		if places[0].path.spread == spreadOne {
			n.exacts++
		} else {
			n.prefixes++
		}
		x.ranks = append(x.ranks, places[0].rank)
		places = places[1:]
	}
	type group struct {
		places []place
		depth  int
	}
	var groups []group
	n.kids = uint32(len(x.nodes))
	for len(places) > 0 {
		c := places[0].path.text[depth]
		end := groupEnd(places, func(p place) bool { return p.path.text[depth] == c })
		to := depth + common(places[0].path.text[depth:], places[end-1].path.text[depth:])
		x.nodes = append(x.nodes, pathNode{label: places[0].path.text[depth:to]})
		x.first = append(x.first, c)
		groups = append(groups, group{places[:end], to})
		places = places[end:]
	}
	n.width = uint16(len(groups))
	x.nodes[node] = n
	for i, g := range groups {
		x.fill(n.kids+uint32(i), g.places, g.depth)
	}
}

// common is how many bytes a and b begin with in common.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
