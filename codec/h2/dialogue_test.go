package h2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"traffic_management/codec"
	"traffic_management/internal/invariant"
)

// link is one direction between two sessions: a Wire whose bytes arrive in pieces of any size, and late.
type link struct {
	bytes   []byte
	high    bool // queued passed the high mark: Flush is owed
	carried int
}

func (l *link) Write(p []byte) {
	l.bytes = append(l.bytes, p...)
	l.high = l.high || len(l.bytes) > codec.HighMark
}

func (l *link) Writev(bufs [][]byte) {
	for _, b := range bufs {
		l.Write(b)
	}
}

func (l *link) Queued() int { return len(l.bytes) }

// end is one side of a dialogue.
type end struct {
	*Session
	out   link
	input []byte // came and was not consumed
	due   bool
	goes  int // GOAWAY that came
}

func (e *end) Settings()              {}
func (e *end) GoAway(uint32, ErrCode) { e.goes++ }
func (e *end) Pong(uint64)            {}
func (e *end) Later()                 { e.due = true }

// world is a client's and a server's session, and what both sides said of each stream.
type world struct {
	t              *testing.T
	seed           uint64
	r              *rand.Rand
	client, server end
	asked          []*talk
	now            time.Duration
	calm           bool // nothing is reset, everything ends
}

// talk is a request and its response. Content is a sequence of bytes that begins with the number of the talk, so that
// what is lost, doubled or of another stream is noticed.
type talk struct {
	world    *world
	number   int
	up, down side // the request, as the server heard it, and the response
	id       uint32
}

// side is one message: its sender is a stream, its receiver hears the other.
type side struct {
	talk     *talk
	stream   *Stream // of whoever sends this message; nil once released
	size     int     // of the content
	sent     int
	trailers bool
	whole    bool // all was sent

	heardHead bool
	heard     int
	ends      int // that were heard, Failed included
	failed    bool
	holds     bool // its receiver holds it
	stopped   bool // its sender waits for Drained
}

func (w *world) fatal(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("seed %d: %s", w.seed, fmt.Sprintf(format, args...))
}

func contentByte(number, i int) byte { return byte(number*31 + i*7 + i>>8) }

// ask makes a talk, if the session has room.
func (w *world) ask() {
	k := &talk{world: w, number: len(w.asked)}
	k.up.talk, k.down.talk = k, k
	k.up.size, k.down.size = w.size(), w.size()
	k.up.trailers, k.down.trailers = w.r.IntN(4) == 0, w.r.IntN(4) == 0
	s := w.client.Open(&hearer{talk: k, of: &k.down, own: &k.up})
	if s == nil {
		return
	}
	w.asked = append(w.asked, k)
	k.up.stream = s
	h := request(codec.MethodPost, fmt.Sprint("/", k.number), -1, codec.NewField(codec.FieldUserAgent, bytes.Repeat([]byte("u"), w.r.IntN(300))))
	h.Framing = codec.ByChunks
	if w.r.IntN(3) == 0 && !k.up.trailers {
		h.Framing, h.Length = codec.ByLength, int64(k.up.size)
	}
	k.up.whole = k.up.size == 0 && !k.up.trailers && w.r.IntN(2) == 0
	if k.up.whole {
		h.Framing, h.Length = codec.NoContent, 0
	}
	s.Head(h, k.up.whole)
	k.id = s.ID()
}

func (w *world) size() int {
	switch w.r.IntN(4) {
	case 0:
		return 0
	case 1:
		return w.r.IntN(200)
	}
	return w.r.IntN(120000)
}

// push sends a piece of a message, and its end behind the last one.
func (w *world) push(d *side) {
	s := d.stream
	if s == nil || d.whole || d.stopped {
		return
	}
	n := min(d.size-d.sent, w.r.IntN(40000))
	p := make([]byte, n)
	for i := range p {
		p[i] = contentByte(d.talk.number, d.sent+i)
	}
	d.sent += n
	d.whole = d.sent == d.size
	s.Data(p, d.whole && !d.trailers)
	invariant.Poison(p)
	if d.whole && d.trailers {
		s.Trailers([]codec.Field{{Name: []byte("X-Number"), Value: fmt.Append(nil, d.talk.number)}})
	}
	if !d.whole && s.Queued() > codec.HighMark {
		d.stopped = true
	}
	d.talk.settle()
}

