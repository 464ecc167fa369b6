package h2

import (
	"slices"
	"strconv"

	"traffic_management/codec"
	"traffic_management/internal/invariant"
)

// Heads are sent with the static table alone (RFC 7541 appendix A) and without the Huffman code: a dynamic table for the
// heads of many clients and servers mostly misses, and costs a search for each field. emptyTable says so, once a
// connection, so that the peer keeps no table for us either (RFC 7541 section 6.3).
const emptyTable = 0x20

// Indices of names in the static table.
const (
	indexAuthority = 1
	indexMethod    = 2
	indexPath      = 4
	indexStatus    = 8
)

// namePrefixes has, of every known field, the start of its literal: how it may be indexed, and its name.
var namePrefixes = func() (t [256][]byte) {
	for id := codec.FieldRemoved + 1; int(id) < codec.FieldIDs; id++ {
		form := byte(0) // without indexing (RFC 7541 section 6.2.2)
		switch id {
		case codec.FieldAuthorization, codec.FieldProxyAuthorization, codec.FieldCookie, codec.FieldSetCookie:
			form = 0x10 // nor by anyone who passes it on (section 6.2.3)
		}
		index := slices.IndexFunc(staticTable[:], func(e constant) bool { return e.id == id && e.class == classField })
		if index > 0 {
			t[id] = appendInteger(nil, form, 4, index)
			continue
		}
		t[id] = appendInteger([]byte{form}, 0, 7, len(id.String()))
		t[id], _ = appendLower(t[id], []byte(id.String()))
	}
	return t
}()

