package config

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// section is a mapping with known keys.
func section(k keyed) value { return sectionValue{describe(k)} }

type sectionValue struct{ object *object }

func (s sectionValue) reset() {
	for _, k := range s.object.members {
		k.value.reset()
	}
}

func (s sectionValue) shape() shape {
	return shape{kind: kindMapping, expected: "a mapping", object: s.object}
}

func (s sectionValue) load(l *loader, at site, n *yaml.Node) {
	entries, ok := l.entries(at, n)
	if !ok {
		return
	}
	o := s.object
	if o.one && len(entries) != 1 {
		l.notOne(at, entries, o)
	}
	given := make(map[string]bool, len(entries))
	for _, e := range entries {
		k := o.find(e.key.Value)
		switch {
		case k != nil:
		case o.custom != nil && slices.Contains(l.kinds, e.key.Value):
			*o.custom = l.loadCustom(at.key(e.key.Value), e)
			continue
		default:
			l.unknownKey(at, e, o)
			continue
		}
		given[k.name] = true
		l.load(k.value, at.key(k.name), e)
	}
	for _, k := range o.members {
		if k.required && !given[k.name] {
			l.fail(at.key(k.name), "missing, expected %s", k.value.shape().expected)
		}
	}
}

// pointerTo is *T where *T has known keys.
type pointerTo[T any] interface {
	*T
	keyed
}

// optional is a section that may be left out, which leaves nil.
func optional[T any, P pointerTo[T]](dst *P) value { return optionalValue[T, P]{dst} }

type optionalValue[T any, P pointerTo[T]] struct{ dst *P }

func (o optionalValue[T, P]) reset() { *o.dst = nil }

func (o optionalValue[T, P]) shape() shape {
	form := section(P(new(T))).shape()
	form.optional = true
	return form
}

func (o optionalValue[T, P]) load(l *loader, at site, n *yaml.Node) {
	*o.dst = new(T)
	s := section(*o.dst)
	s.reset()
	s.load(l, at, n)
}

// byName is a mapping from names that the user chooses to sections.
func byName[T any, P pointerTo[T]](dst *map[string]P, atLeast int) value {
	return byNameValue[T, P]{dst, atLeast}
}

type byNameValue[T any, P pointerTo[T]] struct {
	dst     *map[string]P
	atLeast int
}

func (b byNameValue[T, P]) reset() { *b.dst = map[string]P{} }

func (b byNameValue[T, P]) shape() shape {
	form := shape{kind: kindByName, expected: "a mapping from names", element: section(P(new(T))), atLeast: b.atLeast}
	if b.atLeast > 0 {
		form.expected += " with at least one in it"
	}
	return form
}

func (b byNameValue[T, P]) load(l *loader, at site, n *yaml.Node) {
	entries, ok := l.entries(at, n)
	if !ok {
		return
	}
	if len(entries) < b.atLeast {
		l.fail(at, "expected %s, got none", b.shape().expected)
	}
	for _, e := range entries {
		if !isName(e.key.Value) {
			l.failAt(l.position(e.key), at.key(e.key.Value),
				"expected a name of letters, digits, '_', '-' and '.', got %q", e.key.Value)
			continue
		}
		element := P(new(T))
		s := section(element)
		s.reset()
		(*b.dst)[e.key.Value] = element
		l.load(s, at.name(e.key.Value), e)
	}
}

// maxName is the longest name of an entry point, service, router or middleware.
const maxName = 100

// isName reports whether s can name things: in key paths, metrics and logs it stands without quotes.
func isName(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
	return s != "" && len(s) <= maxName && strings.Trim(s, letters) == ""
}

// list is a list of what element describes.
func list[T any](dst *[]T, atLeast int, element func(*T) value) value {
	return listValue[T]{dst, nil, atLeast, element}
}

// listOr is list with a default.
func listOr[T any](dst *[]T, first []T, element func(*T) value) value {
	return listValue[T]{dst, first, 0, element}
}

type listValue[T any] struct {
	dst     *[]T
	first   []T // the default
	atLeast int
	element func(*T) value
}

func (v listValue[T]) reset() { *v.dst = slices.Clone(v.first) }

func (v listValue[T]) shape() shape {
	element := v.element(new(T))
	form := shape{kind: kindList, expected: "a list", element: element, atLeast: v.atLeast}
	if v.atLeast > 0 {
		form.expected += " with at least one element"
	}
	if v.first != nil {
		words := make([]string, len(v.first))
		for i, e := range v.first {
			words[i] = fmt.Sprint(e)
		}
		form.initial = words
	}
	return form
}

func (v listValue[T]) load(l *loader, at site, n *yaml.Node) {
	nodes, ok := l.elements(at, n, v.shape().expected)
	if !ok {
		return
	}
	if len(nodes) < v.atLeast {
		l.fail(at, "expected %s, got none", v.shape().expected)
	}
	// The whole list first: elements stay where they are while they are loaded.
	*v.dst = make([]T, len(nodes))
	for i, node := range nodes {
		e := v.element(&(*v.dst)[i])
		e.reset()
		l.load(e, at.index(i), entry{value: node})
	}
}

// switches is a mapping from known names to true or false; those not given are true.
func switches(dst *map[string]bool, words []string) value { return switchesValue{dst, words} }

type switchesValue struct {
	dst   *map[string]bool
	words []string
}

func (s switchesValue) reset() {
	*s.dst = make(map[string]bool, len(s.words))
	for _, w := range s.words {
		(*s.dst)[w] = true
	}
}

func (s switchesValue) shape() shape {
	return shape{kind: kindSwitches, expected: "a mapping from names to true or false", words: s.words}
}

// keys makes a description of the words, so that they are loaded as any section.
func (s switchesValue) keys(o *object) {
	for _, w := range s.words {
		o.key(w, switchValue{*s.dst, w}, "")
	}
}

func (s switchesValue) load(l *loader, at site, n *yaml.Node) { section(s).load(l, at, n) }

// switchValue is one of the booleans of switches.
type switchValue struct {
	on   map[string]bool
	word string
}

func (s switchValue) reset() { s.on[s.word] = true }

func (s switchValue) shape() shape { return boolean(new(bool), true).shape() }

func (s switchValue) load(l *loader, at site, n *yaml.Node) {
	on := s.on[s.word]
	boolean(&on, true).load(l, at, n)
	s.on[s.word] = on
}
