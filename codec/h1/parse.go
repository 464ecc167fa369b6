package h1

import (
	"encoding/binary"

	"traffic_management/codec"
)

// ParseRequestHead parses the request line and field section at the start of b into h, which it resets. n is their
// size with the empty line, or 0 when more is needed and nothing is wrong so far; then h holds nothing of use.
//
// The slices of h are lent: they point into b. Up to two empty lines before the request line are skipped
// (RFC 9112 section 2.2). The error is a shared *codec.Error of the client's side; it is found as soon as the bytes at
// hand prove it, fields being judged a line at a time, and stays the same whatever follows.
func ParseRequestHead(b []byte, h *codec.Head, l *Limits) (n int, err error) {
	h.Reset()
	whole := b
	b = b[:min(len(b), l.HeadBytes)]
	i, bad := parseRequestLine(b, h)
	tooLong := faultTargetLong
	if i > 0 {
		tooLong = faultHeadLong
		s := section{head: h, limits: l, interpreted: codec.TraitInterpreted}
		if n, bad = s.parse(b, i); n > 0 {
			if s.hosts == 0 && h.Version != codec.HTTP10 {
				return 0, faultHostMissing.by(codec.Client)
			}
			s.frameRequest()
			return n, nil
		}
	}
	if bad == faultNone && len(whole) >= l.HeadBytes {
		bad = tooLong
	}
	if bad != faultNone {
		return 0, bad.by(codec.Client)
	}
	return 0, nil
}

// ParseResponseHead parses the status line and field section of a response to a request of this method, as
// ParseRequestHead does a request's. It keeps the request's method in h.Method, for AppendResponseHead. The error is of
// the upstream's side.
func ParseResponseHead(b []byte, request codec.Method, h *codec.Head, l *Limits) (n int, err error) {
	h.Reset()
	h.Method = request
	whole := b
	b = b[:min(len(b), l.HeadBytes)]
	i, bad := parseStatusLine(b, h)
	if i > 0 {
		s := section{head: h, limits: l, interpreted: codec.TraitInterpreted}
		if n, bad = s.parse(b, i); n > 0 {
			s.frameResponse(request)
			return n, nil
		}
	}
	if bad == faultNone && len(whole) >= l.HeadBytes {
		bad = faultHeadLong
	}
	if bad != faultNone {
		return 0, bad.by(codec.Upstream)
	}
	return 0, nil
}

// parseRequestLine parses "method SP request-target SP HTTP-version CRLF" (RFC 9112 section 3). next is the index
// behind it, or 0 when more is needed.
func parseRequestLine(b []byte, h *codec.Head) (next int, bad fault) {
	start, bad := skipEmptyLines(b)
	if bad != faultNone || start == len(b) {
		return 0, bad
	}
	i := codec.NextNotToken(b, start)
	switch {
	case i == len(b):
		return 0, faultNone
	case b[i] == '\r' && i == start:
		return 0, faultNone // the start of an empty line
	case b[i] != ' ' || i == start:
		return 0, faultMethod
	}
	h.MethodName = b[start:i:i]
	h.Method = codec.LookupMethod(h.MethodName)
	i++
	end := codec.NextNotTarget(b, i)
	if end == len(b) {
		return 0, faultNone
	}
	switch b[end] {
	case ' ':
	case '#':
		return 0, faultFragment
	case '\r', '\n':
		return 0, faultVersion
	default:
		return 0, faultTarget
	}
	h.Target = b[i:end:end]
	if bad = splitTarget(h); bad != faultNone {
		return 0, bad
	}
	if i, bad = parseVersion(b, end+1, h); i == 0 {
		return 0, bad
	}
	if h.Form == codec.AsteriskForm && h.Method != codec.MethodOptions {
		return 0, faultForm
	}
	return lineEnd(b, i, faultLineEnd)
}

// skipEmptyLines returns the index behind the empty lines at the start of b, up to two, or of a CR that may begin one.
func skipEmptyLines(b []byte) (i int, bad fault) {
	for lines := 0; i+1 < len(b) && b[i] == '\r'; lines++ {
		switch {
		case b[i+1] != '\n':
			return 0, faultLineEnd
		case lines == 2:
			return 0, faultEmptyLines
		}
		i += 2
	}
	return i, faultNone
}

// parseVersion parses the HTTP-version at b[i:] (RFC 9112 section 2.3). next is the index behind it, or 0 when more is
// needed.
func parseVersion(b []byte, i int, h *codec.Head) (next int, bad fault) {
	const (
		pattern = "HTTP/1.1"
		major   = 5
		prefix  = 'H' | 'T'<<8 | 'T'<<16 | 'P'<<24 | '/'<<32 | '1'<<40 | '.'<<48
	)
	if i+8 <= len(b) {
		minor := binary.LittleEndian.Uint64(b[i:]) ^ prefix
		if minor&(1<<56-1) == 0 && codec.Classes[minor>>56]&codec.ClassDigit != 0 {
			h.Version = codec.HTTP11
			if minor>>56 == '0' {
				h.Version = codec.HTTP10
			}
			return i + 8, faultNone
		}
	}
	for k, c := range b[i:min(i+8, len(b))] {
		if c != pattern[k] && (pattern[k] != '1' || codec.Classes[c]&codec.ClassDigit == 0) {
			return 0, faultVersion
		}
	}
	if i+8 <= len(b) && b[i+major] != '1' {
		return 0, faultMajor
	}
	return 0, faultNone
}

// parseStatusLine parses "HTTP-version SP status-code SP [reason-phrase] CRLF" (RFC 9112 section 4). The space before
// an empty reason phrase may be missing. next is the index behind it, or 0 when more is needed.
func parseStatusLine(b []byte, h *codec.Head) (next int, bad fault) {
	i, bad := parseVersion(b, 0, h)
	if i == 0 {
		return 0, bad
	}
	for k, c := range b[i:min(i+4, len(b))] {
		if k == 0 && c != ' ' || k == 1 && c == '0' || k > 0 && codec.Classes[c]&codec.ClassDigit == 0 {
			return 0, faultStatus
		}
	}
	if i+4 >= len(b) {
		return 0, faultNone
	}
	h.Status = int(b[i+1]-'0')*100 + int(b[i+2]-'0')*10 + int(b[i+3]-'0')
	i += 4
	if b[i] != ' ' {
		return lineEnd(b, i, faultStatus)
	}
	i++
	end := codec.NextNotValue(b, i)
	h.Reason = b[i:end:end]
	return lineEnd(b, end, faultReason)
}
