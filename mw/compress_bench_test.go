package mw

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"traffic_management/engine/reactor"
)

// BenchmarkEncoder is what an event may cost on the loop: the longest piece that is compressed there, and its flush.
func BenchmarkEncoder(b *testing.B) {
	text := []byte(randomText(rand.New(rand.NewPCG(6, 6)), 1<<20))
	for _, c := range []Coding{CodingBrotli, CodingZstd, CodingGzip} {
		low, high := c.Levels()
		for level := low; level <= high; level++ {
			k := newEncoderKind(Algorithm{c, level})
			if k.inline == 0 {
				continue
			}
			b.Run(fmt.Sprintf("%v %d of %d bytes", c, level, k.inline), func(b *testing.B) {
				b.SetBytes(int64(k.inline))
				e := k.make()
				e.Reset(io.Discard)
				at := 0
				before := processorTime(b)
				for b.Loop() {
					if at += k.inline; at+k.inline > len(text) {
						at = 0
					}
					if _, err := e.Write(text[at : at+k.inline]); err != nil || e.Flush() != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(processorTime(b)-before)/1000/float64(b.N), "cpu-us/op")
			})
		}
	}
}

// BenchmarkLoopStall is how long a loop is kept from what is posted to it, by probes one after the other: while nothing
// else is done, and while 1 MB after the other goes through Brotli.
func BenchmarkLoopStall(b *testing.B) {
	for _, busy := range []bool{false, true} {
		b.Run(fmt.Sprintf("compressing %v", busy), func(b *testing.B) {
			loop, err := reactor.New(reactor.Config{})
			if err != nil {
				b.Fatal(err)
			}
			var ran sync.WaitGroup
			ran.Go(func() {
				if err := loop.Run(); err != nil {
					b.Error(err)
				}
			})
			p := press{loop: loop, coder: newCoder(newEncoderKind(Algorithm{CodingBrotli, 3})), ended: make(chan struct{}),
				text: []byte(randomText(rand.New(rand.NewPCG(7, 7)), 1<<20))}
			if busy {
				loop.Post(func() { p.next(struct{}{}, nil) })
			}
			var all []time.Duration
			heard := make(chan time.Duration)
			for b.Loop() {
				sent := time.Now()
				loop.Post(func() { heard <- time.Since(sent) })
				all = append(all, <-heard)
			}
			if busy {
				p.stop.Store(true)
				<-p.ended
				b.ReportMetric(float64(p.pieces*p.coder.kind.piece)/1e6/b.Elapsed().Seconds(), "MB/s-compressed")
			}
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)*999/1000].Microseconds()), "us-99.9%")
			b.ReportMetric(float64(all[len(all)-1].Microseconds()), "us-longest")
			loop.Shutdown()
			ran.Wait()
		})
	}
}

// press does what a coder does with large content, without an exchange around it.
type press struct {
	loop   reactor.Loop
	coder  *coder
	text   []byte
	at     int // in text
	pieces int
	stop   atomic.Bool
	ended  chan struct{}
}

func (p *press) next(struct{}, error) {
	if p.stop.Load() {
		close(p.ended)
		return
	}
	c := p.coder
	c.out = c.out[:0]
	c.piece, c.step = p.text[p.at:p.at+c.kind.piece], stepFill
	if p.at += c.kind.piece; p.at == len(p.text) {
		p.at, c.step = 0, stepClose
	}
	p.pieces++
	reactor.Go(p.loop, c.work, p.next)
}

// processorTime is what the process has used, which other processes do not add to.
func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
