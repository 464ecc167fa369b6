package exchange_test

import (
	"bytes"
	"math/rand/v2"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

// whim is a filter that at random makes requests and responses wait, has content read whole, copies it, and passes
// responses on late and in other pieces. What arrives must be the same as without it.
type whim struct {
	w           *world
	asked, done int
	whims       int // waits, copies, contents read whole and slow bodies
}

// whimsical is what one exchange has of a whim.
type whimsical struct {
	*whim
	x     *exchange.Exchange
	plan  *plan
	timer reactor.Timer // ends a wait
	tee   *bytes.Buffer // nil: content is not copied
	slow  *slowBody     // nil: there is none
}

// newWhims draws a chain, nil for half of the worlds.
func (w *world) newWhims(rnd *rand.Rand) *exchange.Chain {
	if rnd.IntN(2) == 0 {
		return nil
	}
	var filters []exchange.Filter
	for range 1 + rnd.IntN(3) {
		f := &whim{w: w}
		w.whims, filters = append(w.whims, f), append(filters, f)
	}
	return exchange.NewChain(filters...)
}

func (f *whim) Request(x *exchange.Exchange) exchange.Verdict {
	f.asked++
	s := &whimsical{whim: f, x: x, plan: f.w.plans[string(x.RequestHead.Path[1:])]}
	x.SetState(s)
	if s.plan == nil {
		f.w.fault("a filter was given a request of no plan: %q", x.RequestHead.Path)
		return exchange.Next
	}
	if f.w.rnd.IntN(3) == 0 {
		f.whims++
		s.tee = new(bytes.Buffer)
		x.Tee(s)
	}
	switch f.w.rnd.IntN(4) {
	case 0:
		return s.wait(func() { x.Resume(exchange.Next) })
	case 1:
		if s.plan.trailer == "" {
			f.whims++
			s.plan.read = true
			return x.Buffer(1 << 20)
		}
	}
	return exchange.Next
}

// wait makes the exchange wait for a while, or for the next tick.
func (s *whimsical) wait(resume func()) exchange.Verdict {
	s.whims++
	s.timer.Fire = resume
	s.w.loop.Arm(&s.timer, time.Duration(s.w.rnd.IntN(200))*time.Millisecond)
	return exchange.Wait
}

// Data is the Tee's, as Drop.
func (s *whimsical) Data(p []byte, end bool) {
	s.tee.Write(p)
	if !bytes.HasPrefix(s.plan.content, s.tee.Bytes()) || end && s.tee.Len() < len(s.plan.content) {
		s.w.fault("%s: a copy has %d bytes of other content, end %v", s.plan.name, s.tee.Len(), end)
	}
}

func (s *whimsical) Drop() {}

func (f *whim) Response(x *exchange.Exchange, h *codec.Head, end bool) exchange.Verdict {
	s := x.State().(*whimsical)
	if s.x != x || s.slow != nil || s.plan == nil {
		f.w.fault("a filter is shown a second response, or one of another exchange: %v", s.plan)
		return exchange.Next
	}
	if x.HasContent(h, end) && f.w.rnd.IntN(3) == 0 {
		f.whims++
		s.slow = &slowBody{w: f.w}
		s.slow.timer.Fire = s.slow.pass
		s.slow.out = x.Insert(s.slow)
	}
	if f.w.rnd.IntN(3) == 0 {
		return s.wait(x.ResumeResponse)
	}
	return exchange.Next
}

func (f *whim) Done(x *exchange.Exchange) {
	f.done++
	s := x.State().(*whimsical)
	f.w.loop.Stop(&s.timer)
	if s.x != x || s.slow != nil && !s.slow.dropped {
		f.w.fault("%v: the end is told of another exchange, or before a body was dropped", s.plan)
	}
}

// slowBody is a Body that keeps content for a while and passes it on in pieces of its own.
type slowBody struct {
	w       *world
	out     exchange.Outlet
	kept    []byte
	tail    []codec.Field // with ended; nil: no trailer section
	ended   bool
	timer   reactor.Timer
	dropped bool
}

func (b *slowBody) Data(p []byte, end bool) {
	if b.dropped || b.ended {
		b.w.fault("content for a body behind its end")
	}
	b.kept, b.ended = append(b.kept, p...), end
	b.arm()
}

func (b *slowBody) Trailers(t []codec.Field) {
	b.tail, b.ended = codec.CloneFields(t), true
	b.arm()
}

func (b *slowBody) arm() {
	if !b.timer.Armed() {
		b.w.loop.Arm(&b.timer, time.Duration(b.w.rnd.IntN(50))*time.Millisecond)
	}
}

func (b *slowBody) Queued() int { return len(b.kept) }

func (b *slowBody) Drop() {
	b.dropped = true
	b.w.loop.Stop(&b.timer)
}

// pass passes on a part of what is kept, or all of it.
func (b *slowBody) pass() {
	n := len(b.kept)
	if b.w.rnd.IntN(3) == 0 && n > 0 {
		n = b.w.rnd.IntN(n) + 1
	}
	p := b.kept[:n]
	b.kept = bytes.Clone(b.kept[n:])
	switch last := len(b.kept) == 0 && b.ended; {
	case last && b.tail != nil:
		if n > 0 {
			b.out.Data(p, false)
		}
		b.out.Trailers(b.tail)
	case last || n > 0:
		b.out.Data(p, last)
	}
	if b.dropped {
		return
	}
	if len(b.kept) > 0 {
		b.arm()
	}
	b.out.Drained()
}

// judgeWhims checks that every filter was told of the end of whatever it was asked about.
func (w *world) judgeWhims() {
	for i, f := range w.whims {
		if f.asked != f.done {
			w.fault("filter %d was asked %d times and told of the end %d times", i, f.asked, f.done)
		}
	}
}
