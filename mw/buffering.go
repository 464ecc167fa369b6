package mw

import (
	"errors"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// BufferingOptions is the settings of a filter that passes on whole messages only.
type BufferingOptions struct {
	MaxRequestBody  int64 // bytes of a request's content; 0: it passes as it comes
	MaxResponseBody int64 // bytes of a response's content; 0: it passes as it comes
}

// Buffering reads content whole before it goes on: a server sees a request when all of it is there, a client a response.
// Larger content is refused, with 413 and 502. Immutable.
type Buffering struct{ o BufferingOptions }

// NewBuffering makes one.
func NewBuffering(o BufferingOptions) (*Buffering, error) {
	if o.MaxRequestBody < 0 || o.MaxResponseBody < 0 {
		return nil, errors.New("a limit is less than 0")
	}
	return &Buffering{o}, nil
}

// Request implements exchange.Filter.
func (b *Buffering) Request(x *exchange.Exchange) exchange.Verdict {
	if b.o.MaxRequestBody == 0 {
		return exchange.Next
	}
	return x.Buffer(b.o.MaxRequestBody)
}

// Response implements exchange.ResponseFilter.
func (b *Buffering) Response(x *exchange.Exchange, h *codec.Head, end bool) exchange.Verdict {
	if b.o.MaxResponseBody == 0 || !x.HasContent(h, end) {
		return exchange.Next
	}
	w := &whole{x: x, left: b.o.MaxResponseBody}
	if h.Framing == codec.ByLength && h.Length > w.left {
		w.left = 0 // the first of it is too much
	}
	w.out = x.Insert(w)
	return exchange.Wait
}

var errResponseTooLarge = &codec.Error{Side: codec.Upstream, Kind: codec.KindTooLarge, Status: 502,
	Cause: errors.New("the content of the response is larger than may be kept")}

// whole is a Body that keeps content until there is no more. It belongs to the loop.
type whole struct {
	x    *exchange.Exchange
	out  exchange.Outlet
	data []byte
	left int64 // that may come yet
}

// Data keeps content, and passes it on with the last.
func (w *whole) Data(p []byte, end bool) {
	if w.left -= int64(len(p)); w.left < 0 {
		w.data = nil
		w.x.RefuseResponse(errResponseTooLarge)
		return
	}
	w.data = append(w.data, p...)
	if !end {
		return
	}
	if h := w.x.Withheld(); h != nil {
		h.Framing, h.Length = codec.ByLength, int64(len(w.data))
	}
	w.x.ResumeResponse()
	w.out.Data(w.data, true)
}

// Trailers passes on what was kept, and the trailer section.
func (w *whole) Trailers(t []codec.Field) {
	w.x.ResumeResponse()
	w.out.Data(w.data, false)
	w.out.Trailers(t)
}

// Queued is 0: the server must go on, or the content would never be whole.
func (w *whole) Queued() int { return 0 }

// Drop forgets the content.
func (w *whole) Drop() { w.data = nil }
