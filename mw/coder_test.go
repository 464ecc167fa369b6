package mw

import (
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// decode undoes a coding; gzip with the standard library, which had no part in making it. What follows the content is an
// error.
func decode(t testing.TB, c Coding, content string) string {
	t.Helper()
	text, err := decodeSome(c, content)
	if err != nil {
		t.Errorf("%v: %v behind %d bytes", c, err, len(text))
	}
	return text
}

// decodeSome is decode of what came so far.
func decodeSome(c Coding, content string) (string, error) {
	in := strings.NewReader(content)
	var r io.Reader = brotli.NewReader(in)
	switch c {
	case CodingZstd:
		d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return "", err
		}
		defer d.Close()
		r = d
	case CodingGzip:
		z, err := stdgzip.NewReader(in)
		if err != nil {
			return "", err
		}
		r = z
	}
	b, err := io.ReadAll(r)
	return string(b), err
}

// randomText is text of words, of which some come again.
func randomText(rnd *rand.Rand, n int) string {
	var b bytes.Buffer
	for b.Len() < n {
		if rnd.IntN(40) == 0 {
			fmt.Fprintf(&b, "%x", rnd.Uint64())
		}
		fmt.Fprintf(&b, "word%d ", rnd.IntN(500))
	}
	return b.String()[:n]
}

// free fails the test unless all that encoders took is given back.
func free(t *testing.T) {
	t.Helper()
	if n := encoderMemory.Load(); n != 0 {
		t.Errorf("%d bytes of encoders are taken and nobody works", n)
	}
}

// TestCompressRoundTrips has content of random lengths come in random pieces, with and without a length and trailers, for
// clients that are slow at random.
func TestCompressRoundTrips(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	names := []Coding{CodingBrotli, CodingZstd, CodingGzip}
	f := compressing(t, func(o *CompressOptions) { o.MinBody = 0 })
	for i := range 60 {
		coding, size := names[i%3], rnd.IntN(1<<(4+rnd.IntN(15)))
		if size == 0 {
			size = 1
		}
		text, chunked, trailers := randomText(rnd, size), rnd.IntN(2) == 0, rnd.IntN(2) == 0
		v := []codec.Version{codec.HTTP11, codec.HTTP2}[rnd.IntN(2)]
		b := newBed(t, f)
		b.answer = func(*http.Request) string { return "" }
		c := b.begin(v, "GET", "/", 0, "Accept-Encoding: "+coding.String())
		head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", size)
		if chunked {
			head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
		}
		s := b.servers[0]
		s.says(head)
		for rest := text; rest != ""; {
			piece := rest[:min(len(rest), 1+rnd.IntN(1<<rnd.IntN(17)))]
			rest = rest[len(piece):]
			if chunked {
				piece = fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece)
			}
			s.says(piece)
			if rnd.IntN(4) == 0 {
				c.queued = rnd.IntN(100_000)
			}
			if rnd.IntN(2) == 0 {
				c.drain()
			}
		}
		if chunked && trailers {
			s.says("0\r\nX-Sum: 1\r\n\r\n")
		} else if chunked {
			s.says("0\r\n\r\n")
		}
		for c.x != nil && !c.over {
			c.drain()
			b.await("progress", func() bool { return c.over || c.queued == 0 })
			b.await("the end", func() bool { return c.over })
		}
		if got := decode(t, coding, c.body); got != text || c.field("Content-Encoding") != coding.String() || !c.complete {
			t.Fatalf("case %d: %v, %d bytes, chunked %v: got %d bytes, complete %v", i, coding, size, chunked, len(got), c.complete)
		}
		if want := chunked && trailers; want != (len(c.trailers) == 1) {
			t.Errorf("case %d: trailers %v", i, c.trailers)
		}
	}
	free(t)
}

