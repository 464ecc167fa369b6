package main

import "traffic_management/perf/message"

// heads is HTTP/1.1 on one connection, one exchange at a time.
type heads struct {
	g    *generator
	lane *lane
	last bool // the server closes behind the response
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
		l.state, l.need, h.last = readingBody, r.Length, r.Last
		b = b[n:]
		if r.Status != 200 {
			g.result.badStatus++
		}
		g.result.bytes += int64(n)
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
