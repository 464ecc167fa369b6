package routing

import (
	"fmt"
	"strconv"
	"strings"
)

// Rule is one parsed rule. It is immutable: any goroutine may use it.
type Rule struct {
	text string
	root *node
}

// SyntaxError says where and why a text is no rule.
type SyntaxError struct {
	Offset int    // bytes from the beginning of the text
	Line   int    // from 1
	Column int    // in bytes, from 1
	Msg    string // what was expected and, where there is one, the remedy
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Msg)
}

// Text is the rule as it was written. Its length in bytes is the default priority.
func (r *Rule) Text() string { return r.text }

// String is the rule in one spelling: negations at the matchers, arguments as they are compared. It parses to a rule
// that matches the same requests.
func (r *Rule) String() string { return r.root.String() }

// Hosts lists the hosts the rule names, for certificates, in the order of the text and without repetition: the
// arguments of Host that are not negated, in lower case, wildcards of one label included, `*` not.
func (r *Rule) Hosts() []string {
	var hosts []string
	seen := map[string]bool{}
	r.root.walk(func(n *node) {
		if n.negated {
			return
		}
		var h string
		switch n.match.kind {
		case kindHost:
			h = n.match.value
		case kindHostWildcard:
			h = "*" + n.match.value
		default:
			return
		}
		if !seen[h] {
			seen[h] = true
			hosts = append(hosts, h)
		}
	})
	return hosts
}

// nodeOp tells what a node of a rule's tree is.
type nodeOp uint8

const (
	opMatcher nodeOp = iota // a leaf: match, perhaps negated
	opAnd                   // all of kids
	opOr                    // any of kids
)

func (o nodeOp) String() string { return [...]string{"matcher", "and", "or"}[o] }

// node is one node of a rule in negation normal form. A kid never has the op of its parent: chains are flat.
type node struct {
	op      nodeOp
	negated bool     // opMatcher only
	match   *matcher // opMatcher only
	kids    []*node  // opAnd, opOr: two or more
	size    int32    // matchers below
}

func newLeaf(m *matcher, negated bool) *node {
	return &node{op: opMatcher, match: m, negated: negated, size: 1}
}

// join makes one node of kids, taking in the kids of those that have the same op.
func join(op nodeOp, kids []*node) *node {
	if len(kids) == 1 {
		return kids[0]
	}
	n := &node{op: op}
	for _, k := range kids {
		n.size += k.size
		if k.op == op {
			n.kids = append(n.kids, k.kids...)
		} else {
			n.kids = append(n.kids, k)
		}
	}
	return n
}

// walk calls f for every matcher, in the order of the text.
func (n *node) walk(f func(*node)) {
	if n.op == opMatcher {
		f(n)
		return
	}
	for _, k := range n.kids {
		k.walk(f)
	}
}

func (n *node) String() string {
	var b strings.Builder
	n.print(&b)
	return b.String()
}

func (n *node) print(b *strings.Builder) {
	if n.op == opMatcher {
		if n.negated {
			b.WriteByte('!')
		}
		n.match.print(b)
		return
	}
	operator := " || "
	if n.op == opAnd {
		operator = " && "
	}
	for i, k := range n.kids {
		if i > 0 {
			b.WriteString(operator)
		}
		if n.op == opAnd && k.op == opOr {
			b.WriteByte('(')
			k.print(b)
			b.WriteByte(')')
			continue
		}
		k.print(b)
	}
}

// printCall writes name("a", "b").
func printCall(b *strings.Builder, name string, args ...string) {
	b.WriteString(name)
	b.WriteByte('(')
	for i, a := range args {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(a))
	}
	b.WriteByte(')')
}
