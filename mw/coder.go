package mw

import (
	"context"
	"fmt"
	"runtime"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

// coder compresses the content of one response at a time. It is the exchange.Body of it, and belongs to its loop but for
// what a job has while coderWorking.
//
//	Data ─▶ in ─end of the event─┬─ little: compressed at once ──────────────────────▶ Outlet
//	                             └─ much: a piece of it ─▶ job on a goroutine ─Post─▶ Outlet, and the next piece
//
// The server is held by what lies in in (Queued). A piece takes less than half a millisecond (encoderKind.piece), and
// after each the loop has its turn: on a core that they share, a loop that wakes waits for one.
type coder struct {
	// Immutable:
	kind *encoderKind
	due  func()                                  // c.compress, bound once
	work func(context.Context) (struct{}, error) // c.run
	done func(struct{}, error)                   // c.ran

	// Of the response:
	loop     reactor.Loop
	outlet   exchange.Outlet
	pace     pace
	state    coderState
	input    inputState
	in       []byte // content
	taken    int    // of in, by pieces up to now
	trailers []codec.Field

	// The job's while coderWorking:
	piece   []byte
	step    step
	encoder encoder // from the first piece to the end; nil: none
	out     output
}

// coderState is what a coder is doing, and with that who may touch it.
type coderState uint8

const (
	coderIdle    coderState = iota // nothing, until there is content
	coderDue                       // compress was deferred
	coderWorking                   // a job runs, or what it made is being passed on
	coderLeft                      // the response is over; what is deferred or runs gives the coder back
	coderBroken                    // a job failed: the response was cut, and the encoder is in no known state
)

func (s coderState) String() string {
	return [...]string{"idle", "due", "working", "left", "broken"}[s]
}

// pace is when content leaves.
type pace uint8

const (
	paceFill  pace = iota // when the encoder has a block, or the content ends
	paceFlush             // as it comes: nobody knows when more will
)

func (p pace) String() string { return [...]string{"fill", "flush"}[p] }

// inputState is how much of the content has come.
type inputState uint8

const (
	inputOpen    inputState = iota // more follows
	inputWhole                     // all of it is in in, or was taken
	inputTrailed                   // that, and trailers followed
)

func (s inputState) String() string { return [...]string{"open", "whole", "trailed"}[s] }

// step is what is done with a piece.
type step uint8

const (
	stepFill  step = iota // it goes into the encoder, which makes a block of it
	stepFlush             // and all that is in the encoder comes out
	stepClose             // and is the end
)

func (s step) String() string { return [...]string{"fill", "flush", "close"}[s] }

// keepBytes bounds each of the buffers that a coder without a response keeps: what a server is read ahead fits, so that
// one large response after the other makes no garbage.
const keepBytes = 256 << 10

// places are those of jobs that compress at the same time.
var places = make(chan struct{}, reactor.Share())

func newCoder(k *encoderKind) *coder {
	c := &coder{kind: k}
	c.due, c.work, c.done = c.compress, c.run, c.ran
	return c
}

// begin makes the coder ready for a response.
func (c *coder) begin(l reactor.Loop, o exchange.Outlet, p pace) {
	c.loop, c.outlet, c.pace = l, o, p
}

// Data is the exchange.Body's.
func (c *coder) Data(p []byte, end bool) {
	if len(c.in)+len(p) > cap(c.in) {
		c.in, c.taken = c.in[:copy(c.in, c.in[c.taken:])], 0
	}
	c.in = append(c.in, p...)
	if end {
		c.input = inputWhole
	}
	c.schedule()
}

// Trailers is the exchange.Body's.
func (c *coder) Trailers(t []codec.Field) {
	c.trailers, c.input = codec.CloneFields(t), inputTrailed
	c.schedule()
}

// Queued is the exchange.Body's. What waits to be a piece waits for the server, which must not be held for it.
func (c *coder) Queued() int {
	if c.state == coderIdle {
		return 0
	}
	return len(c.in) - c.taken + len(c.piece)
}

// Drop is the exchange.Body's.
func (c *coder) Drop() {
	switch c.state {
	case coderDue, coderWorking:
		c.state = coderLeft
	default:
		c.giveBack()
	}
}

// giveBack ends what the coder has of the response.
func (c *coder) giveBack() {
	c.loop, c.outlet, c.trailers = nil, exchange.Outlet{}, nil
	c.input = inputOpen
	if c.state == coderBroken {
		c.encoder = nil
	}
	c.rest()
	c.in, c.taken, c.piece, c.out = emptied(c.in), 0, c.piece[:0], emptied(c.out)
	c.kind.give(c)
}

// emptied is the buffer without content, or none when it is a large one.
func emptied[B ~[]byte](b B) B {
	if cap(b) > keepBytes {
		return nil
	}
	return b[:0]
}

// schedule has compress called after this event, when all that comes in it is there.
func (c *coder) schedule() {
	if c.state == coderIdle && c.ready() {
		c.state = coderDue
		c.loop.Defer(c.due)
	}
}

// ready reports whether there is something to do.
func (c *coder) ready() bool {
	n := len(c.in) - c.taken
	return c.input != inputOpen || c.pace == paceFlush && n > 0 || n >= c.kind.piece
}

// compress does the next piece, here when that is quick.
func (c *coder) compress() {
	if c.state == coderLeft {
		c.giveBack()
		return
	}
	c.state = coderWorking
	n := len(c.in) - c.taken
	if n > c.kind.piece*3/2 { // or else what is left would be little
		n = c.kind.piece
	}
	c.piece = append(c.piece[:0], c.in[c.taken:c.taken+n]...)
	if c.taken += n; c.taken == len(c.in) {
		c.in, c.taken = c.in[:0], 0
	}
	switch {
	case len(c.in) > 0:
		c.step = stepFill
	case c.input != inputOpen:
		c.step = stepClose
	case c.pace == paceFlush:
		c.step = stepFlush
	default:
		c.step = stepFill
	}
	// An encoder that is slow also takes long to begin.
	if n > c.kind.inline || c.encoder == nil && c.kind.slow() {
		reactor.Go(c.loop, c.work, c.done)
		return
	}
	c.ran(struct{}{}, c.encodeHere())
}

// encodeHere is encode on the loop, where a panic is contained as in a job.
func (c *coder) encodeHere() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", reactor.ErrPanic, v)
		}
	}()
	return c.encode()
}

