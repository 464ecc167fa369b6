package h2

import (
	"sync"

	"traffic_management/codec"
	"traffic_management/internal/invariant"
)

// sectionKind is what a field section belongs to.
type sectionKind uint8

const (
	sectionRequest  sectionKind = iota
	sectionResponse             // also an interim one
	sectionTrailers
	sectionIgnored // of a stream that is no more: only the tables of the decoder matter
)

func (k sectionKind) String() string {
	return [...]string{"request", "response", "trailers", "ignored"}[k]
}

// sectionFault is what is wrong with a field section, the first thing that was found.
type sectionFault uint8

const (
	sectionValid     sectionFault = iota
	sectionMalformed              // RFC 9113 section 8.1.1
	sectionLong                   // over Config.MaxHeadBytes
	sectionFields                 // over Config.MaxFields
	sectionTarget                 // a request's path is none (codec.ErrTarget)
)

// section is a field section being decoded into a head (RFC 9113 section 8.2). It lives from a frame to the end of the
// event that it causes, in a pool, so that idle connections hold none.
type section struct {
	kind   sectionKind
	fault  sectionFault
	limits *Config
	head   codec.Head
	raw    []byte // what the slices of head point into, or constants

	bytes    int // charged: name, value and 32 of each field, also of those that are left out
	fields   int // without pseudo-header fields
	cookies  int // crumbs of cookies
	cookie   int // index of the first
	pseudo   [classStatus + 1][]byte
	seen     uint16 // bits: pseudo-header fields that came
	host     []byte // nil: none came
	priority priority
}

var sections = sync.Pool{New: func() any { return &section{} }}

// newSection gets a section ready for one field block.
func newSection(k sectionKind, c *Config) *section {
	x := sections.Get().(*section)
	// A string that does not fit once the charged ones have is larger than any table; the rest is for joined cookies.
	if need := 2*c.MaxHeadBytes + tableSize; cap(x.raw) < need {
		x.raw = make([]byte, 0, need)
	}
	x.head.Reset()
	x.kind, x.limits, x.fault, x.raw = k, c, sectionValid, x.raw[:0]
	x.bytes, x.fields, x.cookies, x.seen, x.host = 0, 0, 0, 0, nil
	x.priority = priorityUnknown
	return x
}

func (x *section) free() {
	invariant.Poison(x.raw)
	sections.Put(x)
}

// keep copies p, which a table has, into raw. There is room: what was taken before is within the limits, and what a
// table has within its own.
func (x *section) keep(p []byte) []byte {
	n := len(x.raw)
	x.raw = append(x.raw, p...)
	return x.raw[n:len(x.raw):len(x.raw)]
}

// text decodes the string literal at the start of b (RFC 7541 section 5.2) to the end of raw.
func (x *section) text(b []byte) (s, rest []byte, v verdict) {
	if len(b) == 0 {
		return nil, nil, stringBad
	}
	coded := b[0]&0x80 != 0
	size, b, ok := integer(b, 7)
	if !ok || size > uint64(len(b)) {
		return nil, nil, stringBad
	}
	b, rest = b[:size], b[size:]
	n := len(x.raw)
	switch {
	case coded:
		if x.raw, v = huffmanTable.decode(x.raw, b); v != stringWhole {
			x.raw = x.raw[:n]
			return nil, rest, v
		}
	case n+len(b) > cap(x.raw):
		return nil, rest, stringLong
	default:
		x.raw = append(x.raw, b...)
	}
	return x.raw[n:len(x.raw):len(x.raw)], rest, stringWhole
}

// long notes that the section is over its limit. Nothing more is taken, and raw is free for what only the table needs.
func (x *section) long() {
	if x.fault == sectionValid {
		x.fault = sectionLong
	}
	x.raw = x.raw[:0]
}

func (x *section) malformed() {
	if x.fault == sectionValid {
		x.fault = sectionMalformed
	}
}