// TestCompressEventStream: each event can be read when it came, and small ones leave in the same turn.
func TestCompressEventStream(t *testing.T) {
	for _, coding := range []Coding{CodingBrotli, CodingZstd, CodingGzip} {
		for _, head := range []string{"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked",
			"Content-Type: text/event-stream; charset=utf-8\r\nContent-Length: 100000", "Content-Type: text/plain\r\nTransfer-Encoding: chunked"} {
			b := newBed(t, compressing(t, nil))
			b.answer = func(*http.Request) string { return "" }
			c := b.begin(codec.HTTP2, "GET", "/", 0, "Accept-Encoding: "+coding.String())
			b.servers[0].says("HTTP/1.1 200 OK\r\n" + head + "\r\n\r\n")
			want := ""
			for i := range 5 {
				event := fmt.Sprintf("data: event %d\n\n", i)
				want += event
				if strings.Contains(head, "chunked") {
					event = fmt.Sprintf("%x\r\n%s\r\n", len(event), event)
				}
				before := len(c.body)
				b.servers[0].says(event)
				if len(c.body) == before {
					t.Errorf("%v: nothing came of event %d in its turn", coding, i)
				}
				if got, _ := decodeSome(coding, c.body); got != want {
					t.Errorf("%v: read %q after event %d", coding, got, i)
				}
			}
			large := randomText(rand.New(rand.NewPCG(1, 1)), 20_000)
			want += large
			if strings.Contains(head, "chunked") {
				large = fmt.Sprintf("%x\r\n%s\r\n", len(large), large)
			}
			b.servers[0].says(large)
			b.await("the large event", func() bool { got, _ := decodeSome(coding, c.body); return got == want })
			c.leave()
			b.await("the end", func() bool { return c.over })
		}
	}
	free(t)
}

