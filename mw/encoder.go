package mw

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// Coding is a content coding (RFC 9110 section 8.4.1).
type Coding uint8

// Codings that Compress knows.
const (
	CodingIdentity Coding = iota // none
	CodingBrotli
	CodingZstd
	CodingGzip
	codings
)

var codingNames = [codings][]byte{[]byte("identity"), []byte("br"), []byte("zstd"), []byte("gzip")}

func (c Coding) String() string { return string(codingNames[c]) }

func (c Coding) name() []byte { return codingNames[c] }

// LookupCoding is the coding of this name; ok is false when it is none that can be applied.
func LookupCoding(name string) (c Coding, ok bool) {
	c, ok = lookupCoding([]byte(name))
	return c, ok && c != CodingIdentity
}

// lookupCoding also knows the name of old for gzip (RFC 9110 section 8.4.1.3).
func lookupCoding(name []byte) (Coding, bool) {
	for c := range codingNames {
		if codec.EqualFold(name, codingNames[c]) {
			return Coding(c), true
		}
	}
	return CodingGzip, codec.EqualFold(name, "x-gzip")
}

// Levels are the least and the greatest level of a coding. Greater ones would take longer for a response than sending it
// as it is.
func (c Coding) Levels() (low, high int) {
	if c == CodingBrotli {
		return 0, 9
	}
	return 1, 9
}

// zstdWindow is how far back Zstandard looks: a larger one finds repetitions that few responses have, and costs its size.
const zstdWindow = 128 << 10

// encoder is what the libraries have in common. It is used by one goroutine at a time.
type encoder interface {
	io.WriteCloser
	Reset(io.Writer)
	Flush() error
}

// output is where an encoder writes to.
type output []byte

func (o *output) Write(p []byte) (int, error) {
	*o = append(*o, p...)
	return len(p), nil
}

// encoderKind is the encoders of one algorithm. Immutable but for the pool. Any goroutine.
type encoderKind struct {
	Algorithm
	make   func() encoder
	memory int64     // that one takes, in bytes
	inline int       // most content, in bytes, that it compresses in less than about 100 us
	piece  int       // how much, in bytes, in a third of a millisecond
	idle   sync.Pool // of *coder
	// encoders are those that no coder has.
	encoders sync.Pool // of encoder
}

// encoder is one that is not in use; it is to be Reset. Any goroutine.
func (k *encoderKind) encoder() encoder {
	if e, ok := k.encoders.Get().(encoder); ok {
		return e
	}
	return k.make()
}

// slow reports whether an encoder takes long even for little, the tables that it clears at the beginning included.
func (k *encoderKind) slow() bool { return k.inline < 4<<10 }

// newEncoderKind has the costs as BenchmarkEncoder and TestEncoderMemory find them, rounded.
func newEncoderKind(a Algorithm) *encoderKind {
	const kB = 1 << 10
	k := &encoderKind{Algorithm: a}
	switch a.Coding {
	case CodingBrotli:
		k.make = k.brotli
		k.memory = [...]int64{1600, 1600, 2700, 1800, 4100, 3000, 3000, 5100, 5100, 8200}[a.Level] * kB
		k.inline = [...]int{8 * kB, 8 * kB, 4 * kB, 4 * kB, 2 * kB, 2 * kB, 1 * kB, 1 * kB, 1 * kB, 512}[a.Level]
	case CodingZstd:
		k.make = k.zstd
		k.memory, k.inline = 5500*kB, 2*kB
		switch zstd.EncoderLevelFromZstd(a.Level) {
		case zstd.SpeedFastest:
			k.memory, k.inline = 1400*kB, 8*kB
		case zstd.SpeedDefault:
			k.memory, k.inline = 2400*kB, 4*kB
		}
	default:
		k.make = k.gzip
		k.memory, k.inline = 1500*kB, 4*kB
		switch {
		case a.Level == 7:
			k.inline = 1 * kB
		case a.Level > 7:
			k.inline = 0
		}
	}
	k.piece = min(max(4*k.inline, 8*kB), 32*kB)
	return k
}

func (k *encoderKind) brotli() encoder { return newBrotliEncoder(k.Level) }

// zstd makes an encoder that starts no goroutines: that is what a concurrency of 1 means.
func (k *encoderKind) zstd() encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
		zstd.WithWindowSize(zstdWindow), zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(k.Level)))
	if err != nil {
		panic(err) // the options are constants but for the level, which was checked
	}
	return e
}

func (k *encoderKind) gzip() encoder {
	e, err := gzip.NewWriterLevel(nil, k.Level)
	if err != nil {
		panic(err) // the level was checked
	}
	return e
}

// maxEncoderMemory is how many bytes the encoders of all filters that work on responses may take together: responses
// that are more pass as they are. Encoders that wait for work are garbage to the collector.
const maxEncoderMemory = 256 << 20

// encoderMemory is how much of that is taken. Any goroutine.
var encoderMemory atomic.Int64

// take gives a response a coder, nil when it had better pass as it is: when memory is short.
func (k *encoderKind) take(x *exchange.Exchange) *coder {
	if x.Env().Pressure.Level() != exchange.PressureNormal {
		return nil
	}
	if encoderMemory.Add(k.memory) > maxEncoderMemory {
		encoderMemory.Add(-k.memory)
		return nil
	}
	if c, ok := k.idle.Get().(*coder); ok {
		return c
	}
	return newCoder(k)
}

// give takes a coder back. A broken one is not used again.
func (k *encoderKind) give(c *coder) {
	encoderMemory.Add(-k.memory)
	if c.state != coderBroken {
		c.state = coderIdle
		k.idle.Put(c)
	}
}
