package h1

import (
	"math"

	"traffic_management/codec"
)

// chunkLineBytes bounds a chunk size line, extensions included, CR LF not.
const chunkLineBytes = 256

// idleTrailerBytes is the most room for trailers that a decoder keeps between messages.
const idleTrailerBytes = 1024

// chunkState is where in a chunked message a decoder is (RFC 9112 section 7.1).
type chunkState uint8

const (
	chunkStart     chunkState = iota // before the first digit of a chunk size
	chunkSize                        // in the digits
	chunkSpace                       // in white space behind them: an extension must follow
	chunkExtension                   // behind ";"
	chunkLineLF                      // behind the CR of the size line
	chunkData                        // left bytes of data are to come, at least one
	chunkDataCR                      // behind the data
	chunkDataLF                      // behind its CR
	chunkLast                        // behind the last chunk: a trailer section or its empty line follows
	chunkTrailers                    // in a trailer section that has fields
	chunkLastLF                      // behind the CR of the empty line of one that has none
	chunkDone                        // behind the message
)

func (s chunkState) String() string {
	return [...]string{"start", "size", "space", "extension", "line LF", "data", "data CR", "data LF", "last",
		"trailers", "last LF", "done"}[s]
}

// Chunked decodes the chunked transfer coding (RFC 9112 section 7.1). The zero value is ready for a client's message,
// with limits of its own for trailers. One goroutine, the loop's, touches it.
type Chunked struct {
	Limits *Limits    // of the trailer section; nil for 16 kB and 100 field lines
	Side   codec.Side // whose fault errors are

	state    chunkState
	digits   uint8  // of the chunk size
	line     uint16 // bytes of the size line
	left     int64  // of the chunk's data
	trailers *trailerSection
}

// trailerSection is what a decoder keeps of a trailer section, only once it met one with fields.
type trailerSection struct {
	bytes []byte
	head  codec.Head // its fields only
}

var defaultLimits = Limits{HeadBytes: 16 << 10, Fields: 100}

// Reset makes the decoder ready for the next message. Trailers lent before are gone.
func (d *Chunked) Reset() {
	t := d.trailers
	if t != nil {
		if cap(t.bytes) > idleTrailerBytes {
			t = nil
		} else {
			t.bytes = t.bytes[:0]
		}
	}
	*d = Chunked{Limits: d.Limits, Side: d.Side, trailers: t}
}

// Done reports whether the message, its trailer section included, was consumed.
func (d *Chunked) Done() bool { return d.state == chunkDone }

// Trailers is the trailer section once Done, empty before; lent until Reset.
func (d *Chunked) Trailers() []codec.Field {
	if d.state != chunkDone || d.trailers == nil || len(d.trailers.bytes) == 0 {
		return nil
	}
	return d.trailers.head.Fields
}

// Decode consumes the n first bytes of b and gives the content in them, one run of it at most: data is part of b, and
// may be empty. Framing behind the data is consumed with it as far as it is at hand. Once Done it consumes nothing.
// The error is a shared *codec.Error, the same at every further call; data may come with it.
func (d *Chunked) Decode(b []byte) (data []byte, n int, err error) {
	for n < len(b) {
		bad := faultNone
		switch d.state {
		case chunkDone:
			return data, n, nil
		case chunkData:
			if data != nil {
				return data, n, nil
			}
			end := n + int(min(d.left, int64(len(b)-n)))
			data = b[n:end:end]
			d.left -= int64(end - n)
			n = end
			if d.left == 0 {
				d.state = chunkDataCR
			}
			continue
		case chunkTrailers:
			var taken int
			taken, bad = d.takeTrailers(b[n:])
			n += taken
		case chunkDataCR, chunkDataLF, chunkLast, chunkLastLF:
			if bad = d.endStep(b[n]); d.state != chunkTrailers && bad == faultNone {
				n++
			}
		default:
			if bad = d.lineStep(b[n]); bad == faultNone {
				n++
			}
		}
		if bad != faultNone {
			return data, n, bad.by(d.Side)
		}
	}
	return data, n, nil
}

// lineStep takes one byte of a chunk size line, in the states before chunkData.
func (d *Chunked) lineStep(c byte) fault {
	if d.state == chunkLineLF {
		if c != '\n' {
			return faultChunkExtension
		}
		d.state = chunkData
		if d.left == 0 {
			d.state = chunkLast
		}
		d.digits, d.line = 0, 0
		return faultNone
	}
	if c == '\r' && (d.state == chunkSize || d.state == chunkExtension) {
		d.state = chunkLineLF
		return faultNone
	}
	if d.line == chunkLineBytes {
		return faultChunkLine
	}
	switch d.state {
	case chunkStart, chunkSize:
		if codec.Classes[c]&codec.ClassHex == 0 {
			return d.sizeEnd(c)
		}
		if d.digits == 16 || d.left > math.MaxInt64>>4 {
			return faultChunkSize
		}
		d.left = d.left<<4 | int64(codec.HexValue(c))
		d.digits++
		d.state = chunkSize
	case chunkSpace:
		if c == ';' {
			d.state = chunkExtension
		} else if !isOWS(c) {
			return faultChunkSize
		}
	case chunkExtension:
		if codec.Classes[c]&codec.ClassValue == 0 {
			return faultChunkExtension
		}
	}
	d.line++
	return faultNone
}

// sizeEnd takes the first byte behind the digits of a chunk size that is not the line's CR.
func (d *Chunked) sizeEnd(c byte) fault {
	switch {
	case d.digits == 0:
		return faultChunkSize
	case c == ';':
		d.state = chunkExtension
	case isOWS(c):
		d.state = chunkSpace
	default:
		return faultChunkSize
	}
	d.line++
	return faultNone
}

// endStep takes one byte behind a chunk's data or behind the last chunk. It leaves the first byte of a trailer section
// with fields to takeTrailers.
func (d *Chunked) endStep(c byte) fault {
	switch {
	case d.state == chunkDataCR && c == '\r':
		d.state = chunkDataLF
	case d.state == chunkDataLF && c == '\n':
		d.state = chunkStart
	case d.state == chunkLast && c == '\r':
		d.state = chunkLastLF
	case d.state == chunkLast:
		d.state = chunkTrailers
	case d.state == chunkLastLF && c == '\n':
		d.state = chunkDone
	case d.state == chunkLastLF:
		return faultLineEnd
	default:
		return faultChunkEnd
	}
	return faultNone
}

// takeTrailers copies the trailer section, as far as it is in b, and parses what was copied so far. taken is how much
// of b belongs to it.
func (d *Chunked) takeTrailers(b []byte) (taken int, bad fault) {
	limits := d.Limits
	if limits == nil {
		limits = &defaultLimits
	}
	if d.trailers == nil {
		d.trailers = &trailerSection{}
	}
	t := d.trailers
	before := len(t.bytes)
	t.bytes = append(t.bytes, b[:min(len(b), limits.HeadBytes-before)]...)
	s := section{head: &t.head, limits: limits}
	size, bad := s.parse(t.bytes, 0)
	switch {
	case bad != faultNone:
		t.bytes = t.bytes[:before]
		return 0, bad
	case size > 0:
		t.bytes = t.bytes[:size]
		d.state = chunkDone
		return size - before, faultNone
	case len(t.bytes) == limits.HeadBytes:
		t.bytes = t.bytes[:before]
		return 0, faultTrailerLong
	}
	return len(b), faultNone
}
