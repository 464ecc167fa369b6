package h1

import "traffic_management/codec"

// Body takes the content of one message after another out of its framing (RFC 9112 section 6). The zero value is a
// message without content; Start begins another. One goroutine, the loop's, touches it.
type Body struct {
	framing codec.Framing // NoContent once the message is consumed
	chunks  Chunked       // its left counts the bytes of ByLength, too
}

// Start begins the content of a message: length bytes with codec.ByLength. Errors will be those of side, and l bounds
// the trailer section. Trailers lent before are gone.
func (y *Body) Start(f codec.Framing, length int64, side codec.Side, l *Limits) {
	y.chunks.Side, y.chunks.Limits = side, l
	y.chunks.Reset()
	y.framing = f
	if f == codec.ByLength {
		y.chunks.left = length
		if length == 0 {
			y.framing = codec.NoContent
		}
	}
}

// Decode consumes the n first bytes of b and gives the content in them, as Chunked.Decode does. Once Done it consumes
// nothing.
func (y *Body) Decode(b []byte) (data []byte, n int, err error) {
	switch y.framing {
	case codec.NoContent:
		return nil, 0, nil
	case codec.ByChunks:
		data, n, err = y.chunks.Decode(b)
		if y.chunks.Done() {
			y.framing = codec.NoContent
		}
		return data, n, err
	case codec.ByLength:
		n = int(min(y.chunks.left, int64(len(b))))
		if y.chunks.left -= int64(n); y.chunks.left == 0 {
			y.framing = codec.NoContent
		}
		return b[:n:n], n, nil
	}
	return b, len(b), nil
}

// Done reports whether the message was consumed.
func (y *Body) Done() bool { return y.framing == codec.NoContent }

// Left is how many bytes of content are outstanding, when the framing tells.
func (y *Body) Left() (n int64, known bool) {
	switch y.framing {
	case codec.NoContent:
		return 0, true
	case codec.ByLength:
		return y.chunks.left, true
	}
	return 0, false
}

// EOF tells what the end of input means now, when all input was decoded: nil when the message is whole, as one that is
// delimited by the close of its connection then is; else the error of a truncated message.
func (y *Body) EOF() error {
	switch y.framing {
	case codec.ByLength, codec.ByChunks:
		return faultTruncated.by(y.chunks.Side)
	}
	y.framing = codec.NoContent
	return nil
}

// Trailers is the trailer section once Done, lent until Start.
func (y *Body) Trailers() []codec.Field { return y.chunks.Trailers() }
