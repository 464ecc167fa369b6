package codec

import (
	"encoding/binary"
	"math/bits"
)

// Method is a known request method.
type Method uint8

// Known methods (RFC 9110 section 9, RFC 5789).
const (
	MethodOther Method = iota
	MethodGet
	MethodHead
	MethodPost
	MethodPut
	MethodDelete
	MethodConnect
	MethodOptions
	MethodTrace
	MethodPatch
)

var methodNames = [...]string{"", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

func (m Method) String() string { return methodNames[m] }

// LookupMethod returns the method of this name, case-sensitive (RFC 9110 section 9.1), or MethodOther.
func LookupMethod(b []byte) Method {
	switch string(b) {
	case "GET":
		return MethodGet
	case "HEAD":
		return MethodHead
	case "POST":
		return MethodPost
	case "PUT":
		return MethodPut
	case "DELETE":
		return MethodDelete
	case "CONNECT":
		return MethodConnect
	case "OPTIONS":
		return MethodOptions
	case "TRACE":
		return MethodTrace
	case "PATCH":
		return MethodPatch
	}
	return MethodOther
}

// Safe reports whether the method is defined to be safe (RFC 9110 section 9.2.1).
func (m Method) Safe() bool {
	return m == MethodGet || m == MethodHead || m == MethodOptions || m == MethodTrace
}

// Idempotent reports whether the method is defined to be idempotent (RFC 9110 section 9.2.2).
func (m Method) Idempotent() bool { return m.Safe() || m == MethodPut || m == MethodDelete }

// FieldID is a field name known to the proxy.
type FieldID uint8

// Known field names. FieldOther is any other name; FieldRemoved marks a field that is not to be sent.
const (
	FieldOther FieldID = iota
	FieldRemoved
	FieldAccept
	FieldAcceptEncoding
	FieldAge
	FieldAuthorization
	FieldCacheControl
	FieldConnection
	FieldContentEncoding
	FieldContentLength
	FieldContentType
	FieldCookie
	FieldDate
	FieldETag
	FieldExpect
	FieldForwarded
	FieldHost
	FieldHTTP2Settings
	FieldKeepAlive
	FieldLocation
	FieldOrigin
	FieldProxy
	FieldProxyAuthenticate
	FieldProxyAuthorization
	FieldProxyConnection
	FieldRange
	FieldReferer
	FieldRetryAfter
	FieldServer
	FieldSetCookie
	FieldTE
	FieldTrailer
	FieldTransferEncoding
	FieldUpgrade
	FieldUserAgent
	FieldVary
	FieldVia
	FieldXForwardedFor
	FieldXForwardedHost
	FieldXForwardedPort
	FieldXForwardedProto
	FieldXForwardedServer
	FieldXRealIP
	FieldXRequestID
	fieldCount
)

// FieldIDs is how many field ids there are, for tables indexed by FieldID.
const FieldIDs = int(fieldCount)

var fieldNames = [fieldCount]string{
	FieldAccept:             "Accept",
	FieldAcceptEncoding:     "Accept-Encoding",
	FieldAge:                "Age",
	FieldAuthorization:      "Authorization",
	FieldCacheControl:       "Cache-Control",
	FieldConnection:         "Connection",
	FieldContentEncoding:    "Content-Encoding",
	FieldContentLength:      "Content-Length",
	FieldContentType:        "Content-Type",
	FieldCookie:             "Cookie",
	FieldDate:               "Date",
	FieldETag:               "ETag",
	FieldExpect:             "Expect",
	FieldForwarded:          "Forwarded",
	FieldHost:               "Host",
	FieldHTTP2Settings:      "HTTP2-Settings",
	FieldKeepAlive:          "Keep-Alive",
	FieldLocation:           "Location",
	FieldOrigin:             "Origin",
	FieldProxy:              "Proxy",
	FieldProxyAuthenticate:  "Proxy-Authenticate",
	FieldProxyAuthorization: "Proxy-Authorization",
	FieldProxyConnection:    "Proxy-Connection",
	FieldRange:              "Range",
	FieldReferer:            "Referer",
	FieldRetryAfter:         "Retry-After",
	FieldServer:             "Server",
	FieldSetCookie:          "Set-Cookie",
	FieldTE:                 "TE",
	FieldTrailer:            "Trailer",
	FieldTransferEncoding:   "Transfer-Encoding",
	FieldUpgrade:            "Upgrade",
	FieldUserAgent:          "User-Agent",
	FieldVary:               "Vary",
	FieldVia:                "Via",
	FieldXForwardedFor:      "X-Forwarded-For",
	FieldXForwardedHost:     "X-Forwarded-Host",
	FieldXForwardedPort:     "X-Forwarded-Port",
	FieldXForwardedProto:    "X-Forwarded-Proto",
	FieldXForwardedServer:   "X-Forwarded-Server",
	FieldXRealIP:            "X-Real-Ip",
	FieldXRequestID:         "X-Request-Id",
}

const longestField = 19 // Proxy-Authorization

// wireNames has the bytes of every known name, foldedNames the words they are recognised by.
var (
	wireNames   = makeWireNames()
	foldedNames = makeFoldedNames()
	fieldIndex  = makeFieldIndex()
)

func makeWireNames() (t [fieldCount][]byte) {
	for id, name := range fieldNames {
		t[id] = []byte(name)
	}
	return t
}

// nameWords is a name of 2 to 19 bytes as its first 8, its second 8 when it has more than 16, and its last 8 bytes;
// shorter names are two overlapping halves. Names of one length are equal when these are.
type nameWords struct{ head, mid, tail uint64 }

func wordsOf(b []byte) (w nameWords) {
	n := len(b)
	switch {
	case n >= 8:
		w.head, w.tail = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
		if n > 16 {
			w.mid = binary.LittleEndian.Uint64(b[8:])
		}
	case n >= 4:
		w.head, w.tail = uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[n-4:]))
	default:
		w.head, w.tail = uint64(binary.LittleEndian.Uint16(b)), uint64(binary.LittleEndian.Uint16(b[n-2:]))
	}
	return w
}

