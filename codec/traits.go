package codec

// Trait is a set of what decides where a field of some name may go.
type Trait uint8

// Traits of field names.
const (
	TraitInterpreted  Trait = 1 << iota // frames or addresses a message: the parser looks at its value
	TraitNotInRequest                   // not passed on in requests: of one hop, or written by us
	TraitNotInResponse
	TraitNotInTrailers // RFC 9110 section 6.5.1
	TraitUpgrade       // passed on only with the connection option "upgrade"
	TraitProtected     // stays although Connection nominates it
)

// Traits holds the traits of every known field name.
var Traits = func() (t [256]Trait) {
	set := func(bits Trait, ids ...FieldID) {
		for _, id := range ids {
			t[id] |= bits
		}
	}
	set(TraitInterpreted, FieldConnection, FieldContentLength, FieldTransferEncoding, FieldHost)
	set(TraitNotInRequest|TraitNotInResponse|TraitNotInTrailers, FieldRemoved, FieldConnection,
		FieldKeepAlive, FieldProxyConnection, FieldTE, FieldTransferEncoding,
		FieldContentLength, FieldHTTP2Settings, FieldProxyAuthorization)
	set(TraitUpgrade|TraitNotInTrailers, FieldUpgrade)
	set(TraitNotInRequest|TraitNotInTrailers, FieldHost)
	set(TraitNotInTrailers|TraitProtected, FieldForwarded, FieldXForwardedFor, FieldXForwardedHost,
		FieldXForwardedPort, FieldXForwardedProto, FieldXForwardedServer, FieldXRealIP,
		FieldXRequestID, FieldAuthorization, FieldCookie, FieldCacheControl,
		FieldContentType)
	set(TraitProtected, FieldHost, FieldContentLength)
	set(TraitNotInTrailers, FieldAge, FieldContentEncoding, FieldDate, FieldExpect,
		FieldLocation, FieldProxy, FieldProxyAuthenticate, FieldRange, FieldRetryAfter,
		FieldSetCookie, FieldTrailer, FieldVary)
	return t
}()

// notInTrailers are the further names that RFC 9110 section 6.5.1 keeps out of trailer sections.
var notInTrailers = [...]string{"Content-Range", "Expires", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range",
	"If-Unmodified-Since", "Max-Forwards", "Pragma", "WWW-Authenticate"}

// AllowedInTrailers reports whether a field of this name is none of notInTrailers.
func AllowedInTrailers(name []byte) bool {
	for _, n := range notInTrailers {
		if EqualFold(name, n) {
			return false
		}
	}
	return true
}
