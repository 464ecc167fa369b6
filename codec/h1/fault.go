package h1

import (
	"errors"

	"traffic_management/codec"
)

// Limits bounds what is taken from a peer. Both must be positive. A Limits is immutable once used.
type Limits struct {
	HeadBytes int // start line and field section, empty lines included; also a trailer section
	Fields    int // field lines of a section; also connection options of a message
}

// fault is one way in which bytes are not the message we let through.
type fault uint8

const (
	faultNone fault = iota // also: more is needed
	faultEmptyLines
	faultLineEnd
	faultMethod
	faultTarget
	faultFragment
	faultPercent
	faultForm
	faultScheme
	faultAuthority
	faultVersion
	faultMajor
	faultStatus
	faultReason
	faultTargetLong
	faultHeadLong
	faultFields
	faultOptions
	faultName
	faultNameSpace
	faultFold
	faultValue
	faultHost
	faultHostMissing
	faultHostTwice
	faultHostDiffers
	faultLength
	faultLengthTwice
	faultLengthAndCoding
	faultCoding
	faultCodingUnknown
	faultCodingOld
	faultChunkSize
	faultChunkLine
	faultChunkExtension
	faultChunkEnd
	faultTrailerLong
	faultTruncated
	faultCount
)

// faults tells of each fault what the client is answered when it is the client's, and what was expected.
var faults = [faultCount]struct {
	status int
	kind   codec.Kind
	cause  string
}{
	faultNone:            {0, codec.KindNone, "none"},
	faultEmptyLines:      {400, codec.KindSyntax, "request line: expected at most two empty lines before it"},
	faultLineEnd:         {400, codec.KindSyntax, "line: expected CR LF at its end"},
	faultMethod:          {400, codec.KindSyntax, "request line: expected a method, which is a token, and one space"},
	faultTarget:          {400, codec.KindSyntax, "request target: expected visible ASCII characters and one space"},
	faultFragment:        {400, codec.KindSyntax, `request target: expected no "#"`},
	faultPercent:         {400, codec.KindSyntax, codec.ErrTarget.Cause.Error()},
	faultForm:            {400, codec.KindSyntax, "request target: expected the form that belongs to the method"},
	faultScheme:          {400, codec.KindSyntax, `request target: expected "/", "http://" or "https://" at its start`},
	faultAuthority:       {400, codec.KindSyntax, "request target: expected host and port, without user information"},
	faultVersion:         {400, codec.KindSyntax, `start line: expected "HTTP/1.1"`},
	faultMajor:           {505, codec.KindSyntax, "start line: expected major version 1"},
	faultStatus:          {400, codec.KindSyntax, "status line: expected a status of three digits, 100 to 999"},
	faultReason:          {400, codec.KindSyntax, "status line: expected a reason phrase without control characters"},
	faultTargetLong:      {414, codec.KindTooLarge, "request line: longer than the limit"},
	faultHeadLong:        {431, codec.KindTooLarge, "field section: longer than the limit"},
	faultFields:          {431, codec.KindTooLarge, "field section: more field lines than the limit"},
	faultOptions:         {431, codec.KindTooLarge, "Connection: more connection options than the limit of field lines"},
	faultName:            {400, codec.KindSyntax, "field line: expected a name, which is a token, and a colon"},
	faultNameSpace:       {400, codec.KindSyntax, "field line: expected no white space before the colon"},
	faultFold:            {400, codec.KindSyntax, "field line: expected no white space at its start"},
	faultValue:           {400, codec.KindSyntax, "field line: expected a value without control characters"},
	faultHost:            {400, codec.KindSyntax, "Host: expected host and port, without user information"},
	faultHostMissing:     {400, codec.KindSyntax, "Host: expected one"},
	faultHostTwice:       {400, codec.KindSyntax, "Host: expected only one"},
	faultHostDiffers:     {400, codec.KindSyntax, "Host: expected the authority of the request target"},
	faultLength:          {400, codec.KindSyntax, "Content-Length: expected digits, less than 2^63"},
	faultLengthTwice:     {400, codec.KindSyntax, "Content-Length: expected only one"},
	faultLengthAndCoding: {400, codec.KindSyntax, "Content-Length: expected none beside Transfer-Encoding"},
	faultCoding:          {400, codec.KindSyntax, `Transfer-Encoding: expected "chunked", once`},
	faultCodingUnknown:   {501, codec.KindSyntax, `Transfer-Encoding: expected no coding but "chunked"`},
	faultCodingOld:       {400, codec.KindSyntax, "Transfer-Encoding: expected none in HTTP/1.0"},
	faultChunkSize:       {400, codec.KindSyntax, "chunk size: expected 1 to 16 hexadecimal digits, less than 2^63"},
	faultChunkLine:       {400, codec.KindTooLarge, "chunk size line: longer than 256 bytes"},
	faultChunkExtension:  {400, codec.KindSyntax, "chunk extension: expected no control characters, and CR LF"},
	faultChunkEnd:        {400, codec.KindSyntax, "chunk: expected CR LF after its data"},
	faultTrailerLong:     {431, codec.KindTooLarge, "trailer section: longer than the limit"},
	faultTruncated:       {400, codec.KindClosed, "content: the connection ended before the message"},
}

var (
	clientErrors   = makeErrors(codec.Client)
	upstreamErrors = makeErrors(codec.Upstream)
)

func makeErrors(side codec.Side) (t [faultCount]*codec.Error) {
	for f, d := range faults {
		if side == codec.Upstream {
			d.status = 502
		}
		t[f] = &codec.Error{Side: side, Kind: d.kind, Status: d.status, Cause: errors.New(d.cause)}
	}
	if side == codec.Client {
		t[faultPercent] = codec.ErrTarget
	}
	return t
}

// by is the error of this fault made by a side: the upstream when it is that one, else the client. It is shared.
func (f fault) by(side codec.Side) error {
	if side == codec.Upstream {
		return upstreamErrors[f]
	}
	return clientErrors[f]
}
