package mw

import (
	"errors"
	"fmt"
	"slices"

	"traffic_management/codec"
)

// fieldNames is a list of field names; immutable.
type fieldNames []fieldName

type fieldName struct {
	id   codec.FieldID
	name []byte
}

// errNotAField is why a name can be none of a field that goes from one message to another.
var errNotAField = errors.New("the field is about the connection or the framing of one message")

// newFieldNames makes a list of names, all of which must be of fields that can be copied from one message to another.
func newFieldNames(names ...string) (fieldNames, error) {
	var all fieldNames
	for _, name := range names {
		n := fieldName{codec.LookupFieldID([]byte(name)), []byte(name)}
		switch {
		case !codec.IsToken(n.name):
			return nil, fmt.Errorf("%q is no name of a field", name)
		case codec.Traits[n.id]&(codec.TraitNotInRequest|codec.TraitNotInResponse|codec.TraitUpgrade) != 0,
			n.id == codec.FieldHost, n.id == codec.FieldExpect, n.id == codec.FieldTE, n.id == codec.FieldTrailer:
			return nil, fmt.Errorf("%s: %w", name, errNotAField)
		}
		all = append(all, n)
	}
	return all, nil
}

// is reports whether a field has the name.
func (n *fieldName) is(f *codec.Field) bool {
	return f.ID == n.id && (n.id != codec.FieldOther || codec.EqualFold(f.Name, n.name))
}

// has reports whether the list has the field's name.
func (l fieldNames) has(f *codec.Field) bool {
	return slices.ContainsFunc(l, func(n fieldName) bool { return n.is(f) })
}

// appendFrom appends the fields of these names, in their order in from, and lent as they are there.
func (l fieldNames) appendFrom(to, from []codec.Field) []codec.Field {
	for i := range from {
		if l.has(&from[i]) {
			to = append(to, from[i])
		}
	}
	return to
}

// remove marks the fields of these names as not to be sent.
func (l fieldNames) remove(fields []codec.Field) {
	for i := range fields {
		if l.has(&fields[i]) {
			fields[i].ID = codec.FieldRemoved
		}
	}
}
