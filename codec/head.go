package codec

import (
	"bytes"
	"unsafe"
)

// Version is the protocol version of one message.
type Version uint8

// Versions a message can have.
const (
	HTTP10 Version = iota + 1 // HTTP/1.0, and every lesser minor version
	HTTP11                    // HTTP/1.1, and every greater minor version (RFC 9112 section 2.3)
	HTTP2                     // HTTP/2
)

func (v Version) String() string {
	switch v {
	case HTTP10:
		return "HTTP/1.0"
	case HTTP11:
		return "HTTP/1.1"
	case HTTP2:
		return "HTTP/2.0"
	}
	return "HTTP/?"
}

// TargetForm is one of the four forms of a request target (RFC 9112 section 3.2).
type TargetForm uint8

// The four forms.
const (
	OriginForm    TargetForm = iota // "/where?q=now"
	AbsoluteForm                    // "http://host/where?q=now"
	AuthorityForm                   // "host:port", CONNECT only
	AsteriskForm                    // "*", OPTIONS only
)

// Framing tells how the content of a message is delimited (RFC 9112 section 6.3).
type Framing uint8

// The ways content is delimited.
const (
	NoContent   Framing = iota // the message ends with its field section
	ByLength                   // Head.Length bytes follow
	ByChunks                   // chunked transfer coding
	ByClose                    // until the connection closes; responses only
	ByEndStream                // HTTP/2: until END_STREAM
)

func (f Framing) String() string {
	return [...]string{"no content", "content-length", "chunked", "until close", "end of stream"}[f]
}

// ConnOption is a set of the connection options of a message that mean something to us (RFC 9110 section 7.6.1).
type ConnOption uint8

// Known connection options.
const (
	OptClose     ConnOption = 1 << iota // "close"
	OptKeepAlive                        // "keep-alive", HTTP/1.0
	OptUpgrade                          // "upgrade"
	OptTE                               // "te"
	OptNames                            // names of fields that this hop must remove
)

// Field is one field line. Name and Value are lent with the Head they belong to.
type Field struct {
	Name  []byte  // as received: case is kept
	Value []byte  // without surrounding optional white space
	ID    FieldID // the name's, or FieldOther, which is looked up again when it matters; FieldRemoved: not to be sent
}

// NewField is a field with a known name in its usual spelling; value is lent.
func NewField(id FieldID, value []byte) Field {
	return Field{Name: wireNames[id], Value: value, ID: id}
}

// Head is the control data and field section of one message, of any version.
//
// Every slice is lent: it points into the bytes the head was parsed from, or into what a caller of Set passed, and is
// valid as long as those are. Rebase moves a head to other bytes. One goroutine, the loop's, touches it.
type Head struct {
	Version Version
	Method  Method // requests; MethodOther has its name in MethodName only
	Form    TargetForm
	Framing Framing
	Options ConnOption

	Status int   // responses: 100 to 999; 0 marks a request
	Length int64 // content length in bytes with ByLength, else -1

	MethodName []byte // requests
	Target     []byte // requests: the request target as received
	Scheme     []byte // requests: from the absolute form or :scheme; empty otherwise
	Authority  []byte // requests: from the absolute form, else the Host field's value, else empty
	Path       []byte // requests: the escaped path of the target; "*" in asterisk form, empty in authority form
	Query      []byte // requests: after "?", without it; nil when there is no "?"
	Reason     []byte // responses

	Fields []Field
}

// Reset empties the head for the next message; the room for fields is kept.
func (h *Head) Reset() {
	*h = Head{Fields: h.Fields[:0], Length: -1}
}

// Get returns the value of the first field with this known name, or nil.
func (h *Head) Get(id FieldID) []byte {
	for i := range h.Fields {
		if h.Fields[i].ID == id {
			return h.Fields[i].Value
		}
	}
	return nil
}

// Lookup returns the value of the first field of this name, of any case, and whether there is one.
func (h *Head) Lookup(name string) ([]byte, bool) {
	id := LookupFieldID([]byte(name))
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.ID == id && (id != FieldOther || EqualFold(f.Name, name)) {
			return f.Value, true
		}
	}
	return nil, false
}

// Set removes every field of this known name and, unless value is nil, appends one with it. value is lent as long as
// the head.
func (h *Head) Set(id FieldID, value []byte) {
	h.Remove(id)
	if value != nil {
		h.Fields = append(h.Fields, NewField(id, value))
	}
}

// Remove marks every field of this known name as not to be sent.
func (h *Head) Remove(id FieldID) {
	for i := range h.Fields {
		if h.Fields[i].ID == id {
			h.Fields[i].ID = FieldRemoved
		}
	}
}

// RemoveName is Remove for a name in any case, known or not.
func (h *Head) RemoveName(name []byte) {
	if id := LookupFieldID(name); id != FieldOther {
		h.Remove(id)
		return
	}
	for i := range h.Fields {
		if f := &h.Fields[i]; f.ID == FieldOther && EqualFold(f.Name, unsafe.String(unsafe.SliceData(name), len(name))) {
			f.ID = FieldRemoved
		}
	}
}

// Rebase makes every slice of the head that points into from point to the same offset of to, which holds the same
// bytes. Slices that point elsewhere stay.
func (h *Head) Rebase(from, to []byte) {
	if len(from) == 0 {
		return
	}
	r := rebase{uintptr(unsafe.Pointer(unsafe.SliceData(from))), uintptr(len(from)), to}
	r.move(&h.MethodName)
	r.move(&h.Target)
	r.move(&h.Scheme)
	r.move(&h.Authority)
	r.move(&h.Path)
	r.move(&h.Query)
	r.move(&h.Reason)
	for i := range h.Fields {
		r.move(&h.Fields[i].Name)
		r.move(&h.Fields[i].Value)
	}
}

type rebase struct {
	base, size uintptr
	to         []byte
}

func (r *rebase) move(s *[]byte) {
	if len(*s) == 0 {
		return
	}
	if off := uintptr(unsafe.Pointer(unsafe.SliceData(*s))) - r.base; off < r.size {
		*s = r.to[off : off+uintptr(len(*s)) : off+uintptr(len(*s))]
	}
}

// Clone is a copy of the head in memory of its own, without the fields that are not to be sent.
func (h *Head) Clone() Head {
	c := *h
	for _, s := range []*[]byte{&c.MethodName, &c.Target, &c.Scheme, &c.Authority, &c.Path, &c.Query, &c.Reason} {
		*s = bytes.Clone(*s)
	}
	c.Fields = CloneFields(h.Fields)
	return c
}

// CloneFields is a copy of fields in memory of its own, without those that are not to be sent.
func CloneFields(fields []Field) []Field {
	c := make([]Field, 0, len(fields))
	for _, f := range fields {
		if f.ID != FieldRemoved {
			c = append(c, Field{Name: bytes.Clone(f.Name), Value: bytes.Clone(f.Value), ID: f.ID})
		}
	}
	return c
}