// settle releases the streams of a talk when both of its messages have ended for them.
func (k *talk) settle() {
	if s := k.up.stream; s != nil && k.up.whole && k.down.ends > 0 {
		k.up.stream = nil
		s.Release()
	}
	if s := k.down.stream; s != nil && k.down.whole && k.up.ends > 0 {
		k.down.stream = nil
		s.Release()
	}
}

// hearer is the receiver of one side; own is what its owner sends.
type hearer struct {
	talk *talk
	of   *side
	own  *side
}

func (r *hearer) Ready(codec.Stream) {}
func (r *hearer) Drained()           { r.own.stopped = false }

func (r *hearer) Head(h *codec.Head, end bool) {
	w := r.talk.world
	if got, _ := h.Lookup("X-Number"); string(got) != fmt.Sprint(r.talk.number) {
		w.fatal("talk %d got the head of %s", r.talk.number, got)
	}
	r.of.heardHead = true
	if end {
		r.end()
	}
}

func (r *hearer) Data(p []byte, end bool) {
	w, d := r.talk.world, r.of
	if d.ends > 0 || r.own.stream == nil {
		w.fatal("talk %d: content after the end", r.talk.number)
	}
	if d.holds {
		w.fatal("talk %d: content while it is held", r.talk.number)
	}
	for i, c := range p {
		if c != contentByte(r.talk.number, d.heard+i) {
			w.fatal("talk %d: another byte at %d", r.talk.number, d.heard+i)
		}
	}
	d.heard += len(p)
	if end {
		r.end()
		return
	}
	switch n := w.r.IntN(100); {
	case n < 10:
		d.holds = true
		r.own.stream.Hold(true)
	case n == 99 && !w.calm:
		r.give(w.r.IntN(2) == 0)
	}
}

// give gives the talk up, from the side of whoever hears this.
func (r *hearer) give(reset bool) {
	s := r.own.stream
	if reset {
		s.Reset(nil)
	}
	r.own.stream = nil
	r.of.ends++
	r.of.failed = true
	s.Release()
}

func (r *hearer) Trailers(t []codec.Field) {
	w := r.talk.world
	if len(t) != 1 || string(t[0].Value) != fmt.Sprint(r.talk.number) {
		w.fatal("talk %d: trailers %q", r.talk.number, t)
	}
	if !r.of.trailers {
		w.fatal("talk %d: trailers", r.talk.number)
	}
	r.end()
}

func (r *hearer) end() {
	w, d := r.talk.world, r.of
	if d.ends++; d.ends > 1 || d.heard != d.size {
		w.fatal("talk %d: end %d after %d of %d bytes", r.talk.number, d.ends, d.heard, d.size)
	}
	r.talk.settle()
}

func (r *hearer) Failed(e *codec.Error) {
	w, d := r.talk.world, r.of
	if w.calm {
		w.fatal("talk %d failed: %v", r.talk.number, e)
	}
	if d.failed {
		w.fatal("talk %d failed twice", r.talk.number)
	}
	d.failed = true
	d.ends++
	s := r.own.stream
	r.own.stream = nil
	s.Release()
}

// Request is the server's end: it answers.
func (e *end) Request(s *Stream, h *codec.Head, raw []byte, last bool) codec.Receiver {
	w := worldOf[e]
	var number int
	fmt.Sscanf(string(h.Path), "/%d", &number)
	k := w.asked[number]
	if k.down.stream != nil || k.down.whole || k.up.heardHead {
		w.fatal("talk %d came twice", number)
	}
	r := &hearer{talk: k, of: &k.up, own: &k.down}
	k.up.heardHead = true
	k.down.stream = s
	head := response(200, -1, codec.Field{Name: []byte("X-Number"), Value: fmt.Append(nil, number)})
	k.down.whole = k.down.size == 0 && !k.down.trailers
	s.Head(head, k.down.whole)
	if last {
		r.end()
	}
	return r
}

func (e *end) Refused(*Stream, *codec.Error) codec.Receiver { panic("refused") }

var worldOf = map[*end]*world{}

