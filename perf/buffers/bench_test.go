package buffers

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/cloudwego/netpoll"
	"github.com/panjf2000/gnet/v2/pkg/buffer/elastic"

	"traffic_management/perf/buffers/reactor"
)

// queue is what a connection needs of its output: bytes are lent to add, and the kernel takes any part of the front.
type queue interface {
	add(b []byte)
	parts(v [][]byte) [][]byte
	drop(n int)
}

// candidates make an empty queue each. Ours shares the memory of its loop, as the others share pools of the process.
var candidates = []struct {
	name string
	make func() queue
}{
	{"ours", func() queue { return &ours{chunks: &loop} }},
	{"netpoll", func() queue { return &link{netpoll.NewLinkBuffer()} }},
	{"gnet", func() queue {
		b, err := elastic.New(64 << 10) // gnet's default
		if err != nil {
			panic(err)
		}
		return &ring{b}
	}},
}

var loop reactor.Chunks

type ours struct {
	chunks *reactor.Chunks
	out    reactor.Output
}

func (q *ours) add(b []byte)              { q.out.Append(q.chunks, b) }
func (q *ours) parts(v [][]byte) [][]byte { return q.out.Parts(v) }
func (q *ours) drop(n int)                { q.out.Drop(q.chunks, n) }

type link struct{ *netpoll.LinkBuffer }

// add copies: WriteBinary would keep a lent slice above 4 kB.
func (q *link) add(b []byte) {
	p, err := q.Malloc(len(b))
	if err != nil {
		panic(err)
	}
	copy(p, b)
	if err := q.Flush(); err != nil {
		panic(err)
	}
}

func (q *link) parts(v [][]byte) [][]byte {
	if q.IsEmpty() {
		return v
	}
	return q.GetBytes(v[:cap(v)])
}

func (q *link) drop(n int) {
	if err := q.Skip(n); err != nil {
		panic(err)
	}
	if err := q.Release(); err != nil {
		panic(err)
	}
}

type ring struct{ *elastic.Buffer }

func (q *ring) add(b []byte) {
	if _, err := q.Write(b); err != nil {
		panic(err)
	}
}

func (q *ring) parts(v [][]byte) [][]byte {
	if q.IsEmpty() {
		return v
	}
	all, err := q.Peek(-1)
	if err != nil {
		panic(err)
	}
	return all
}

func (q *ring) drop(n int) {
	if _, err := q.Discard(n); err != nil {
		panic(err)
	}
}

// send empties q as a kernel does that takes at most some bytes at a time. took sees what it takes.
func send(q queue, v [][]byte, some int, took func([]byte)) {
	for {
		n := 0
		for _, p := range q.parts(v[:0]) {
			p = p[:min(len(p), some-n)]
			took(p)
			n += len(p)
		}
		if n == 0 {
			return
		}
		q.drop(n)
	}
}

// TestQueues holds that all of them give back what was added, in order.
func TestQueues(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	for _, c := range candidates {
		rnd := rand.New(rand.NewPCG(seed, 0))
		q, v := c.make(), make([][]byte, 0, 64)
		for range 50 {
			var want, got []byte
			for range 1 + rnd.IntN(4) {
				b := make([]byte, 1+rnd.IntN(20_000))
				for i := range b {
					b[i] = byte(rnd.Uint32())
				}
				q.add(b)
				want = append(want, b...)
				clear(b) // the loan is over
			}
			send(q, v, 1+rnd.IntN(30_000), func(p []byte) { got = append(got, p...) })
			if !bytes.Equal(got, want) {
				t.Fatalf("%s: %d bytes came out of %d", c.name, len(got), len(want))
			}
		}
	}
}

var taken int

func count(p []byte) { taken += len(p) }

// BenchmarkSmall is a response of 300 bytes that is gathered for the end of the turn, in two writes, and leaves whole.
func BenchmarkSmall(b *testing.B) {
	head, body := make([]byte, 172), make([]byte, 128)
	for _, c := range candidates {
		b.Run(c.name, func(b *testing.B) {
			q, v := c.make(), make([][]byte, 0, 64)
			b.ReportAllocs()
			for b.Loop() {
				q.add(head)
				q.add(body)
				send(q, v, 1<<20, count)
			}
		})
	}
}

// BenchmarkPartial is a response of 64 kB of which the kernel takes 20 kB at once; 44 kB are queued and leave in two
// writes.
func BenchmarkPartial(b *testing.B) {
	body := make([]byte, 64<<10)
	for _, c := range candidates {
		b.Run(c.name, func(b *testing.B) {
			q, v := c.make(), make([][]byte, 0, 64)
			b.ReportAllocs()
			for b.Loop() {
				q.add(body[20<<10:])
				send(q, v, 24<<10, count)
			}
		})
	}
}

// BenchmarkIdle reports the memory that a connection holds after a response of 300 bytes: -benchtime 2x is enough.
func BenchmarkIdle(b *testing.B) {
	const connections = 10_000
	response := make([]byte, 300)
	for _, c := range candidates {
		b.Run(c.name, func(b *testing.B) {
			held := 0.0
			for b.Loop() {
				before := heap()
				all, v := make([]queue, connections), make([][]byte, 0, 64)
				for i := range all {
					all[i] = c.make()
					all[i].add(response)
					send(all[i], v, 1<<20, count)
				}
				held = float64(heap()-before) / connections
				runtime.KeepAlive(all)
			}
			b.ReportMetric(held, "B/connection")
		})
	}
}

// heap is what is reachable; collected twice, since pools give their memory back at the second time.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
