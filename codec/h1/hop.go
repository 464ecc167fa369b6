package h1

import "traffic_management/codec"

// Traits of field names.
const (
	traitInterpreted  uint8 = 1 << iota // frames or addresses a message: the parser looks at its value
	traitNotInRequest                   // not passed on in requests: of one hop, or written by us
	traitNotInResponse
	traitNotInTrailers // RFC 9110 section 6.5.1
	traitUpgrade       // passed on only with the connection option "upgrade"
	traitProtected     // stays although Connection nominates it
)

// traits holds the traits of every known field name.
var traits = func() (t [256]uint8) {
	set := func(bits uint8, ids ...codec.FieldID) {
		for _, id := range ids {
			t[id] |= bits
		}
	}
	set(traitInterpreted, codec.FieldConnection, codec.FieldContentLength, codec.FieldTransferEncoding, codec.FieldHost)
	set(traitNotInRequest|traitNotInResponse|traitNotInTrailers, codec.FieldRemoved, codec.FieldConnection,
		codec.FieldKeepAlive, codec.FieldProxyConnection, codec.FieldTE, codec.FieldTransferEncoding,
		codec.FieldContentLength, codec.FieldHTTP2Settings, codec.FieldProxyAuthorization)
	set(traitUpgrade|traitNotInTrailers, codec.FieldUpgrade)
	set(traitNotInRequest|traitNotInTrailers, codec.FieldHost)
	set(traitNotInTrailers|traitProtected, codec.FieldForwarded, codec.FieldXForwardedFor, codec.FieldXForwardedHost,
		codec.FieldXForwardedPort, codec.FieldXForwardedProto, codec.FieldXForwardedServer, codec.FieldXRealIP,
		codec.FieldXRequestID, codec.FieldAuthorization, codec.FieldCookie, codec.FieldCacheControl,
		codec.FieldContentType)
	set(traitProtected, codec.FieldHost, codec.FieldContentLength)
	set(traitNotInTrailers, codec.FieldAge, codec.FieldContentEncoding, codec.FieldDate, codec.FieldExpect,
		codec.FieldLocation, codec.FieldProxy, codec.FieldProxyAuthenticate, codec.FieldRange, codec.FieldRetryAfter,
		codec.FieldSetCookie, codec.FieldTrailer, codec.FieldVary)
	return t
}()

// notInTrailers are the further names that RFC 9110 section 6.5.1 keeps out of trailer sections.
var notInTrailers = [...]string{"Content-Range", "Expires", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range",
	"If-Unmodified-Since", "Max-Forwards", "Pragma", "WWW-Authenticate"}

// allowedInTrailers reports whether a field of this name is none of notInTrailers.
func allowedInTrailers(name []byte) bool {
	for _, n := range notInTrailers {
		if codec.EqualFold(name, n) {
			return false
		}
	}
	return true
}

// RemoveHopByHop marks the fields that Connection nominates as not to be sent (RFC 9110 section 7.6.1), but for those
// that tell a server whom it serves and what it gets, which a client must not be able to take away. The hop-by-hop
// fields that have a meaning of their own stay: the Append functions never send them.
func RemoveHopByHop(h *codec.Head) {
	if h.Options&codec.OptNames == 0 {
		return
	}
	for i := range h.Fields {
		if h.Fields[i].ID != codec.FieldConnection {
			continue
		}
		for list := h.Fields[i].Value; list != nil; {
			var option []byte
			option, list = codec.NextElement(list)
			if connOption(option) == codec.OptNames && traits[codec.LookupFieldID(option)]&(traitProtected|traitInterpreted) == 0 {
				h.RemoveName(option)
			}
		}
	}
}