// carry moves some bytes from one end to the other.
func (w *world) carry(from, to *end) {
	n := min(len(from.out.bytes), w.r.IntN(50000))
	if w.r.IntN(4) == 0 {
		n = min(n, w.r.IntN(30))
	}
	to.input = append(to.input, from.out.bytes[:n]...)
	from.out.bytes = from.out.bytes[n:]
	from.out.carried += n
	if from.out.high && len(from.out.bytes) <= codec.LowMark {
		from.out.high = false
		from.Flush()
	}
	if n == 0 {
		return
	}
	in := bytes.Clone(to.input)
	k, err := to.Receive(in, w.now)
	invariant.Poison(in)
	if err != nil {
		w.fatal("%v", err)
	}
	if k < 0 || k > len(in) {
		w.fatal("consumed %d of %d", k, len(in))
	}
	to.input = to.input[k:]
}

// step lets one thing happen.
func (w *world) step(asking bool) {
	w.now += time.Duration(w.r.IntN(20)) * time.Millisecond
	for _, e := range []*end{&w.client, &w.server} {
		if e.due && w.r.IntN(2) == 0 {
			e.due = false
			e.Deliver()
		}
	}
	switch n := w.r.IntN(10); {
	case n == 0 && asking:
		w.ask()
	case n < 4:
		w.carry(&w.client, &w.server)
	case n < 7:
		w.carry(&w.server, &w.client)
	case len(w.asked) > 0:
		k := w.asked[w.r.IntN(len(w.asked))]
		w.push(&k.up)
		w.push(&k.down)
		for _, d := range [...]struct{ of, own *side }{{&k.up, &k.down}, {&k.down, &k.up}} {
			if d.of.holds && d.own.stream != nil && w.r.IntN(2) == 0 {
				d.of.holds = false
				d.own.stream.Hold(false)
			}
		}
	}
}

// balance checks that both sides agree on every window: what one may send is what the other expects, less what is on
// its way.
func (w *world) balance() {
	for _, d := range [...]struct{ from, to *end }{{&w.client, &w.server}, {&w.server, &w.client}} {
		if len(d.from.out.bytes)+len(d.to.out.bytes)+len(d.from.input)+len(d.to.input) > 0 {
			return
		}
		if int64(d.from.Session.window) != d.to.in.left {
			w.fatal("the connection's window is %d for its sender and %d for its receiver", d.from.Session.window, d.to.in.left)
		}
		for _, t := range d.from.open {
			if u := d.to.stream(t.id); u != nil && u.heard != partWhole && int64(t.window) != u.in.left {
				w.fatal("stream %d: %d for its sender, %d for its receiver", t.id, t.window, u.in.left)
			}
		}
	}
}

// TestDialogues: two sessions with random content, cuts, holds and resets between them. Every stream ends once, content
// comes whole and in order, and nothing is left behind.
func TestDialogues(t *testing.T) {
	for seed := range uint64(10) {
		dialogue(t, seed, seed%2 == 0)
	}
}

func dialogue(t *testing.T, seed uint64, calm bool) {
	w := &world{t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 1)), calm: calm}
	c := testConfig
	c.WriteStall, c.MaxStreams = 0, 20
	c.StreamWindow, c.ConnWindow = int64(1000+w.r.IntN(100000)), int64(w.r.IntN(200000))
	c.MaxQueued = int64(1 + w.r.IntN(200000))
	worldOf[&w.client], worldOf[&w.server] = w, w
	defer func() { delete(worldOf, &w.client); delete(worldOf, &w.server) }()
	w.client.Session = NewClient(&c, &w.client.out, &w.client, 0)
	of := c
	of.MaxStreams = 1000 // streams count until they are released, which here may be long after their end
	w.server.Session = NewServer(&of, &w.server.out, &w.server, 0)
	for range 1500 {
		w.step(true)
		w.balance()
	}
	for i := 0; w.client.Streams()+w.server.Streams()+len(w.client.out.bytes)+len(w.server.out.bytes) > 0 || w.client.due || w.server.due; i++ {
		if i > 200000 {
			w.fatal("%d and %d streams do not end", w.client.Streams(), w.server.Streams())
		}
		w.step(false)
		w.balance()
	}
	for _, k := range w.asked {
		if k.down.ends != 1 || calm && (k.up.ends != 1 || k.up.heard != k.up.size || k.down.heard != k.down.size) {
			w.fatal("talk %d: the response ended %d times", k.number, k.down.ends)
		}
	}
	if len(w.asked) < 10 {
		w.fatal("%d requests", len(w.asked))
	}
}
