package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// loader walks the nodes of one document along the description of the keys, and gathers what is wrong with it.
type loader struct {
	file      string
	env       func(string) (string, bool)
	kinds     []string            // of middlewares that the program brings
	positions map[string]Position // of every key path met
	errs      Errors
	told      map[fault]bool
}

// fault tells faults apart: what an alias repeats is told once.
type fault struct {
	at  Position
	msg string
}

// site is the place of a value: in the document, and in the description.
type site struct {
	path    string // as in "services.api.servers[0]"
	pattern string // as in "services.*.servers[]", the form of the rows of notYet
	pos     Position
}

func (s site) key(name string) site {
	if s.path == "" {
		return site{name, name, s.pos}
	}
	return site{s.path + "." + name, s.pattern + "." + name, s.pos}
}

func (s site) name(name string) site { return site{s.path + "." + name, s.pattern + ".*", s.pos} }

func (s site) index(i int) site {
	return site{s.path + "[" + strconv.Itoa(i) + "]", s.pattern + "[]", s.pos}
}

// entry is one key of a mapping with its value, which may be an alias, or an element of a list, which has no key.
type entry struct {
	key, value *yaml.Node
}

func (l *loader) position(n *yaml.Node) Position { return Position{l.file, n.Line, n.Column} }

func (l *loader) fail(at site, format string, args ...any) { l.failAt(at.pos, at, format, args...) }

// failAt tells a fault of the key at a position of its own.
func (l *loader) failAt(pos Position, at site, format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	if f := (fault{pos, msg}); !l.told[f] {
		l.told[f] = true
		l.errs = append(l.errs, Error{pos, at.path, msg})
	}
}

// wrong tells of a key that does not go with others, where the file gives it or else the nearest key above it.
func (l *loader) wrong(path, format string, args ...any) {
	l.failAt(nearestPosition(l.file, l.positions, path), site{path: path}, format, args...)
}

// given reports whether the file gives the key.
func (l *loader) given(path string) bool {
	_, ok := l.positions[path]
	return ok
}

// refused reports whether a fault of the key has been told: what was loaded is not what the file says.
func (l *loader) refused(path string) bool {
	return slices.ContainsFunc(l.errs, func(e Error) bool { return e.Key == path })
}

// load loads the value of an entry. A mapping or list has the position of its key, which tells more than that of its
// first element; anything else has its own. at comes with the position of what is around it, which a null in a list
// keeps: YAML gives it that of whatever comes next.
func (l *loader) load(v value, at site, e entry) {
	n := resolve(e.value)
	null := n.ShortTag() == "!!null"
	switch {
	case n.Kind == yaml.ScalarNode && !null, e.key == nil && !null:
		at.pos = l.position(e.value)
	case e.key != nil:
		at.pos = l.position(e.key)
	}
	l.positions[at.path] = at.pos
	v.load(l, at, n)
}

// resolve is the node that an alias stands for, or n.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// entries returns the keys of a mapping, those of merged mappings after its own; none for a null.
func (l *loader) entries(at site, n *yaml.Node) ([]entry, bool) {
	switch {
	case n.ShortTag() == "!!null":
		return nil, true
	case n.Kind != yaml.MappingNode || n.ShortTag() != "!!map":
		l.fail(at, "expected a mapping, got %s", got(n))
		return nil, false
	}
	m := merge{loader: l, at: at, first: map[string]bool{}, merged: map[*yaml.Node]bool{}}
	m.add(n)
	return m.entries, true
}

// merge gathers the keys of a mapping and of those merged into it with "<<".
type merge struct {
	*loader
	at      site
	entries []entry
	first   map[string]bool     // keys that have an entry; the first one holds
	merged  map[*yaml.Node]bool // mappings seen, so that one that merges itself ends
}

func (m *merge) add(n *yaml.Node) {
	if m.merged[n] {
		return
	}
	m.merged[n] = true
	var sources []*yaml.Node
	own := make(map[string]int, len(n.Content)/2) // line of each key of this mapping
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := resolve(n.Content[i])
		switch line, twice := own[k.Value]; {
		case k.Kind != yaml.ScalarNode:
			m.failAt(m.position(n.Content[i]), m.at, "expected a key, got %s", got(k))
		case twice:
			m.failAt(m.position(n.Content[i]), m.at.key(k.Value), "given twice, first on line %d", line)
		case k.ShortTag() == "!!merge":
			own[k.Value] = n.Content[i].Line
			sources = append(sources, n.Content[i+1])
		default:
			own[k.Value] = n.Content[i].Line
			if !m.first[k.Value] {
				m.first[k.Value] = true
				m.entries = append(m.entries, entry{&yaml.Node{Kind: yaml.ScalarNode, Value: k.Value,
					Line: n.Content[i].Line, Column: n.Content[i].Column}, n.Content[i+1]})
			}
		}
	}
	for _, s := range sources {
		m.addMerged(s, true)
	}
}

