package exchange_test

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"traffic_management/codec"
	"traffic_management/codec/h2"
	"traffic_management/engine/reactor"
)

// h2client is a client's end of one connection of HTTP/2: its requests go side by side, each in pieces, it reads slowly at
// times, and checks every response.
type h2client struct {
	w        *world
	conn     reactor.Conn
	session  *h2.Session
	requests []*h2request
	stage    h2stage
	opener   reactor.Timer // begins the next request
	giveUp   reactor.Timer // ends the connection all of a sudden
	next     int           // request to begin
	open     int           // begun and without an outcome
}

// h2stage is how far such a client has come.
type h2stage uint8

const (
	h2going h2stage = iota
	h2told          // the proxy takes no more requests
	h2over
)

func (s h2stage) String() string { return [...]string{"going", "told", "over"}[s] }

// h2request is one of its streams.
type h2request struct {
	c      *h2client
	p      *plan
	stream *h2.Stream
	out    []byte // content to be sent
	in     []byte
	right  bool          // the response is a server's
	timer  reactor.Timer // sends the next piece
	reader reactor.Timer // lets content come again
	waits  bool          // for 100
}

func (w *world) newH2Client(plans []*plan) *h2client {
	c := &h2client{w: w}
	c.opener.Fire, c.giveUp.Fire = c.begin, c.abort
	for _, p := range plans {
		r := &h2request{c: c, p: p, out: p.content, waits: p.expect}
		r.timer.Fire, r.reader.Fire = r.send, func() { r.stream.Hold(false) }
		c.requests = append(c.requests, r)
	}
	return c
}

// start opens the connection.
func (c *h2client) start() {
	w := c.w
	if w.drained >= drainBegun {
		c.end()
		return
	}
	c.conn = w.connect(c)
	window := int64(1 + w.rnd.IntN(100_000))
	if w.calm {
		window += 2048 // a response that trickles through a smaller one is given up
	}
	config := &h2.Config{MaxStreams: 1 + w.rnd.IntN(10), StreamWindow: window,
		ConnWindow: 65535, MaxHeadBytes: 4096, MaxFields: 30}
	c.session = h2.NewClient(config, c.conn, c, c.now())
	w.loop.Arm(&c.opener, 0)
	if !w.calm && w.rnd.IntN(4) == 0 {
		w.loop.Arm(&c.giveUp, time.Duration(w.rnd.IntN(1500))*time.Millisecond)
	}
}

func (c *h2client) now() time.Duration { return time.Duration(c.w.loop.Now()) }

// begin begins the next request.
func (c *h2client) begin() {
	w := c.w
	if c.stage != h2going || c.next == len(c.requests) {
		return
	}
	pause := time.Duration(w.rnd.IntN([]int{1, 20, 500}[w.rnd.IntN(3)])) * time.Millisecond
	w.loop.Arm(&c.opener, max(pause, time.Millisecond))
	r := c.requests[c.next]
	if r.stream = c.session.Open(r); r.stream == nil {
		return
	}
	c.next++
	c.open++
	r.begin()
}

func (c *h2client) OnData() {
	n, err := c.session.Receive(c.conn.In(), c.now())
	if c.stage == h2over {
		return
	}
	c.conn.Consume(n)
	switch {
	case err != nil:
		c.w.fault("what a client received is no HTTP/2: %v", err)
		c.abort()
	case c.conn.EOF():
		if len(c.conn.In()) > 0 {
			c.w.fault("the connection ended inside a frame")
		}
		c.conn.Close(false)
		c.end()
	}
}

func (c *h2client) OnDrained() { c.session.Flush() }

func (c *h2client) OnClosed(error) { c.end() }

// abort ends the connection without regard to what is under way.
func (c *h2client) abort() {
	if c.w.rnd.IntN(2) == 0 {
		c.conn.Abort()
	} else {
		c.conn.Close(false)
	}
	c.end()
}

// end notes what is left without an answer.
func (c *h2client) end() {
	c.stage = h2over
	c.w.loop.Stop(&c.opener)
	c.w.loop.Stop(&c.giveUp)
	if c.session != nil {
		c.session.Fail(&codec.Error{Side: codec.Upstream, Kind: codec.KindClosed})
	}
	for _, r := range c.requests[c.next:] {
		r.p.outcome = outcomeUnsent
	}
}

// done follows when a request has its outcome.
func (c *h2client) done() {
	c.open--
	last := c.open == 0 && c.next == len(c.requests)
	if last && c.stage == h2going && c.w.rnd.IntN(2) == 0 { // else the proxy ends the connection
		c.w.loop.Defer(func() {
			if c.stage != h2over {
				c.conn.Close(false)
				c.end()
			}
		})
	}
}

func (c *h2client) Request(*h2.Stream, *codec.Head, []byte, bool) codec.Receiver { return nil }
func (c *h2client) Refused(*h2.Stream, *codec.Error) codec.Receiver              { return nil }
func (c *h2client) Settings()                                                    {}
func (c *h2client) Pong(uint64)                                                  {}

func (c *h2client) GoAway(_ uint32, code h2.ErrCode) {
	c.stage = h2told
	if code != h2.NoError {
		c.w.fault("a client was told %v", code)
	}
}

func (c *h2client) Later() {
	c.w.loop.Defer(c.session.Deliver) // what has come is there, even of a connection that is over
}

