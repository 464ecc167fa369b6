// Package routing chooses the router of a request: the rule language of Traefik v3 (Host, Path, Header and so on),
// compiled to one immutable table with an index over hosts and paths. It does not know what a route leads to.
//
//	text ──Parse──▶ Rule ─┬─NewTable──▶ Table ──Match──▶ value of the first rule that matches
//	                      └─Conflicts──▶ ties and rules that are never reached, for the operator
//
// A Rule is a tree in negation normal form: "!" is pushed down to the matchers while parsing. Two things are made of
// it. branches turns it into a union of conjunctions, of which the index and Conflicts use the host and the path that
// each conjunction demands. program flattens it into steps with two jumps each, which evaluate the rule exactly.
// The index only ever proposes candidates; the program decides. So the answer is that of a linear scan.
package routing
