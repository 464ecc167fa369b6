package message

import (
	"bytes"
	"strconv"
)

// maxChunkLine is the longest line between chunks that is taken, in bytes.
const maxChunkLine = 256

// Chunks finds the end of chunked content (RFC 9112 section 7.1). The zero value is at the beginning of one.
type Chunks struct {
	left    int64 // of the chunk and the CRLF behind it
	trailer bool  // the last chunk has been
}

// Take reads received bytes and returns how many are used up; what is left over is too little yet, unless done. Done says
// that the content ended with them, and makes c ready for the next one.
func (c *Chunks) Take(b []byte) (n int, done bool, err error) {
	for n < len(b) {
		if c.left > 0 {
			m := min(c.left, int64(len(b)-n))
			c.left -= m
			n += int(m)
			continue
		}
		length := bytes.Index(b[n:], []byte("\r\n"))
		switch {
		case length > maxChunkLine || length < 0 && len(b)-n > maxChunkLine:
			return n, false, ErrSyntax
		case length < 0:
			return n, false, nil
		}
		line := b[n : n+length]
		n += length + 2
		switch {
		case c.trailer && length == 0:
			*c = Chunks{}
			return n, true, nil
		case c.trailer:
			continue
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		chunk, err := strconv.ParseInt(string(size), 16, 48)
		if err != nil || chunk < 0 {
			return n, false, ErrSyntax
		}
		if c.trailer = chunk == 0; !c.trailer {
			c.left = chunk + 2
		}
	}
	return n, false, nil
}
