package codec

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

// wireNames has the bytes of every known name; fieldsByLength the ids of the names of a length.
var (
	wireNames      = makeWireNames()
	fieldsByLength = makeFieldsByLength()
)

func makeWireNames() (t [fieldCount][]byte) {
	for id, name := range fieldNames {
		t[id] = []byte(name)
	}
	return t
}

func makeFieldsByLength() (t [longestField + 1][]FieldID) {
	for id, name := range fieldNames {
		if name != "" {
			t[len(name)] = append(t[len(name)], FieldID(id))
		}
	}
	return t
}

// String is the name in its usual spelling, empty for FieldOther and FieldRemoved.
func (id FieldID) String() string { return fieldNames[id] }

func (id FieldID) wire() []byte { return wireNames[id] }

// LookupFieldID returns the id of a field name in any case, FieldOther when it is not a known one. It hashes and
// allocates nothing: names of the same length are told apart by their last byte first, which differs in most.
func LookupFieldID(name []byte) FieldID {
	if len(name) == 0 || len(name) > longestField {
		return FieldOther
	}
	last := Lower(name[len(name)-1])
	for _, id := range fieldsByLength[len(name)] {
		if known := fieldNames[id]; Lower(known[len(known)-1]) == last && EqualFold(name, known) {
			return id
		}
	}
	return FieldOther
}
