package h2

import (
	"slices"

	"golang.org/x/net/http2/hpack"

	"traffic_management/codec"
)

// class tells what a name in a field section means to us.
type class uint8

const (
	classField     class = iota // a field
	classPriority               // the field "priority" (RFC 9218)
	classMethod                 // pseudo-header fields from here on
	classScheme                 //
	classAuthority              //
	classPath                   //
	classProtocol               //
	classStatus                 //
	classUnknown                // a pseudo-header field that nobody defined
	classInvalid                // not a name: no token, or in upper case
)

// label is a name that was looked up once, for all the fields that refer to it.
type label struct {
	class class
	id    codec.FieldID
}

// labelOf looks a name up as received.
func labelOf(name []byte) label {
	if len(name) > 0 && name[0] == ':' {
		return label{class: pseudoClass(name)}
	}
	id := codec.LookupFieldID(name)
	if len(name) == 0 {
		return label{class: classInvalid}
	}
	for _, c := range name {
		if !lowerToken[c] {
			return label{class: classInvalid}
		}
	}
	if id == codec.FieldOther && string(name) == "priority" {
		return label{class: classPriority}
	}
	return label{id: id}
}

func pseudoClass(name []byte) class {
	switch string(name) {
	case ":method":
		return classMethod
	case ":scheme":
		return classScheme
	case ":authority":
		return classAuthority
	case ":path":
		return classPath
	case ":protocol":
		return classProtocol
	case ":status":
		return classStatus
	}
	return classUnknown
}

// lowerToken is the set of bytes of names (RFC 9113 section 8.2.1): tchar but for upper case.
var lowerToken = func() (t [256]bool) {
	for c := range t {
		t[c] = codec.Classes[c]&codec.ClassToken != 0 && codec.Lower(byte(c)) == byte(c)
	}
	return t
}()

// constant is an entry of the static table. Known names have their usual spelling.
type constant struct {
	label
	name, value []byte
}

// staticTable is that of RFC 7541 appendix A, taken from the library; index 0 is unused.
var staticTable = func() (t [62]constant) {
	d := hpack.NewDecoder(0, nil)
	for i := 1; i < len(t); i++ {
		f, err := d.DecodeFull([]byte{0x80 | byte(i)})
		if err != nil {
			panic("h2: the library has no static table")
		}
		e := &t[i]
		e.label, e.name, e.value = labelOf([]byte(f[0].Name)), []byte(f[0].Name), []byte(f[0].Value)
		if e.id != codec.FieldOther {
			e.name = codec.NewField(e.id, nil).Name
		}
	}
	return t
}()

const (
	tableSize     = 4096 // what SETTINGS_HEADER_TABLE_SIZE says when nobody says anything
	entryOverhead = 32   // RFC 7541 section 4.1
)

// dynamicTable is the dynamic table of a decoder (RFC 7541 section 2.3.2). The zero value is empty, with no room. It holds
// no more memory than its entries need.
type dynamicTable struct {
	entries []dynamicEntry // oldest first; those before first are evicted
	bytes   []byte         // names and values in the order of entries; names only of fields that are not known
	first   int
	size    int // as RFC 7541 section 4.1 counts
	limit   int
}

type dynamicEntry struct {
	label
	invalid     bool // the value is none that a field may have
	name, value uint16
	size        uint16 // as RFC 7541 section 4.1 counts
	start       int32  // of name and value, in bytes
}

// at returns the entry of an index of the dynamic table, 0 the newest, or nil.
func (t *dynamicTable) at(i int) *dynamicEntry {
	if i = len(t.entries) - 1 - i; i < t.first {
		return nil
	}
	return &t.entries[i]
}

// text is the name, empty when it is a known one, and the value of an entry; lent until the next change.
func (t *dynamicTable) text(e *dynamicEntry) (name, value []byte) {
	b := t.bytes[e.start:]
	return b[:e.name], b[e.name : e.name+e.value]
}

// add inserts a field (RFC 7541 section 4.4). name and value must not be of the table itself.
func (t *dynamicTable) add(l label, name, value []byte, invalid bool) {
	size := len(name) + len(value) + entryOverhead
	t.evict(t.limit - size)
	if size > t.limit {
		return
	}
	if l.id != codec.FieldOther {
		name = nil
	}
	t.compact(len(name) + len(value))
	e := dynamicEntry{label: l, invalid: invalid, name: uint16(len(name)), value: uint16(len(value)), size: uint16(size),
		start: int32(len(t.bytes))}
	t.bytes = append(append(t.bytes, name...), value...)
	t.entries = append(t.entries, e)
	t.size += size
}

// resize changes the limit (RFC 7541 section 4.3).
func (t *dynamicTable) resize(limit int) {
	t.limit = limit
	t.evict(limit)
}

// evict drops the oldest entries until no more than size is taken.
func (t *dynamicTable) evict(size int) {
	for t.size > size && t.first < len(t.entries) {
		t.size -= int(t.entries[t.first].size)
		t.first++
	}
	if t.first == len(t.entries) {
		t.entries, t.bytes, t.first = t.entries[:0], t.bytes[:0], 0
	}
}

// compact makes room for one more entry of so many bytes. What was evicted goes first, once it is as much as the rest.
func (t *dynamicTable) compact(more int) {
	if len(t.entries) == cap(t.entries) {
		if t.first > len(t.entries)/2 {
			t.entries = t.entries[:copy(t.entries, t.entries[t.first:])]
			t.first = 0
		} else {
			t.entries = slices.Grow(t.entries, max(8, len(t.entries)/2))
		}
	}
	if len(t.bytes)+more <= cap(t.bytes) {
		return
	}
	gone := len(t.bytes)
	if t.first < len(t.entries) {
		gone = int(t.entries[t.first].start)
	}
	if gone < len(t.bytes)/4 || len(t.bytes)-gone+more > cap(t.bytes) {
		t.bytes = slices.Grow(t.bytes, max(more, 256, len(t.bytes)/2))
	}
	t.bytes = t.bytes[:copy(t.bytes, t.bytes[gone:])]
	for i := t.first; i < len(t.entries); i++ {
		t.entries[i].start -= int32(gone)
	}
}
