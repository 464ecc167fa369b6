package main

import "traffic_management/perf/message"

// heads is HTTP/1.1 on one connection, one exchange at a time.
type heads struct {
	g    *generator
	lane *lane
	last bool // the server closes behind the response
	// chunked says that chunks finds the end of the response.
	chunked bool
	chunks  message.Chunks
}

func (h *heads) request(dst []byte, _ *lane, r *request) []byte { return append(dst, r.text...) }

func (h *heads) take(b []byte) ([]byte, error) {
	l, g := h.lane, h.g
	if l.state == idle {
		return nil, errUnasked
	}
	if l.state == awaiting {
		r, n, err := message.ParseResponse(b)
		if err != nil || n == 0 {
			return b, err
		}
		l.state, l.need, h.last, h.chunked = readingBody, r.Length, r.Last, r.Chunked
		b = b[n:]
		if r.Status != 200 {
			g.result.badStatus++
		}
		g.result.bytes += int64(n)
	}
	if h.chunked {
		return h.takeChunks(b)
	}
	if int64(len(b)) > l.need {
		return nil, errUnasked
	}
	l.need -= int64(len(b))
	g.result.bytes += int64(len(b))
	if l.need == 0 {
		return nil, g.answered(l, h.last)
	}
	return nil, nil
}

// takeChunks is take for content in chunks.
func (h *heads) takeChunks(b []byte) ([]byte, error) {
	n, done, err := h.chunks.Take(b)
	h.g.result.bytes += int64(n)
	switch {
	case err != nil || !done:
		return b[n:], err
	case n < len(b):
		return nil, errUnasked
	}
	return nil, h.g.answered(h.lane, h.last)
}
