package telemetry

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"
)

// Record is what the access log says about one exchange. Slices are lent for the call of Append.
type Record struct {
	Time   time.Time      // wall clock when the request began
	Client netip.AddrPort // the peer; the zero value for unix sockets

	Method    []byte
	Host      []byte
	Path      []byte
	Query     []byte // without "?"
	RequestID []byte
	UserAgent []byte
	Referer   []byte
	Subject   []byte // of the client's verified certificate; empty without one

	Protocol string // "HTTP/1.1"
	TLS      string // version of the client's TLS session, "1.3"; empty for clear text
	Cipher   string // cipher suite of the session
	Router   string
	Service  string
	Server   string // the server of the last attempt
	Error    string // kind of the error, empty when there was none

	Status   int // sent to the client, 0 when none was
	Retries  int // attempts after the first
	BytesIn  uint64
	BytesOut uint64

	Duration  time.Duration // first byte of the request to last byte of the response
	Upstream  time.Duration // the part spent waiting for the server
	Queue     time.Duration // of the last attempt: waiting for a connection to become free
	Connect   time.Duration // of the last attempt: opening one; 0 on one that was open
	FirstByte time.Duration // of the last attempt: from the request's head to the response's
	Added     time.Duration // Duration without Upstream
}

// fieldSet is a set of the fields of a line.
type fieldSet uint32

// The fields, in the order of a line.
const (
	fieldTime fieldSet = 1 << iota
	fieldClient
	fieldMethod
	fieldHost
	fieldPath
	fieldQuery
	fieldProtocol
	fieldTLS
	fieldCipher
	fieldSubject
	fieldStatus
	fieldBytesIn
	fieldBytesOut
	fieldDuration
	fieldUpstream
	fieldQueue
	fieldConnect
	fieldFirstByte
	fieldAdded
	fieldRouter
	fieldService
	fieldServer
	fieldRequestID
	fieldUserAgent
	fieldReferer
	fieldRetries
	fieldError
	fieldsEnd
)

// fieldNames are the names of the fields in the configuration and in a line, in the order of the bits.
var fieldNames = [...]string{"time", "client", "method", "host", "path", "query", "protocol", "tls_version",
	"tls_cipher", "client_subject", "status", "bytes_in", "bytes_out", "duration_us", "upstream_us", "queue_us", "connect_us", "first_byte_us", "added_us", "router", "service",
	"server", "request_id", "user_agent", "referer", "retries", "error"}

// compileFields makes the set of fields to log. A name that is not in the map is in the set.
func compileFields(wanted map[string]bool) (fieldSet, error) {
	set := fieldsEnd - 1
	for name, on := range wanted {
		i := slices.Index(fieldNames[:], name)
		if i < 0 {
			return 0, fmt.Errorf("access log: no field %q; the fields are %s", name, strings.Join(fieldNames[:], ", "))
		}
		if !on {
			set &^= 1 << i
		}
	}
	return set, nil
}

// The most bytes of a value that are logged; what is cut off is marked by an ellipsis. Together they keep the longest
// line, with every byte escaped, within one buffer.
const (
	maxURL       = 3072 // path and query, each
	maxReferer   = 2048
	maxUserAgent = 1024
	maxHost      = 255
	maxSubject   = 255
	maxTLS       = 48  // version and cipher suite, each
	maxName      = 128 // each of the others

	numNames  = 7 // method, protocol, router, service, server, request_id, error
	maxText   = 2*maxURL + maxReferer + maxUserAgent + maxHost + maxSubject + 2*maxTLS + numNames*maxName
	lineFrame = 1088 // keys, punctuation, numbers, time, address and ellipses
	maxLine   = lineFrame + maxEscape*maxText
	ellipsis  = "…"
)

// room is the most bytes that the line of r may take.
func (r *Record) room() int {
	return lineFrame + maxEscape*(min(len(r.Path), maxURL)+min(len(r.Query), maxURL)+min(len(r.Referer), maxReferer)+
		min(len(r.UserAgent), maxUserAgent)+min(len(r.Host), maxHost)+min(len(r.Method), maxName)+
		min(len(r.Protocol), maxName)+min(len(r.TLS), maxTLS)+min(len(r.Cipher), maxTLS)+
		min(len(r.Subject), maxSubject)+min(len(r.Router), maxName)+min(len(r.Service), maxName)+
		min(len(r.Server), maxName)+min(len(r.RequestID), maxName)+min(len(r.Error), maxName))
}

// A lineFormat formats lines. It belongs to one loop.
type lineFormat struct {
	fields fieldSet
	second int64  // since 1970, of stamp
	stamp  []byte // the time up to the second, as RFC 3339 has it in UTC, and a dot
}

// append formats one line, which is one JSON object and a newline, into dst. dst must have r.room() bytes to spare.
func (f *lineFormat) append(dst []byte, r *Record) []byte {
	start := len(dst)
	dst = append(dst, '{')
	dst = f.appendRequest(dst, r)
	dst = f.appendOutcome(dst, r)
	dst = f.appendNames(dst, r)
	if last := len(dst) - 1; last > start {
		dst = dst[:last] // every field ends with a comma
	}
	return append(dst, '}', '\n')
}

