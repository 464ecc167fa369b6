package mw

import (
	"fmt"
	"io"
	"math/rand/v2"
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

// BenchmarkLoopStall is how long a loop is kept from what is posted to it while 1 MB at a time goes through Brotli: the
// longest and the mean of probes, one after the other.
func BenchmarkLoopStall(b *testing.B) {
	text := []byte(randomText(rand.New(rand.NewPCG(7, 7)), 1<<20))
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
	var stop atomic.Bool
	k := newEncoderKind(Algorithm{CodingBrotli, 4})
	ended := make(chan struct{})
	megabytes := 0
	c := newCoder(k)
	var next func()
	next = func() { // what compress does with each piece, without an exchange around it
		if stop.Load() {
			close(ended)
			return
		}
		megabytes++
		c.encoder.Reset(io.Discard)
		at := 0
		var more func(struct{}, error)
		more = func(struct{}, error) {
			if at == len(text) {
				next()
				return
			}
			c.piece, c.step = text[at:at+pieceBytes], stepFill
			if at += pieceBytes; at == len(text) {
				c.step = stepClose
			}
			reactor.Go(loop, c.work, more)
		}
		more(struct{}{}, nil)
	}
	loop.Post(next)
	var longest, total time.Duration
	probes := 0
	heard := make(chan time.Duration)
	for b.Loop() {
		sent := time.Now()
		loop.Post(func() { heard <- time.Since(sent) })
		took := <-heard
		total += took
		longest = max(longest, took)
		probes++
	}
	stop.Store(true)
	<-ended
	b.ReportMetric(float64(longest.Microseconds()), "us-longest")
	b.ReportMetric(float64(total.Nanoseconds())/float64(probes), "ns-mean")
	b.ReportMetric(float64(megabytes), "MB")
	loop.Shutdown()
	ran.Wait()
}

// processorTime is what the process has used, which other processes do not add to.
func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