// begin sends the head.
func (r *h2request) begin() {
	p, w := r.p, r.c.w
	h := codec.Head{Version: codec.HTTP2, Method: codec.LookupMethod([]byte(p.method)), MethodName: []byte(p.method),
		Authority: []byte("example.org"), Path: []byte("/" + p.name), Query: []byte("x=" + strconv.FormatUint(p.seed, 16)),
		Length: -1, Fields: []codec.Field{{Name: []byte("X-Plan"), Value: []byte(p.name)}}}
	if p.expect {
		h.Fields = append(h.Fields, codec.NewField(codec.FieldExpect, []byte("100-continue")))
	}
	if p.method != "PUT" && p.method != "POST" {
		r.stream.Head(&h, true)
	} else {
		h.Framing = codec.ByEndStream
		if p.framing == framedByLength {
			h.Framing, h.Length = codec.ByLength, int64(len(p.content))
		}
		r.stream.Head(&h, false)
		pause := time.Duration(w.rnd.IntN(40)) * time.Millisecond
		if p.expect {
			pause = time.Second
		}
		w.loop.Arm(&r.timer, pause)
	}
	if !w.calm && w.rnd.IntN(8) == 0 {
		var reset reactor.Timer
		reset.Fire = func() {
			if p.outcome == outcomeOpen {
				r.stream.Reset(nil)
				r.over(r.lost())
			}
		}
		w.loop.Loop.Arm(&reset, time.Duration(w.rnd.IntN(1000))*time.Millisecond)
	}
}

// send sends the next piece of the content.
func (r *h2request) send() {
	w := r.c.w
	if r.stream.Queued() > codec.HighMark {
		w.loop.Arm(&r.timer, 20*time.Millisecond)
		return
	}
	n := len(r.out)
	if n > 0 && w.rnd.IntN(2) == 0 {
		n = 1 + w.rnd.IntN(n)
	}
	piece := r.out[:n]
	r.out = r.out[n:]
	switch {
	case len(r.out) > 0:
		r.stream.Data(piece, false)
		w.loop.Arm(&r.timer, time.Duration(w.rnd.IntN(40))*time.Millisecond)
	case r.p.trailer != "":
		r.stream.Data(piece, false)
		r.stream.Trailers([]codec.Field{{Name: []byte("X-Sum"), Value: []byte(r.p.name)}})
	default:
		r.stream.Data(piece, true)
	}
}

// over notes the outcome.
func (r *h2request) over(o outcome) {
	r.p.outcome = o
	r.c.w.loop.Stop(&r.timer)
	r.c.w.loop.Stop(&r.reader)
	r.stream.Release()
	r.c.done()
}

// lost is what became of a request whose stream has ended before the response was whole.
func (r *h2request) lost() outcome {
	if r.p.answer != 0 {
		return outcomeCut
	}
	return outcomeDropped
}

func (r *h2request) Ready(codec.Stream) { r.c.w.fault("a stream of HTTP/2 became ready") }

func (r *h2request) Drained() {}

func (r *h2request) Failed(e *codec.Error) {
	if r.c.w.calm && e.Retry != codec.RetrySafe && r.c.w.drained < drainBegun {
		r.c.w.fault("lost: %v: %v", e, r.p)
	}
	r.over(r.lost())
}

func (r *h2request) Head(h *codec.Head, end bool) {
	p, w := r.p, r.c.w
	name, _ := h.Lookup("X-Plan")
	switch {
	case h.Status == 100:
		if !p.expect {
			w.fault("%s: 100 unasked", p.name)
		}
		w.loop.Arm(&r.timer, 0)
		return
	case h.Status < 200:
		if string(name) != p.name {
			w.fault("%s: %d for %s", p.name, h.Status, name)
		}
		return
	}
	p.answer = h.Status
	r.right = name != nil
	if name != nil && (string(name) != p.name || h.Status != p.status) {
		w.fault("%s: a client received the response to %s, %d", p.name, name, h.Status)
	}
	if end {
		r.whole("")
	}
}

func (r *h2request) Data(b []byte, end bool) {
	w := r.c.w
	r.in = append(r.in, b...)
	if r.right && !bytes.HasPrefix(r.p.reply, r.in) {
		w.fault("%s: a client received other content", r.p.name)
	}
	switch {
	case end:
		r.whole("")
	case w.rnd.IntN(12) == 0 && !r.reader.Armed():
		r.stream.Hold(true)
		w.loop.Arm(&r.reader, time.Duration(w.rnd.IntN(700))*time.Millisecond)
	}
}

func (r *h2request) Trailers(t []codec.Field) {
	text := ""
	for _, f := range t {
		text += string(f.Name) + ": " + string(f.Value)
	}
	r.whole(text)
}

// whole takes the end of a response.
func (r *h2request) whole(trailer string) {
	p, w := r.p, r.c.w
	want := p.reply
	if p.method == "HEAD" {
		want = nil
	}
	switch {
	case !r.right:
		if !strings.Contains(" 408 502 503 504 ", " "+strconv.Itoa(p.answer)+" ") || w.calm {
			w.fault("%s (%v): the proxy replied %d %q", p.name, p.mood, p.answer, r.in)
		}
		r.over(outcomeLocal)
		return
	case !bytes.Equal(r.in, want) || !strings.EqualFold(trailer, p.replyTrailer):
		w.fault("%s: a client received %d bytes and trailer %q, want %d and %q", p.name, len(r.in), trailer, len(want), p.replyTrailer)
	}
	r.over(outcomeRight)
}
