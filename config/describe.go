package config

import (
	"time"

	"gopkg.in/yaml.v3"
)

// keyed is a mapping of the file whose keys are known: a pointer to one of the package's types.
type keyed interface {
	// keys lists the keys in the order of the reference, bound to the fields of the receiver.
	keys(o *object)
}

// object is the description of one mapping.
type object struct {
	members []key
	one     bool     // the keys are alternatives: the file gives one of them
	custom  **Custom // where the value of a kind of the program's own is stored; nil: there are none
}

// key is one key of a mapping.
type key struct {
	name     string
	doc      string // Markdown; a sentence for a mapping, else a phrase
	required bool
	value    value
}

func describe(k keyed) *object {
	o := new(object)
	k.keys(o)
	return o
}

func (o *object) key(name string, v value, doc string) {
	o.members = append(o.members, key{name: name, doc: doc, value: v})
}

func (o *object) require(name string, v value, doc string) {
	o.members = append(o.members, key{name: name, doc: doc, value: v, required: true})
}

func (o *object) find(name string) *key {
	for i := range o.members {
		if o.members[i].name == name {
			return &o.members[i]
		}
	}
	return nil
}

func (o *object) names() []string {
	names := make([]string, len(o.members))
	for i := range o.members {
		names[i] = o.members[i].name
	}
	return names
}

// value is what a key may hold, bound to the place where it is stored.
type value interface {
	// reset stores the default.
	reset()
	// load checks n and stores what it holds; on a fault it tells l and leaves what was stored.
	load(l *loader, at site, n *yaml.Node)
	// shape describes the value.
	shape() shape
	// show returns what is stored as the file would have it, secrets left out; nil for nothing.
	show() any
}

// kind is the form of a value in the file.
type kind uint8

// Forms.
const (
	kindMapping  kind = iota + 1 // a mapping with known keys: shape.object
	kindByName                   // a mapping from names that the user chooses: shape.element
	kindFields                   // a mapping from field names to field values, or of claims to field names
	kindSwitches                 // a mapping from known names, shape.words, to booleans
	kindList                     // a list: shape.element
	kindText
	kindStatus  // a text, or an integer from shape.min to shape.max
	kindVersion // a text of shape.words, or the same as a number from shape.min to shape.max
	kindInteger
	kindNumber
	kindBoolean
)

// String is how messages and the schema call the form.
func (k kind) String() string {
	return [...]string{"?", "object", "object", "object", "object", "array", "string", "integer", "string", "integer", "number", "boolean"}[k]
}

// shape describes a value: all that messages, the schema and the reference say of it.
type shape struct {
	kind     kind
	expected string            // what a message says was expected
	initial  any               // the default as the file would have it; nil when there is none
	object   *object           // kindMapping
	optional bool              // kindMapping: to leave it out is not the same as to give it without keys
	element  value             // kindByName, kindFields and kindList
	words    []string          // kindSwitches and kindVersion, and kindText when these are the only values
	pattern  string            // kindText, kindStatus, and the names of kindFields: a regular expression, empty for any
	atLeast  int               // kindByName and kindList: fewest elements
	min, max any               // kindInteger, kindStatus, kindVersion and kindNumber
	keeps    func(string) bool // kindText: whether ${name} stays as it is in the text; nil: there is no such name
	unit     time.Duration     // what an integer that stands for a time counts
}
