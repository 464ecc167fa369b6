package h1

import (
	"strconv"

	"traffic_management/codec"
)

// Framer wraps content in its message framing for one writev. It belongs to one loop; what it returns is valid until
// its next call. The zero value is ready.
type Framer struct {
	vec  [3][]byte
	line [24]byte
}

var (
	crlf      = []byte("\r\n")
	lastChunk = []byte("0\r\n\r\n")
	crlfLast  = []byte("\r\n0\r\n\r\n")
)

// Frame returns the buffers that put one piece of content on the wire: the piece itself, or a chunk (RFC 9112
// section 7.1). end closes the content, without a trailer section; an empty piece that is not the end is nothing.
func (w *Framer) Frame(f codec.Framing, p []byte, end bool) [][]byte {
	if f != codec.ByChunks {
		if len(p) == 0 || f == codec.NoContent {
			return nil
		}
		w.vec[0] = p
		return w.vec[:1]
	}
	if len(p) == 0 {
		if !end {
			return nil
		}
		w.vec[0] = lastChunk
		return w.vec[:1]
	}
	w.vec[0] = append(strconv.AppendUint(w.line[:0], uint64(len(p)), 16), '\r', '\n')
	w.vec[1] = p
	w.vec[2] = crlf
	if end {
		w.vec[2] = crlfLast
	}
	return w.vec[:3]
}
