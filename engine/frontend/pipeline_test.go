package frontend_test

import (
	"bytes"
	"testing"

	"traffic_management/engine/reactor"
	"traffic_management/upstream"
)

// crowd is clients whose requests follow one another on one connection to a server.
type crowd struct {
	loop      *benchLoop
	clients   []*benchConn
	sinks     []reactor.Sink
	request   []byte
	responses []byte // one for each
}

func newCrowd(tb testing.TB, clients int) *crowd {
	l, entry := newBench(tb, upstream.Options{Multiplex: upstream.MultiplexPipeline, PipelineDepth: clients})
	w := &crowd{loop: l, request: []byte("GET /128 HTTP/1.1\r\nHost: 127.0.0.1:7001\r\n\r\n"),
		responses: bytes.Repeat([]byte("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/plain\r\nContent-Length: 128\r\n\r\n"+
			string(make([]byte, 128))), clients)}
	for range clients {
		c := &benchConn{}
		w.clients = append(w.clients, c)
		w.sinks = append(w.sinks, entry.Accept(c))
	}
	return w
}

// round has each client ask and be answered.
func (w *crowd) round(tb testing.TB) {
	l := w.loop
	l.now += 100_000
	opening := l.dialled.sink == nil
	for i, c := range w.clients {
		c.in = w.request
		w.sinks[i].OnData()
		l.settle()
	}
	if opening {
		l.dialled.sink.OnDrained()
		l.settle()
	}
	l.dialled.in = w.responses
	l.dialled.sink.OnData()
	l.settle()
	if n := bytes.Count(l.dialled.out, []byte("GET ")); n != len(w.clients) {
		tb.Fatalf("the connection carried %d requests", n)
	}
	l.dialled.out = l.dialled.out[:0]
	for i, c := range w.clients {
		if len(c.out) < 128 {
			tb.Fatalf("client %d got %q", i, c.out)
		}
		c.out = c.out[:0]
	}
}

// Requests that share a connection allocate nothing, nor does its becoming a pipeline and an idle one again.
func TestPipelineAllocatesNothing(t *testing.T) {
	for _, clients := range []int{1, 2, 32} {
		w := newCrowd(t, clients)
		for range 10 {
			w.round(t)
		}
		if n := testing.AllocsPerRun(100, func() { w.round(t) }); n != 0 {
			t.Errorf("%d clients: %v allocations", clients, n)
		}
	}
}

// BenchmarkPipeline is 32 requests of as many clients on one connection, without sockets.
func BenchmarkPipeline(b *testing.B) {
	w := newCrowd(b, 32)
	b.ReportAllocs()
	for b.Loop() {
		w.round(b)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(w.clients)), "ns/request")
}
