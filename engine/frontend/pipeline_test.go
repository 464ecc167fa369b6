package frontend_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"traffic_management/engine/exchange"
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

// Only a request whose response says itself where it ends follows another one.
func TestWhichRequestsShareAConnection(t *testing.T) {
	for _, c := range []struct {
		request string
		shares  bool
	}{
		{"GET / HTTP/1.1\r\nHost: h\r\n", true},
		{"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nAccept: */*\r\nIf-Range: \"x\"\r\n", true},
		{"GET / HTTP/1.0\r\nHost: h\r\n", true},
		{"HEAD / HTTP/1.1\r\nHost: h\r\n", false},
		{"OPTIONS / HTTP/1.1\r\nHost: h\r\n", false},
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n", false},
		{"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n", false},
		{"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n", false},
		{"GET / HTTP/1.1\r\nHost: h\r\nif-none-match: \"x\"\r\n", false},
		{"GET / HTTP/1.1\r\nHost: h\r\nIf-Modified-Since: Mon, 23 Nov 2026 00:00:00 GMT\r\n", false},
	} {
		w := newCrowd(t, 2)
		w.round(t)
		w.clients[0].in = w.request
		w.sinks[0].OnData()
		w.loop.settle()
		before := len(w.loop.dialled.out)
		w.clients[1].in = []byte(c.request + "\r\n")
		w.sinks[1].OnData()
		w.loop.settle()
		if shares := len(w.loop.dialled.out) > before && w.loop.dials == 1; shares != c.shares {
			t.Errorf("%q shares a connection: %v", c.request, shares)
		}
	}
}

// Many clients of a server that needs different times, sends responses of different sizes and hangs up now and then: each
// gets its own response, over few connections.
func TestPipelineOverSockets(t *testing.T) {
	var accepted, hungUp atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		switch {
		case n%37 == 0:
			hungUp.Add(1)
			panic(http.ErrAbortHandler)
		case n%29 == 0:
			w.Header().Set("Connection", "close")
		case n%13 == 0:
			io.WriteString(w, strings.Repeat(r.URL.RawQuery+";", 1000))
			return
		}
		io.WriteString(w, r.URL.RawQuery)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			accepted.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	address := proxy(t, server.Listener.Addr(), func(r *exchange.Route) {
		o := *r.Service.Options()
		o.Multiplex, o.PipelineDepth = upstream.MultiplexPipeline, 8
		r.Service.SetOptions(&o)
	})
	const clients, requests = 16, 100
	var running sync.WaitGroup
	var answered, failed atomic.Int64
	for i := range clients {
		running.Go(func() {
			transport := &http.Transport{DisableCompression: true}
			defer transport.CloseIdleConnections()
			for n := range requests {
				query := fmt.Sprintf("c=%d&n=%d", i, n)
				response, err := (&http.Client{Transport: transport}).Get("http://" + address + "/?" + query)
				if err != nil {
					t.Error(err)
					return
				}
				content, err := io.ReadAll(response.Body)
				response.Body.Close()
				switch got, _, _ := strings.Cut(string(content), ";"); {
				case err != nil:
					t.Errorf("%s: %v", query, err)
				case response.StatusCode == 502 && n%37 == 0:
					failed.Add(1)
				case response.StatusCode != 200 || got != query:
					t.Errorf("%s was answered %d with %.80q", query, response.StatusCode, content)
				default:
					answered.Add(1)
				}
			}
		})
	}
	running.Wait()
	if answered.Load()+failed.Load() != clients*requests || hungUp.Load() == 0 {
		t.Errorf("%d answered, %d failed, %d hung up", answered.Load(), failed.Load(), hungUp.Load())
	}
	t.Logf("%d connections, %d requests failed", accepted.Load(), failed.Load())
}