// addMerged adds the value of a "<<" key: a mapping, or a list of mappings.
func (m *merge) addMerged(n *yaml.Node, listAllowed bool) {
	switch r := resolve(n); {
	case r.Kind == yaml.MappingNode:
		m.add(r)
	case r.Kind == yaml.SequenceNode && listAllowed:
		for _, element := range r.Content {
			m.addMerged(element, false)
		}
	default:
		m.failAt(m.position(n), m.at, "expected a mapping, or a list of them, to merge, got %s", got(r))
	}
}

// elements returns the nodes of a list, none for a null.
func (l *loader) elements(at site, n *yaml.Node, expected string) ([]*yaml.Node, bool) {
	switch {
	case n.ShortTag() == "!!null":
		return nil, true
	case n.Kind != yaml.SequenceNode || n.ShortTag() != "!!seq":
		l.fail(at, "expected %s, got %s", expected, got(n))
		return nil, false
	}
	return n.Content, true
}

// scalarText returns the text of a single value with the environment put in, when it is of the form's kind and this
// version supports it.
func (l *loader) scalarText(at site, n *yaml.Node, form *shape) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		l.fail(at, "expected %s, got %s", form.expected, got(n))
		return "", false
	}
	s, err := substitute(n.Value, l.env, form.keeps)
	switch {
	case err != nil:
		l.fail(at, "%v", err)
		return "", false
	case s == n.Value && !form.kind.takes(n.ShortTag()):
		l.fail(at, "expected %s, got %s", form.expected, got(n))
		return "", false
	case valueNotYet(at.pattern, s):
		l.fail(at, "%s is %s", got(n), notYetMsg)
		return "", false
	}
	return s, true
}

// takes reports whether a scalar with this YAML tag can be a value of the kind. Dates are text like any other.
func (k kind) takes(tag string) bool {
	switch k {
	case kindText:
		return tag == "!!str" || tag == "!!timestamp"
	case kindStatus:
		return tag == "!!int" || tag == "!!str"
	case kindVersion:
		return tag == "!!float" || tag == "!!str"
	case kindInteger:
		return tag == "!!int"
	case kindNumber:
		return tag == "!!int" || tag == "!!float"
	case kindBoolean:
		return tag == "!!bool"
	}
	return false
}

func (l *loader) unknownKey(at site, e entry, o *object) {
	name, names := e.key.Value, l.names(o)
	at = at.key(name)
	switch near := nearest(name, names); {
	case keyNotYet(at.pattern):
		l.failAt(l.position(e.key), at, notYetMsg)
	case near != "":
		l.failAt(l.position(e.key), at, "unknown key, did you mean %q?", near)
	default:
		slices.Sort(names)
		l.failAt(l.position(e.key), at, "unknown key, expected one of %s", strings.Join(names, ", "))
	}
}

// names are the keys that a mapping may have.
func (l *loader) names(o *object) []string {
	if o.custom == nil {
		return o.names()
	}
	return append(o.names(), l.kinds...)
}

// notOne tells of a mapping of alternatives that has none of them, or more than one.
func (l *loader) notOne(at site, entries []entry, o *object) {
	expected := "exactly one of " + strings.Join(l.names(o), ", ")
	if len(entries) == 0 {
		l.fail(at, "expected %s, got none", expected)
		return
	}
	second := entries[1].key
	l.failAt(l.position(second), at.key(second.Value), "a second kind beside %s, expected %s", entries[0].key.Value, expected)
}

// longest is how many characters of a text a message shows.
const longest = 60

// got says what a node is, for messages. The environment's part of a text is not shown: it may be a secret.
func got(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return tagged(n, "a mapping")
	case yaml.SequenceNode:
		return tagged(n, "a list")
	}
	s := n.Value
	if r := []rune(s); len(r) > longest {
		s = string(r[:longest]) + "..."
	}
	switch tag := n.ShortTag(); {
	case tag == "!!null":
		return "nothing"
	case strings.Contains(s, "${"):
		return fmt.Sprintf("the value of %q", s)
	case tag == "!!int" || tag == "!!float" || tag == "!!bool":
		return s
	}
	return tagged(n, strconv.Quote(s))
}

// tagged adds the tag of a node that has one of its own: what begins with "!" is a tag in YAML, seldom on purpose.
func tagged(n *yaml.Node, s string) string {
	if n.Style&yaml.TaggedStyle == 0 {
		return s
	}
	return fmt.Sprintf("%s with the tag %s (quote a text that begins with '!')", s, n.Tag)
}