func (f *lineFormat) appendRequest(dst []byte, r *Record) []byte {
	if f.fields&fieldTime != 0 {
		dst = append(dst, `"time":"`...)
		dst = f.appendTime(dst, r.Time)
		dst = append(dst, `",`...)
	}
	if f.fields&fieldClient != 0 {
		dst = append(dst, `"client":"`...)
		dst = appendAddr(dst, r.Client)
		dst = append(dst, `",`...)
	}
	if f.fields&fieldMethod != 0 {
		dst = appendText(append(dst, `"method":"`...), text(r.Method), maxName)
	}
	if f.fields&fieldHost != 0 {
		dst = appendText(append(dst, `"host":"`...), text(r.Host), maxHost)
	}
	if f.fields&fieldPath != 0 {
		dst = appendText(append(dst, `"path":"`...), text(r.Path), maxURL)
	}
	if f.fields&fieldQuery != 0 {
		dst = appendText(append(dst, `"query":"`...), text(r.Query), maxURL)
	}
	if f.fields&fieldProtocol != 0 {
		dst = appendText(append(dst, `"protocol":"`...), r.Protocol, maxName)
	}
	if r.TLS != "" {
		dst = f.appendSession(dst, r)
	}
	return dst
}

// appendSession appends what is known of a TLS session. Lines of requests in clear text do without these fields.
func (f *lineFormat) appendSession(dst []byte, r *Record) []byte {
	if f.fields&fieldTLS != 0 {
		dst = appendText(append(dst, `"tls_version":"`...), r.TLS, maxTLS)
	}
	if f.fields&fieldCipher != 0 {
		dst = appendText(append(dst, `"tls_cipher":"`...), r.Cipher, maxTLS)
	}
	if f.fields&fieldSubject != 0 {
		dst = appendText(append(dst, `"client_subject":"`...), text(r.Subject), maxSubject)
	}
	return dst
}

func (f *lineFormat) appendOutcome(dst []byte, r *Record) []byte {
	if f.fields&fieldStatus != 0 {
		dst = appendInt(append(dst, `"status":`...), int64(r.Status))
	}
	if f.fields&fieldBytesIn != 0 {
		dst = append(appendDecimal(append(dst, `"bytes_in":`...), r.BytesIn), ',')
	}
	if f.fields&fieldBytesOut != 0 {
		dst = append(appendDecimal(append(dst, `"bytes_out":`...), r.BytesOut), ',')
	}
	if f.fields&fieldDuration != 0 {
		dst = appendInt(append(dst, `"duration_us":`...), r.Duration.Microseconds())
	}
	if f.fields&fieldUpstream != 0 {
		dst = appendInt(append(dst, `"upstream_us":`...), r.Upstream.Microseconds())
	}
	if f.fields&fieldQueue != 0 {
		dst = appendInt(append(dst, `"queue_us":`...), r.Queue.Microseconds())
	}
	if f.fields&fieldConnect != 0 {
		dst = appendInt(append(dst, `"connect_us":`...), r.Connect.Microseconds())
	}
	if f.fields&fieldFirstByte != 0 {
		dst = appendInt(append(dst, `"first_byte_us":`...), r.FirstByte.Microseconds())
	}
	if f.fields&fieldAdded != 0 {
		dst = appendInt(append(dst, `"added_us":`...), r.Added.Microseconds())
	}
	return dst
}

func (f *lineFormat) appendNames(dst []byte, r *Record) []byte {
	if f.fields&fieldRouter != 0 {
		dst = appendText(append(dst, `"router":"`...), r.Router, maxName)
	}
	if f.fields&fieldService != 0 {
		dst = appendText(append(dst, `"service":"`...), r.Service, maxName)
	}
	if f.fields&fieldServer != 0 {
		dst = appendText(append(dst, `"server":"`...), r.Server, maxName)
	}
	if f.fields&fieldRequestID != 0 {
		dst = appendText(append(dst, `"request_id":"`...), text(r.RequestID), maxName)
	}
	if f.fields&fieldUserAgent != 0 {
		dst = appendText(append(dst, `"user_agent":"`...), text(r.UserAgent), maxUserAgent)
	}
	if f.fields&fieldReferer != 0 {
		dst = appendText(append(dst, `"referer":"`...), text(r.Referer), maxReferer)
	}
	if f.fields&fieldRetries != 0 {
		dst = appendInt(append(dst, `"retries":`...), int64(r.Retries))
	}
	if f.fields&fieldError != 0 {
		dst = appendText(append(dst, `"error":"`...), r.Error, maxName)
	}
	return dst
}

// appendTime appends t as RFC 3339 has it, in UTC with microseconds. Most lines of a loop are of the same second.
func (f *lineFormat) appendTime(dst []byte, t time.Time) []byte {
	if second := t.Unix(); second != f.second || len(f.stamp) == 0 {
		f.second = second
		f.stamp = t.UTC().AppendFormat(f.stamp[:0], "2006-01-02T15:04:05.")
	}
	dst = append(dst, f.stamp...)
	us := t.Nanosecond() / 1000
	var digits [6]byte
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = byte('0' + us%10)
		us /= 10
	}
	return append(append(dst, digits[:]...), 'Z')
}

// appendAddr appends a as "192.0.2.1:80" or "[2001:db8::1]:80", or nothing when it is no address. A zone is left out:
// it is the name of an interface, which is any text.
func appendAddr(dst []byte, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return dst
	}
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port()).AppendTo(dst)
}

// appendInt appends n and what ends a number field.
func appendInt(dst []byte, n int64) []byte {
	u := uint64(n)
	if n < 0 {
		dst = append(dst, '-')
		u = -u
	}
	return append(appendDecimal(dst, u), ',')
}

// appendText appends s, cut to limit bytes at a character, and what ends a string field.
func appendText(dst []byte, s string, limit int) []byte {
	if len(s) <= limit {
		return append(appendJSONText(dst, s), `",`...)
	}
	cut := limit
	for cut > limit-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return append(appendJSONText(dst, s[:cut]), ellipsis+`",`...)
}

// text is b as a string, as long as b is lent.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
