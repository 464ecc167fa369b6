package mw

import (
	"errors"
	"fmt"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// CompressOptions is what is compressed, and how.
type CompressOptions struct {
	Algorithms []Algorithm // in the order in which they are taken where a client does not care; at least one
	MinBody    int64       // a response whose Content-Length is less, in bytes, is passed on as it is

	// Media types of what is compressed, and of what of that is not: "text/html", "text/*", "application/*+json".
	// Types of gRPC, and what has no type, never are.
	Types, Excluded []string

	// ExcludeSetCookie leaves responses alone that set a cookie: where a response holds a secret beside what a client
	// chose, its compressed length tells of the secret (BREACH).
	ExcludeSetCookie bool
}

// Algorithm is a content coding and how hard it tries: Levels says from where to where.
type Algorithm struct {
	Coding Coding
	Level  int
}

// Compress applies content codings to responses (RFC 9110 section 8.4). Immutable but for its pools of encoders, which
// any loop may use.
type Compress struct {
	kinds            []*encoderKind // by preference
	byCoding         [codings]*encoderKind
	types, excluded  []mediaType
	minBody          int64
	excludeSetCookie bool
}

// NewCompress makes the filter.
func NewCompress(o CompressOptions) (*Compress, error) {
	c := &Compress{minBody: o.MinBody, excludeSetCookie: o.ExcludeSetCookie}
	for _, a := range o.Algorithms {
		if a.Coding == CodingIdentity || a.Coding >= codings {
			return nil, errors.New("expected an algorithm, got none")
		}
		if low, high := a.Coding.Levels(); a.Level < low || a.Level > high {
			return nil, fmt.Errorf("expected a level of %v from %d to %d, got %d", a.Coding, low, high, a.Level)
		}
		if c.byCoding[a.Coding] != nil {
			return nil, fmt.Errorf("%v is given twice", a.Coding)
		}
		k := newEncoderKind(a)
		c.byCoding[a.Coding] = k
		c.kinds = append(c.kinds, k)
	}
	if len(c.kinds) == 0 {
		return nil, errors.New("expected at least one algorithm")
	}
	for _, list := range []struct {
		dst  *[]mediaType
		from []string
	}{{&c.types, o.Types}, {&c.excluded, o.Excluded}} {
		for _, s := range list.from {
			m, err := parseMediaType(s)
			if err != nil {
				return nil, err
			}
			*list.dst = append(*list.dst, m)
		}
	}
	return c, nil
}

// Request notes the coding for the response, before other filters change what the server is to know of it.
func (c *Compress) Request(x *exchange.Exchange) exchange.Verdict {
	if coding := c.choose(&x.RequestHead); coding != CodingIdentity {
		x.SetState(coding)
	}
	return exchange.Next
}

// Response puts an encoder in the way of content. The answer to HEAD gets the fields that the one to GET would.
func (c *Compress) Response(x *exchange.Exchange, h *codec.Head, end bool) exchange.Verdict {
	coding, _ := x.State().(Coding)
	head := x.RequestHead.Method == codec.MethodHead
	if h.Status == 304 {
		notModified(x, h, coding)
		return exchange.Next
	}
	if !x.HasContent(h, end) && !(head && h.Status != 204) || !c.compressible(h) {
		return exchange.Next
	}
	vary(x, h, varyByCoding)
	if coding == CodingIdentity {
		return exchange.Next
	}
	if !head {
		e := c.byCoding[coding].take(x)
		if e == nil {
			return exchange.Next
		}
		pace := paceFill
		if h.Framing != codec.ByLength || isEventStream(h.Get(codec.FieldContentType)) {
			pace = paceFlush
		}
		e.begin(x.Local().Loop, x.Insert(e), pace)
		h.Framing = codec.ByChunks
	}
	h.Length = -1
	h.Remove(codec.FieldContentLength)
	h.RemoveName(acceptRanges) // they would be of the content without a coding
	weaken(x, h)
	h.Set(codec.FieldContentEncoding, coding.name())
	return exchange.Next
}

var (
	acceptRanges = []byte("Accept-Ranges")
	varyByCoding = []byte("Accept-Encoding")
	weakPrefix   = []byte("W/")
	listSep      = []byte(", ")
)

// compressible reports whether a response with content, or the answer to a HEAD for it, is to be compressed for clients
// that accept that. Whatever says what exactly the bytes are forbids it.
func (c *Compress) compressible(h *codec.Head) bool {
	if h.Status == 206 || h.Length >= 0 && h.Length < c.minBody {
		return false
	}
	var contentType []byte
	for i := range h.Fields {
		f := &h.Fields[i]
		switch f.ID {
		case codec.FieldContentType:
			contentType = f.Value
		case codec.FieldContentEncoding:
			return false
		case codec.FieldSetCookie:
			if c.excludeSetCookie {
				return false
			}
		case codec.FieldCacheControl:
			if hasElement(f.Value, "no-transform") {
				return false
			}
		case codec.FieldOther:
			if isOfBytes(f.Name) {
				return false
			}
		}
	}
	return matchesAny(c.types, contentType) && !matchesAny(c.excluded, contentType) && !isGRPC(contentType)
}

// isOfBytes reports whether a field tells of the very bytes of the content (RFC 9110 section 14.4, RFC 9530).
func isOfBytes(name []byte) bool {
	switch len(name) {
	case len("Digest"):
		return codec.EqualFold(name, "Digest")
	case len("Content-MD5"): // and Repr-Digest
		return codec.EqualFold(name, "Content-MD5") || codec.EqualFold(name, "Repr-Digest")
	case len("Content-Range"):
		return codec.EqualFold(name, "Content-Range")
	case len("Content-Digest"):
		return codec.EqualFold(name, "Content-Digest")
	}
	return false
}

// weaken makes strong entity tags weak: other bytes have them without the coding (RFC 9110 section 8.8.1).
func weaken(x *exchange.Exchange, h *codec.Head) {
	for i := range h.Fields {
		if f := &h.Fields[i]; f.ID == codec.FieldETag && len(f.Value) > 0 && f.Value[0] == '"' {
			f.Value = x.Keep(weakPrefix, f.Value)
		}
	}
}

// notModified makes the entity tag of a 304 the one that the client has, when it got it from a compressed response.
func notModified(x *exchange.Exchange, h *codec.Head, coding Coding) {
	tag := h.Get(codec.FieldETag)
	if coding == CodingIdentity || len(tag) == 0 || tag[0] != '"' {
		return
	}
	for i := range x.RequestHead.Fields {
		f := &x.RequestHead.Fields[i]
		if f.ID != codec.FieldOther || !codec.EqualFold(f.Name, "If-None-Match") {
			continue
		}
		for list := f.Value; list != nil; {
			var e []byte
			if e, list = codec.NextElement(list); len(e) > 2 && string(e[:2]) == "W/" && string(e[2:]) == string(tag) {
				weaken(x, h)
				vary(x, h, varyByCoding)
				return
			}
		}
	}
}
