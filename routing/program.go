package routing

import (
	"net/netip"
	"regexp"
	"slices"

	"traffic_management/codec"
)

// Ends of a rule's program, as targets of jumps.
const (
	accept int32 = -1
	reject int32 = -2
)

// step is one matcher of a compiled rule and where to go on after it: another step, accept or reject. 32 bytes.
type step struct {
	kind    kind
	field   codec.FieldID // Header*
	method  codec.Method  // Method
	yes, no int32
	more    int32  // Header, Query: index of the key in names; *Regexp: in patterns; ClientIP: in networks
	text    string // what to compare with; HeaderRegexp, QueryRegexp: the key
}

// program is the rules of a table, flat. Immutable once it is built.
type program struct {
	steps    []step
	names    []string
	patterns []*regexp.Regexp
	networks []netip.Prefix
}

// add compiles one rule and returns where it begins.
func (p *program) add(n *node) int32 {
	start := int32(len(p.steps))
	p.emit(n, accept, reject)
	return start
}

// emit appends the steps of n, which go to yes or no in the end.
func (p *program) emit(n *node, yes, no int32) {
	if n.op == opMatcher {
		if n.negated {
			yes, no = no, yes
		}
		p.steps = append(p.steps, p.compile(n.match, yes, no))
		return
	}
	for i, k := range n.kids {
		behind := int32(len(p.steps)) + k.size
		switch {
		case i == len(n.kids)-1:
			p.emit(k, yes, no)
		case n.op == opAnd:
			p.emit(k, behind, no)
		default:
			p.emit(k, yes, behind)
		}
	}
}

func (p *program) compile(m *matcher, yes, no int32) step {
	s := step{kind: m.kind, field: m.field, method: m.method, yes: yes, no: no, text: m.value}
	switch m.kind {
	case kindHeader, kindQuery:
		s.more = int32(len(p.names))
		p.names = append(p.names, m.key)
	case kindHostRegexp, kindPathRegexp, kindHeaderRegexp, kindQueryRegexp:
		s.more = int32(len(p.patterns))
		p.patterns = append(p.patterns, m.pattern)
		s.text = m.key
	case kindClientIP:
		s.more = int32(len(p.networks))
		p.networks = append(p.networks, m.network)
	}
	if m.field == codec.FieldHost {
		s.kind = kindNever // the Host field is no field to rules: Host matches it
	}
	return s
}

// trim gives back the room that building took too much.
func (p *program) trim() {
	p.steps, p.names = slices.Clone(p.steps), slices.Clone(p.names)
	p.patterns, p.networks = slices.Clone(p.patterns), slices.Clone(p.networks)
}

// run evaluates the rule that begins at pc.
func (p *program) run(pc int32, l *lookup) bool {
	for pc >= 0 {
		s := &p.steps[pc]
		if p.test(s, l) {
			pc = s.yes
		} else {
			pc = s.no
		}
	}
	return pc == accept
}

func (p *program) test(s *step, l *lookup) bool {
	switch s.kind {
	case kindAlways:
		return true
	case kindHost:
		return string(l.bare) == s.text
	case kindHostWildcard:
		return string(l.parent) == s.text
	case kindHostRegexp:
		return p.patterns[s.more].Match(l.host)
	case kindPath:
		return string(l.path) == s.text
	case kindPathPrefix:
		return len(l.path) >= len(s.text) && string(l.path[:len(s.text)]) == s.text
	case kindPathRegexp:
		return p.patterns[s.more].Match(l.path)
	case kindMethod:
		if s.method != codec.MethodOther {
			return l.head.Method == s.method
		}
		return l.head.Method == codec.MethodOther && string(l.head.MethodName) == s.text
	case kindHeader, kindHeaderRegexp:
		return p.testHeader(s, l)
	case kindQuery, kindQueryRegexp:
		return p.testQuery(s, l)
	case kindClientIP:
		return p.networks[s.more].Contains(l.peer)
	}
	return false // kindNever
}

// testHeader asks every field line of the name; lines are not split at commas.
func (p *program) testHeader(s *step, l *lookup) bool {
	name := s.text
	if s.kind == kindHeader {
		name = p.names[s.more]
	}
	for i := range l.head.Fields {
		f := &l.head.Fields[i]
		if f.ID != s.field || f.ID == codec.FieldOther && !codec.EqualFold(f.Name, name) {
			continue
		}
		if s.kind == kindHeader {
			if string(f.Value) == s.text {
				return true
			}
		} else if p.patterns[s.more].Match(f.Value) {
			return true
		}
	}
	return false
}

// testQuery asks every parameter of the key.
func (p *program) testQuery(s *step, l *lookup) bool {
	key := s.text
	if s.kind == kindQuery {
		key = p.names[s.more]
	}
	for _, q := range l.params() {
		text := l.scratch.text
		if string(text[q.start:q.middle]) != key {
			continue
		}
		value := text[q.middle:q.end]
		if s.kind == kindQuery {
			if string(value) == s.text {
				return true
			}
		} else if p.patterns[s.more].Match(value) {
			return true
		}
	}
	return false
}