// run is the job.
func (c *coder) run(context.Context) (struct{}, error) {
	places <- struct{}{}
	defer func() { <-places }()
	runtime.Gosched() // whoever had the place made this the next to run, before a loop that waits
	return struct{}{}, c.encode()
}

// rest gives the encoder back, if there is one.
func (c *coder) rest() {
	if c.encoder != nil {
		c.kind.encoders.Put(c.encoder)
		c.encoder = nil
	}
}

// encode puts the piece through the encoder. Responses of one piece have one only meanwhile: what waits for its turn needs
// none, and the tables of the one that was used last are still in the processor's cache.
func (c *coder) encode() error {
	if c.encoder == nil {
		c.encoder = c.kind.encoder()
		c.encoder.Reset(&c.out)
	}
	if _, err := c.encoder.Write(c.piece); err != nil {
		return err
	}
	switch c.step {
	case stepFill:
		if c.kind.Coding == CodingBrotli {
			return nil
		}
		// Else it would gather some, and then work for up to 3 ms.
		return c.encoder.Flush()
	case stepFlush:
		return c.encoder.Flush()
	case stepClose:
		if err := c.encoder.Close(); err != nil {
			return err
		}
		c.rest()
	}
	return nil
}

// ran passes on what a piece came to, and goes on to the next.
func (c *coder) ran(_ struct{}, err error) {
	c.piece = c.piece[:0]
	switch {
	case err != nil:
		c.failed(err)
		return
	case c.state == coderLeft:
		c.giveBack()
		return
	}
	c.pass()
	if c.state == coderLeft {
		c.giveBack()
		return
	}
	c.state = coderIdle
	if c.step != stepClose {
		c.schedule() // before Drained, which asks what is queued
		c.outlet.Drained()
	}
}

// pass gives the outlet what the encoder wrote.
func (c *coder) pass() {
	switch {
	case c.step == stepClose && c.input == inputTrailed:
		if len(c.out) > 0 {
			c.outlet.Data(c.out, false)
		}
		c.outlet.Trailers(c.trailers)
	case c.step == stepClose:
		c.outlet.Data(c.out, true)
	case len(c.out) > 0:
		c.outlet.Data(c.out, false)
	}
	c.out = c.out[:0]
}

// failed gives up a response whose encoder panicked: memory, which it writes to, makes no errors.
func (c *coder) failed(err error) {
	left := c.state == coderLeft
	c.state = coderBroken
	if left {
		c.giveBack()
		return
	}
	c.outlet.Cut(&codec.Error{Side: codec.Internal, Kind: codec.KindPanic, Status: 500, Cause: err})
}