// appendInteger appends an integer with a prefix of so many bits under the bits of first (RFC 7541 section 5.1).
func appendInteger(dst []byte, first byte, prefix uint, n int) []byte {
	limit := 1<<prefix - 1
	if n < limit {
		return append(dst, first|byte(n))
	}
	dst = append(dst, first|byte(limit))
	for n -= limit; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

// appendLower appends a name in lower case; false when it is no token.
func appendLower(dst, name []byte) ([]byte, bool) {
	for _, c := range name {
		if c = codec.Lower(c); !lowerToken[c] {
			return dst, false
		}
		dst = append(dst, c)
	}
	return dst, len(name) > 0
}

func appendString(dst, s []byte) []byte {
	return append(appendInteger(dst, 0, 7, len(s)), s...)
}

// appendRequest appends the field block of a request, or of an extended CONNECT (RFC 8441) when h offers a protocol.
// secure: the connection is TLS, which is what :scheme says. What h1 would not send is left out alike; when the method or the
// authority cannot be sent, dst is returned as it is.
func appendRequest(dst []byte, h *codec.Head, secure bool, f codec.Framing) []byte {
	method := h.MethodName
	if h.Method != codec.MethodOther {
		method = methodNames[h.Method]
	}
	connect := h.Method == codec.MethodConnect
	if !codec.IsToken(method) || (connect || len(h.Authority) > 0) && !codec.ValidAuthority(h.Authority) ||
		f == codec.ByLength && h.Length < 0 {
		return dst
	}
	protocol := offered(h)
	switch {
	case protocol != nil:
		dst = appendString(append(dst, indexMethod), methodNames[codec.MethodConnect])
	case h.Method == codec.MethodGet:
		dst = append(dst, 0x82)
	case h.Method == codec.MethodPost:
		dst = append(dst, 0x83)
	default:
		dst = appendString(append(dst, indexMethod), method)
	}
	if !connect {
		if secure {
			dst = append(dst, 0x87)
		} else {
			dst = append(dst, 0x86)
		}
		dst = appendPath(dst, h)
	}
	if len(h.Authority) > 0 {
		dst = appendString(append(dst, indexAuthority), h.Authority)
	}
	if protocol != nil {
		dst = appendString(append(append(dst, 0, 9), ":protocol"...), protocol)
	}
	dst = appendFields(dst, h.Fields, codec.TraitNotInRequest|codec.TraitUpgrade, protocol != nil)
	if h.Options&codec.OptTE != 0 {
		dst = append(append(dst, namePrefixes[codec.FieldTE]...), "\x08trailers"...)
	}
	if f == codec.ByLength || f == codec.NoContent && h.Length == 0 {
		dst = appendLength(dst, h.Length)
	}
	return dst
}

var methodNames = func() (t [codec.MethodPatch + 1][]byte) {
	for m := range t {
		t[m] = []byte(codec.Method(m).String())
	}
	return t
}()

// offered is the protocol that a request offers (RFC 9110 section 7.8), nil when none.
func offered(h *codec.Head) []byte {
	if h.Options&codec.OptUpgrade == 0 {
		return nil
	}
	return h.Get(codec.FieldUpgrade)
}

// appendPath appends :path, whose length is known only when it is there: bytes may have to be percent-encoded.
func appendPath(dst []byte, h *codec.Head) []byte {
	if len(h.Path) <= 1 && h.Query == nil {
		switch {
		case h.Method == codec.MethodOptions && (len(h.Path) == 0 || h.Path[0] == '*'):
			return append(dst, indexPath, 1, '*')
		case len(h.Path) == 0 || h.Path[0] == '/':
			return append(dst, 0x84)
		}
	}
	dst = append(dst, indexPath, 0)
	start := len(dst)
	dst = codec.AppendOriginForm(dst, h.Path, h.Query)
	size := len(dst) - start
	if size < 0x7f {
		dst[start-1] = byte(size)
		return dst
	}
	var length [8]byte
	prefix := appendInteger(length[:0], 0, 7, size)
	dst = append(dst, prefix[1:]...) // room for the longer length
	copy(dst[start-1+len(prefix):], dst[start:start+size])
	copy(dst[start-1:], prefix)
	return dst
}

// appendResponse appends the field block of a response to a request of h.Method, final or interim; tunnel: of one that
// accepts an extended CONNECT. f is as codec/h1.AppendResponseHead has it. When h.Status is none, dst is returned as it
// is.
func appendResponse(dst []byte, h *codec.Head, f codec.Framing, tunnel bool) []byte {
	if h.Status < 100 || h.Status > 999 || f == codec.ByLength && h.Length < 0 {
		return dst
	}
	status := h.Status
	if tunnel {
		status = 200
	}
	if i := statusIndex(status); i != 0 {
		dst = append(dst, 0x80|i)
	} else {
		dst = append(dst, indexStatus, 3, byte('0'+status/100), byte('0'+status/10%10), byte('0'+status%10))
	}
	dst = appendFields(dst, h.Fields, codec.TraitNotInResponse|codec.TraitUpgrade, tunnel)
	switch {
	case tunnel:
	case codec.Contentless(h.Method, status):
		if h.Length >= 0 && (status == 304 || status >= 200 && status != 204 && h.Method == codec.MethodHead) {
			dst = appendLength(dst, h.Length)
		}
	case f == codec.ByLength:
		dst = appendLength(dst, h.Length)
	case f == codec.NoContent && h.Length >= 0: // else END_STREAM says it
		dst = appendLength(dst, h.Length)
	}
	return dst
}

// statusIndex is the index of a status that the static table has, or 0.
func statusIndex(status int) byte {
	switch status {
	case 200:
		return 8
	case 204:
		return 9
	case 206:
		return 10
	case 304:
		return 11
	case 400:
		return 12
	case 404:
		return 13
	case 500:
		return 14
	}
	return 0
}

// appendTrailers appends the field block of a trailer section, which may be empty. What must not be in one is left out.
func appendTrailers(dst []byte, trailers []codec.Field) []byte {
	for i := range trailers {
		if f := &trailers[i]; codec.AllowedInTrailers(f.Name) {
			dst = appendField(dst, f, codec.TraitNotInTrailers)
		}
	}
	return dst
}

// appendFields appends the fields without the trait omit. Those that belong to an HTTP/1.1 handshake of WebSockets only
// are left out of a tunnel's.
func appendFields(dst []byte, fields []codec.Field, omit codec.Trait, tunnel bool) []byte {
	for i := range fields {
		f := &fields[i]
		if tunnel && (codec.EqualFold(f.Name, "Sec-WebSocket-Key") || codec.EqualFold(f.Name, "Sec-WebSocket-Accept")) {
			continue
		}
		dst = appendField(dst, f, omit)
	}
	return dst
}

// appendField appends one field as a literal, unless it is marked as removed, its name has the trait omit, or it could
// not be decoded again.
func appendField(dst []byte, f *codec.Field, omit codec.Trait) []byte {
	id := f.ID
	if id == codec.FieldOther {
		id = codec.LookupFieldID(f.Name)
	} else if invariant.Enabled && id != codec.FieldRemoved {
		invariant.Check(id == codec.LookupFieldID(f.Name), "h2: a field's ID is that of its name")
	}
	if codec.Traits[id]&omit != 0 {
		return dst
	}
	start := len(dst)
	if id != codec.FieldOther {
		dst = append(dst, namePrefixes[id]...)
	} else {
		var ok bool
		if dst, ok = appendLower(appendInteger(append(dst, 0), 0, 7, len(f.Name)), f.Name); !ok {
			return dst[:start]
		}
	}
	value := codec.TrimOWS(f.Value)
	if len(value) < 0x7f {
		dst = append(dst, byte(len(value)))
	} else {
		dst = appendInteger(dst, 0, 7, len(value))
	}
	n := len(dst)
	dst = slices.Grow(dst, len(value))[:n+len(value)]
	if !codec.CopyValue(dst[n:], value) {
		return dst[:start]
	}
	return dst
}

func appendLength(dst []byte, length int64) []byte {
	dst = append(dst, namePrefixes[codec.FieldContentLength]...)
	n := len(dst)
	dst = strconv.AppendInt(append(dst, 0), length, 10) // 19 digits at most
	dst[n] = byte(len(dst) - n - 1)
	return dst
}