// foldedName is a known name as received in any case: name has its usual spelling, letters the case bit of every
// byte that is a letter.
type foldedName struct {
	name, letters nameWords
	size          int
}

func makeFoldedNames() (t [fieldCount]foldedName) {
	for id, name := range fieldNames {
		if name == "" {
			continue
		}
		letters := make([]byte, len(name))
		for i := range letters {
			if c := Lower(name[i]); 'a' <= c && c <= 'z' {
				letters[i] = 0x20
			}
		}
		t[id] = foldedName{name: wordsOf([]byte(name)), letters: wordsOf(letters), size: len(name)}
	}
	return t
}

// nameIndex is a perfect hash table of the known names: no two share a slot under its multiplier.
type nameIndex struct {
	multiplier uint64
	slots      [256]FieldID
}

func (x *nameIndex) slot(w nameWords) *FieldID {
	const caseBits = 0x2020202020202020
	return &x.slots[((w.head|caseBits)^bits.RotateLeft64(w.tail|caseBits, 27))*x.multiplier>>56]
}

// makeFieldIndex tries multipliers until one is perfect; one in some thirty is.
func makeFieldIndex() *nameIndex {
next:
	for m := uint64(0x9e3779b97f4a7c15); ; m += 0x1d8e4e27c47d124e {
		x := &nameIndex{multiplier: m}
		for id, name := range fieldNames {
			if name == "" {
				continue
			}
			s := x.slot(wordsOf([]byte(name)))
			if *s != FieldOther {
				continue next
			}
			*s = FieldID(id)
		}
		return x
	}
}

// String is the name in its usual spelling, empty for FieldOther and FieldRemoved.
func (id FieldID) String() string { return fieldNames[id] }

// LookupFieldID returns the id of a field name in any case, FieldOther when it is not a known one. What it knows is
// a token. It allocates nothing and reads the name a word at a time.
func LookupFieldID(name []byte) FieldID {
	if len(name) < 2 || len(name) > longestField {
		return FieldOther
	}
	w := wordsOf(name)
	id := *fieldIndex.slot(w)
	k := &foldedNames[id]
	differ := (w.head^k.name.head)&^k.letters.head |
		(w.mid^k.name.mid)&^k.letters.mid |
		(w.tail^k.name.tail)&^k.letters.tail
	if differ != 0 || len(name) != k.size {
		return FieldOther
	}
	return id
}
