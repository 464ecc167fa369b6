// Package message reads as much of HTTP/1.1 heads as the programs of the benchmark bed need: the peers they speak to
// are proxies under test on the same machine. It is no codec for anything else.
//
// Both parsers are pure: they take the bytes there are and return how many the head takes, 0 for "need more".
package message

import (
	"bytes"
	"errors"
)

// MaxHead is the longest head that is taken, in bytes.
const MaxHead = 64 << 10

// What a head can be refused for.
var (
	ErrSyntax  = errors.New("head is not understood")
	ErrFraming = errors.New("content has no known length")
)

// Request is what a server wants to know of a request. Its slices point into the bytes it was parsed from.
type Request struct {
	Method []byte
	Target []byte
	Length int64 // bytes of content that follow the head
	Last   bool  // the connection is to be closed behind the response
}

// ParseRequest reads one request head; n is its size, 0 when it is not whole.
func ParseRequest(b []byte) (r Request, n int, err error) {
	line, fields, n, err := cut(b)
	if n == 0 {
		return r, 0, err
	}
	method, rest, ok := bytes.Cut(line, []byte(" "))
	target, version, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 || len(version) != len("HTTP/1.1") || string(version[:7]) != "HTTP/1." {
		return r, 0, ErrSyntax
	}
	f, err := parseFields(fields)
	if err != nil {
		return r, 0, err
	}
	if f.chunked {
		return r, 0, ErrFraming
	}
	return Request{method, target, max(f.length, 0), f.last || version[7] == '0'}, n, nil
}

// Response is what a client wants to know of a response.
type Response struct {
	Status  int
	Length  int64 // bytes of content that follow the head; 0 when it is chunked
	Last    bool  // the server will close the connection
	Chunked bool  // Chunks tells where the content ends
}

// ParseResponse reads the head of one final response with Content-Length or chunks; n is its size, 0 when it is not whole.
func ParseResponse(b []byte) (r Response, n int, err error) {
	line, fields, n, err := cut(b)
	if n == 0 {
		return r, 0, err
	}
	if len(line) < len("HTTP/1.1 200") || string(line[:7]) != "HTTP/1." || line[8] != ' ' {
		return r, 0, ErrSyntax
	}
	status := Decimal(line[9:12])
	if status < 200 {
		return r, 0, ErrSyntax // an interim response was not asked for
	}
	f, err := parseFields(fields)
	if err != nil {
		return r, 0, err
	}
	r = Response{int(status), f.length, f.last || line[7] == '0', f.chunked}
	switch {
	case f.chunked:
		r.Length = 0
	case f.length < 0:
		return Response{}, 0, ErrFraming
	}
	return r, n, nil
}

// cut splits a whole head into its first line and its field lines, each of which ends with CRLF.
func cut(b []byte) (line, fields []byte, n int, err error) {
	n = bytes.Index(b, []byte("\r\n\r\n")) + 4
	switch {
	case n < 4 && len(b) > MaxHead:
		return nil, nil, 0, ErrSyntax
	case n < 4:
		return nil, nil, 0, nil
	}
	line, fields, _ = bytes.Cut(b[:n-2], []byte("\r\n"))
	return line, fields, n, nil
}

// framing is what the field lines say of the content and of the connection.
type framing struct {
	length  int64 // -1 when there is no Content-Length
	last    bool
	chunked bool
}

func parseFields(fields []byte) (framing, error) {
	f := framing{length: -1}
	for len(fields) > 0 {
		var line []byte
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case is(name, "Content-Length"):
			if f.length = Decimal(bytes.TrimSpace(value)); f.length < 0 {
				return f, ErrSyntax
			}
		case is(name, "Connection") && bytes.EqualFold(bytes.TrimSpace(value), []byte("close")):
			f.last = true
		case is(name, "Transfer-Encoding"):
			if f.chunked = bytes.EqualFold(bytes.TrimSpace(value), []byte("chunked")); !f.chunked {
				return f, ErrFraming
			}
		}
	}
	return f, nil
}

// is compares lengths first: most names differ in it, and this is on the path of every request.
func is(name []byte, want string) bool {
	return len(name) == len(want) && bytes.EqualFold(name, []byte(want))
}

// Decimal reads a number of digits only, or returns -1.
func Decimal(b []byte) int64 {
	if len(b) == 0 || len(b) > 15 {
		return -1
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	return n
}