// take adds one field. name and value are of raw or constant.
func (x *section) take(l label, name, value []byte, invalid bool) {
	x.bytes += len(name) + len(value) + entryOverhead
	if x.fault != sectionValid || x.kind == sectionIgnored {
		x.raw = x.raw[:0]
		return
	}
	if x.bytes > x.limits.MaxHeadBytes {
		x.long()
		return
	}
	if invalid || l.class >= classUnknown {
		x.malformed()
		return
	}
	if l.class >= classMethod {
		x.takePseudo(l.class, value)
		return
	}
	if x.fields++; x.fields > x.limits.MaxFields {
		x.fault = sectionFields
		return
	}
	if l.class == classPriority && x.kind == sectionRequest {
		x.priority = parsePriority(value)
	}
	if special[l.id] && !x.takeSpecial(l.id, value) {
		return
	}
	x.head.Fields = append(x.head.Fields, codec.Field{Name: name, Value: value, ID: l.id})
}

// takePseudo notes a pseudo-header field (RFC 9113 section 8.3): before all others, each once.
func (x *section) takePseudo(c class, value []byte) {
	allowed := c != classStatus
	if x.kind != sectionRequest {
		allowed = c == classStatus && x.kind == sectionResponse
	}
	bit := uint16(1) << c
	if !allowed || x.fields > 0 || x.seen&bit != 0 {
		x.malformed()
		return
	}
	x.seen |= bit
	x.pseudo[c] = value
}

// special is the set of the fields whose values matter here.
var special = func() (t [256]bool) {
	for _, id := range []codec.FieldID{codec.FieldConnection, codec.FieldKeepAlive, codec.FieldProxyConnection,
		codec.FieldTransferEncoding, codec.FieldUpgrade, codec.FieldTE, codec.FieldContentLength, codec.FieldHost,
		codec.FieldCookie} {
		t[id] = true
	}
	return t
}()

// takeSpecial takes the meaning of a field of special, and reports whether it is to be passed on.
func (x *section) takeSpecial(id codec.FieldID, value []byte) bool {
	switch id {
	case codec.FieldTE: // RFC 9113 section 8.2.2
		if x.kind == sectionRequest && codec.EqualFold(value, "trailers") {
			x.head.Options |= codec.OptTE
			return false
		}
		x.malformed()
	case codec.FieldContentLength:
		if x.kind == sectionTrailers {
			return true // the Append functions leave it out
		}
		length, ok := codec.ParseLength(value)
		if !ok || x.head.Length >= 0 {
			x.malformed()
		}
		x.head.Length = length
	case codec.FieldHost:
		if x.kind == sectionRequest {
			if x.host != nil || len(value) > 0 && !codec.ValidAuthority(value) {
				x.malformed()
			}
			x.host = value
		}
	case codec.FieldCookie:
		if x.kind == sectionRequest {
			if x.cookies++; x.cookies == 1 {
				x.cookie = len(x.head.Fields)
			}
		}
	default: // those of one connection (RFC 9113 section 8.2.2)
		x.malformed()
	}
	return x.fault == sectionValid
}

// joinCookies makes one field of the crumbs of a cookie (RFC 9113 section 8.2.3). Empty ones are left out: the value
// would end in white space, which no field value does.
func (x *section) joinCookies() {
	if x.cookies < 2 {
		return
	}
	fields := x.head.Fields
	start, kept := len(x.raw), x.cookie+1
	x.raw = append(x.raw, fields[x.cookie].Value...)
	for _, f := range fields[kept:] {
		if f.ID != codec.FieldCookie {
			fields[kept] = f
			kept++
			continue
		}
		if len(f.Value) > 0 && len(x.raw) > start {
			x.raw = append(x.raw, "; "...)
		}
		x.raw = append(x.raw, f.Value...)
	}
	fields[x.cookie].Value = x.raw[start:len(x.raw):len(x.raw)]
	x.head.Fields = fields[:kept]
}
