package mw

import (
	"io"
	"math/bits"

	"github.com/andybalholm/brotli"
	"github.com/andybalholm/brotli/matchfinder"
)

// Bounds of Brotli. Each level looks as far back as brotliDistance; the window that a decoder is told to keep
// (RFC 7932 section 9.1) is the next larger one whose code has as many bits as the header of the library.
const (
	brotliDistance   = 1 << 16
	brotliWindow     = 0b0011 // 2^18 bytes
	brotliHeaderBits = 4
	brotliBlock      = 32 << 10
)

// brotliFinders make what finds repetitions, for each level about as the library has them.
var brotliFinders = [...]func() matchfinder.MatchFinder{
	0: func() matchfinder.MatchFinder { return &matchfinder.ZFast{MaxDistance: brotliDistance} },
	1: func() matchfinder.MatchFinder { return &matchfinder.ZFast{MaxDistance: brotliDistance} },
	2: func() matchfinder.MatchFinder { return &matchfinder.ZDFast{MaxDistance: brotliDistance} },
	3: func() matchfinder.MatchFinder { return &matchfinder.ZM{MaxDistance: brotliDistance} },
	4: func() matchfinder.MatchFinder { return &matchfinder.Trio{MaxDistance: brotliDistance} },
	5: func() matchfinder.MatchFinder { return &matchfinder.Bargain1{MaxDistance: brotliDistance, Skip: true} },
	6: func() matchfinder.MatchFinder { return &matchfinder.Bargain1{MaxDistance: brotliDistance} },
	7: func() matchfinder.MatchFinder { return &matchfinder.Bargain2{MaxDistance: brotliDistance, Skip: true} },
	8: func() matchfinder.MatchFinder { return &matchfinder.Bargain2{MaxDistance: brotliDistance} },
	9: func() matchfinder.MatchFinder { return &matchfinder.Bargain3{MaxDistance: brotliDistance} },
}

// brotliEncoder is an encoder of Brotli that can be flushed: the library's way of the same speed can not, and the one
// that can takes two to three times as long (decision 0016). It is the library that finds repetitions and makes
// meta-blocks; this puts between them what ends on a byte (RFC 7932 section 9.2).
type brotliEncoder struct {
	to      io.Writer
	finder  matchfinder.MatchFinder
	matches []matchfinder.Match
	blocks  brotli.Encoder // of the meta-blocks since the last flush
	made    []byte         // by blocks
	age     blocksAge
	out     []byte
	bits    uint64 // the low ones, as many as held, belong behind out
	held    int
}

// blocksAge is how much of what blocks made was taken.
type blocksAge uint8

const (
	blocksFresh blocksAge = iota // nothing was made
	blocksBegun                  // nothing was taken: it begins with a header, which is not wanted again
	blocksTaken                  // the header was left out
)

func (a blocksAge) String() string { return [...]string{"fresh", "begun", "taken"}[a] }

func newBrotliEncoder(level int) *brotliEncoder {
	return &brotliEncoder{finder: brotliFinders[level]()}
}

// Reset begins anew, as encoder asks.
func (e *brotliEncoder) Reset(to io.Writer) {
	e.to = to
	e.finder.Reset()
	e.renew()
	e.out, e.bits, e.held = e.out[:0], brotliWindow, brotliHeaderBits
}

// Write makes a meta-block of p, or several. What comes in pieces that are short takes more room than at once.
func (e *brotliEncoder) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		block := p[:min(len(p), brotliBlock)]
		p = p[len(block):]
		if e.age == blocksFresh {
			e.age = blocksBegun
		}
		e.matches = e.finder.FindMatches(e.matches[:0], block)
		e.made = e.blocks.Encode(e.made[:0], block, e.matches, false)
		e.take(e.made, 8*len(e.made))
	}
	return n, e.send()
}

// Flush makes all that was written leave: an empty meta-block without content ends on a byte.
func (e *brotliEncoder) Flush() error {
	if e.age == blocksFresh {
		return nil
	}
	e.rest()
	e.put(0b000110, 6) // not the last; no length, which is for those without content; reserved; no bytes to skip
	e.align()
	return e.send()
}

// Close ends the stream with an empty last meta-block.
func (e *brotliEncoder) Close() error {
	e.rest()
	e.put(0b11, 2)
	e.align()
	return e.send()
}

// rest takes the bits that blocks has not given away, which are fewer than it takes to. Asked for the end it gives them
// with two ones behind them, and zeros up to the next byte.
func (e *brotliEncoder) rest() {
	if e.age == blocksFresh {
		return
	}
	e.made = e.blocks.Encode(e.made[:0], nil, nil, true)
	last := len(e.made) - 1
	e.take(e.made, 8*last+bits.Len8(e.made[last])-2)
	e.renew()
}

func (e *brotliEncoder) renew() {
	e.blocks.Reset()
	e.age = blocksFresh
}

// take appends the first n bits of p, but for the header that blocks begins with.
func (e *brotliEncoder) take(p []byte, n int) {
	for _, b := range p {
		width := min(n, 8)
		n -= width
		v := uint64(b) & (1<<width - 1)
		if e.age == blocksBegun {
			e.age = blocksTaken
			v, width = v>>brotliHeaderBits, width-brotliHeaderBits
		}
		e.put(v, width)
	}
}

// put appends n bits, at most 8.
func (e *brotliEncoder) put(v uint64, n int) {
	e.bits |= v << e.held
	if e.held += n; e.held >= 8 {
		e.out = append(e.out, byte(e.bits))
		e.bits >>= 8
		e.held -= 8
	}
}

// align appends zeros up to the next byte.
func (e *brotliEncoder) align() {
	if e.held > 0 {
		e.put(0, 8-e.held)
	}
}

// send passes on the whole bytes there are.
func (e *brotliEncoder) send() error {
	_, err := e.to.Write(e.out)
	e.out = e.out[:0]
	return err
}