// TestCompressEventsSlowly: an encoder that takes long to begin does so beside the loop; what comes later leaves in its turn.
func TestCompressEventsSlowly(t *testing.T) {
	b := newBed(t, compressing(t, func(o *CompressOptions) { o.Algorithms = []Algorithm{{CodingBrotli, 4}} }))
	b.answer = func(*http.Request) string { return "" }
	c := b.begin(codec.HTTP2, "GET", "/", 0, "Accept-Encoding: br")
	b.servers[0].says("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
	for i, want := range []string{"a", "ab", "abc"} {
		b.servers[0].says(want[i:])
		if got, _ := decodeSome(CodingBrotli, c.body); i > 0 && got != want {
			t.Errorf("read %q when %q had come", got, want)
		}
		b.await(want, func() bool { got, _ := decodeSome(CodingBrotli, c.body); return got == want })
	}
	c.leave()
	b.await("the end", func() bool { return c.over })
	free(t)
}

// TestCompressHoldsTheServer: what waits is bounded while the client takes nothing, and all comes in the end.
func TestCompressHoldsTheServer(t *testing.T) {
	b := newBed(t, compressing(t, nil))
	b.loop.Net.Window = 64 << 10
	b.answer = func(*http.Request) string { return "" }
	text := randomText(rand.New(rand.NewPCG(2, 2)), 1<<20)
	c := b.begin(codec.HTTP11, "GET", "/", 0, "Accept-Encoding: gzip")
	c.queued = codec.HighMark + 1
	b.servers[0].says(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", len(text)))
	b.servers[0].says(text[:1<<19])
	b.run()
	b.run()
	if left := b.servers[0].conn.Unsent(); left < 1<<18 {
		t.Errorf("the proxy read all but %d bytes of 512 kB for a client that reads nothing", left)
	}
	b.servers[0].says(text[1<<19:])
	c.drain()
	b.await("the end", func() bool { return c.over })
	if decode(t, CodingGzip, c.body) != text {
		t.Error("it is not the content")
	}
	free(t)
}

// TestCompressClientLeaves: the encoder of a response that nobody wants any more is given back once its job has ended.
func TestCompressClientLeaves(t *testing.T) {
	for _, content := range []string{strings.Repeat("a", 100), randomText(rand.New(rand.NewPCG(3, 3)), 300_000)} {
		b := newBed(t, compressing(t, nil))
		b.answer = func(*http.Request) string { return "" }
		c := b.begin(codec.HTTP11, "GET", "/", 0, "Accept-Encoding: br")
		b.servers[0].says("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 500000\r\n\r\n" + content)
		if encoderMemory.Load() == 0 {
			t.Error("nothing is taken while a response is compressed")
		}
		c.leave()
		b.await("the encoder is given back", func() bool { return encoderMemory.Load() == 0 })
		if c.reset == nil || c.complete {
			t.Errorf("reset %v, complete %v", c.reset, c.complete)
		}
	}
}

// TestCompressServerLost: the client can tell that the rest is missing.
func TestCompressServerLost(t *testing.T) {
	b := newBed(t, compressing(t, nil))
	b.answer = func(*http.Request) string { return "" }
	c := b.begin(codec.HTTP2, "GET", "/", 0, "Accept-Encoding: gzip")
	b.servers[0].says("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 500000\r\n\r\n" + compressibleText)
	b.servers[0].closes()
	b.await("the end", func() bool { return c.over && encoderMemory.Load() == 0 })
	if c.reset == nil || c.complete || c.err == nil {
		t.Errorf("reset %v, complete %v, error %v", c.reset, c.complete, c.err)
	}
}

// waits is a filter that has each response wait for go.
type waits struct{ waiting *exchange.Exchange }

func (*waits) Request(*exchange.Exchange) exchange.Verdict { return exchange.Next }

func (w *waits) Response(x *exchange.Exchange, _ *codec.Head, _ bool) exchange.Verdict {
	w.waiting = x
	return exchange.Wait
}

// TestCompressBehindOneThatWaits: what is compressed while the head is withheld comes after it, once, and is bounded.
func TestCompressBehindOneThatWaits(t *testing.T) {
	text := randomText(rand.New(rand.NewPCG(5, 5)), 1<<19)
	for _, end := range []string{"0\r\n\r\n", "0\r\nX-Sum: 1\r\n\r\n"} {
		for _, size := range []int{100, 10_000, len(text)} {
			w := new(waits)
			b := newBed(t, compressing(t, nil), w, compressing(t, nil))
			b.loop.Net.Window = 64 << 10
			b.answer = func(*http.Request) string {
				return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%s", size, text[:size], end)
			}
			c := b.begin(codec.HTTP2, "GET", "/", 0, "Accept-Encoding: gzip")
			b.await("the response waits", func() bool { return w.waiting != nil })
			if size == len(text) && b.servers[0].conn.Unsent() < 1<<17 {
				t.Errorf("%d bytes are left to be read while the response waits", b.servers[0].conn.Unsent())
			}
			if c.status != 0 || c.body != "" {
				t.Errorf("status %d and %d bytes before the filter went on", c.status, len(c.body))
			}
			w.waiting.ResumeResponse()
			b.await("the end", func() bool { return c.over })
			if c.field("Content-Encoding") != "gzip" || decode(t, CodingGzip, c.body) != text[:size] || !c.complete {
				t.Errorf("%d bytes: coding %q, complete %v", size, c.field("Content-Encoding"), c.complete)
			}
			if trailers := strings.Contains(end, "X-Sum"); trailers != (len(c.trailers) == 1) {
				t.Errorf("%d trailers", len(c.trailers))
			}
		}
	}
	free(t)
}

// TestCompressBetweenTwoThatWait: content that came before the encoder was in its way goes through it.
func TestCompressBetweenTwoThatWait(t *testing.T) {
	outer, inner := new(waits), new(waits)
	b := newBed(t, outer, compressing(t, func(o *CompressOptions) { o.MinBody = 0 }), inner, last{})
	c := b.begin(codec.HTTP11, "GET", "/", 0, "Accept-Encoding: zstd")
	for _, w := range []*waits{inner, outer} {
		b.await("the response waits", func() bool { return w.waiting != nil })
		w.waiting.ResumeResponse()
	}
	b.await("the end", func() bool { return c.over })
	if got := decode(t, CodingZstd, c.body); got != "ok" || !c.complete {
		t.Errorf("%q, complete %v", got, c.complete)
	}
}

// TestCompressUnderPressure: when the process is short of memory, responses pass as they are.
func TestCompressUnderPressure(t *testing.T) {
	b := newBed(t, compressing(t, nil))
	b.env.Pressure = new(exchange.Pressure)
	b.env.Pressure.Set(exchange.PressureNoKeepAlive)
	b.answer = func(*http.Request) string { return response(200, compressibleText, "Content-Type: text/plain") }
	if c := b.ask(codec.HTTP11, "GET", "/", "Accept-Encoding: gzip"); c.field("Content-Encoding") != "" || c.body != compressibleText {
		t.Errorf("coding %q", c.field("Content-Encoding"))
	}
}

// TestCompressMemory: with no memory left for encoders, responses pass as they are.
func TestCompressMemory(t *testing.T) {
	b := newBed(t, compressing(t, nil))
	b.answer = func(*http.Request) string {
		return response(200, compressibleText, "Content-Type: text/plain", `ETag: "a"`)
	}
	encoderMemory.Add(maxEncoderMemory)
	c := b.ask(codec.HTTP11, "GET", "/", "Accept-Encoding: gzip")
	encoderMemory.Add(-maxEncoderMemory)
	if c.field("Content-Encoding") != "" || c.body != compressibleText || c.field("ETag") != `"a"` || c.field("Vary") == "" {
		t.Errorf("coding %q, ETag %q, Vary %q, %d bytes", c.field("Content-Encoding"), c.field("ETag"), c.field("Vary"), len(c.body))
	}
	if c := b.ask(codec.HTTP11, "GET", "/", "Accept-Encoding: gzip"); c.field("Content-Encoding") != "gzip" {
		t.Errorf("coding %q when there is memory again", c.field("Content-Encoding"))
	}
	free(t)
}

// TestEncoderMemory holds that an encoder takes no more than it is charged.
func TestEncoderMemory(t *testing.T) {
	if !pooled {
		t.Skip("the race detector makes this slow, and finds nothing in it")
	}
	text := []byte(randomText(rand.New(rand.NewPCG(4, 4)), 300_000))
	runtime.GC()
	runtime.GC() // what pools hold goes with the second
	for _, c := range []Coding{CodingBrotli, CodingZstd, CodingGzip} {
		low, high := c.Levels()
		for level := low; level <= high; level++ {
			k := newEncoderKind(Algorithm{c, level})
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			e := k.make()
			e.Reset(io.Discard)
			if _, err := e.Write(text); err != nil || e.Flush() != nil {
				t.Error(err)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(e)
			if took := int64(after.HeapAlloc) - int64(before.HeapAlloc); took > k.memory || took < k.memory/4 {
				t.Errorf("%v %d takes %d kB and is charged %d", c, level, took>>10, k.memory>>10)
			}
		}
	}
}

// broken is an encoder that panics.
type broken struct{ failing }

func (broken) Write([]byte) (int, error) { panic("broken") }

// failing is one that fails.
type failing struct{}

func (failing) Reset(io.Writer)           {}
func (failing) Flush() error              { return nil }
func (failing) Close() error              { return nil }
func (failing) Write([]byte) (int, error) { return 0, errors.New("failing") }

// TestCompressBroken: a fault of an encoder costs one response, and the encoder.
func TestCompressBroken(t *testing.T) {
	for _, tc := range []struct {
		encoder encoder
		size    int
	}{{failing{}, 100}, {failing{}, 200_000}, {broken{}, 100}, {broken{}, 200_000}} {
		f := compressing(t, nil)
		made := 0
		f.byCoding[CodingGzip].make = func() encoder { made++; return tc.encoder }
		b := newBed(t, f)
		b.answer = func(*http.Request) string {
			return response(200, strings.Repeat("a", tc.size), "Content-Type: text/plain")
		}
		for i := range 2 {
			c := b.begin(codec.HTTP2, "GET", "/", 0, "Accept-Encoding: gzip")
			b.await("the end", func() bool { return c.over })
			if c.reset == nil || c.complete || c.err == nil || c.err.Kind != codec.KindPanic || made != i+1 {
				t.Errorf("%T, %d bytes: reset %v, complete %v, error %v, %d made", tc.encoder, tc.size, c.reset, c.complete, c.err, made)
			}
		}
	}
	free(t)
}
