package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2Failure is one way in which a server of HTTP/2 fails a request, and what comes of it: without middlewares for a GET
// and for a POST with content, and for a GET with the retry middleware.
type h2Failure struct {
	name             string // the row of docs/failures.md
	fail             func(c *h2Conn, stream uint32)
	get, post, again ending
}

var h2Failures = []h2Failure{
	{"refuses the stream", func(c *h2Conn, s uint32) { c.must(c.WriteRSTStream(s, http2.ErrCodeRefusedStream)) },
		elsewhere, badGateway, elsewhere},
	{"goes away before the request", func(c *h2Conn, _ uint32) { c.must(c.WriteGoAway(0, http2.ErrCodeNo, nil)) },
		elsewhere, badGateway, elsewhere},
	{"goes away behind the request", func(c *h2Conn, s uint32) {
		c.must(c.WriteGoAway(s, http2.ErrCodeNo, nil))
		c.answer(s, "whole")
	}, whole, whole, whole},
	{"resets the stream when it has the request", func(c *h2Conn, s uint32) { c.must(c.WriteRSTStream(s, http2.ErrCodeInternal)) },
		badGateway, badGateway, elsewhere},
	{"closes the connection when it has the request", func(c *h2Conn, _ uint32) { c.Close() },
		badGateway, badGateway, elsewhere},
	{"does not answer", func(*h2Conn, uint32) {}, timedOut, timedOut, elsewhere},
	{"sends an interim response and no other", func(c *h2Conn, s uint32) { c.head(s, false, ":status", "103") },
		timedOut, timedOut, timedOut},
	{"sends what is no HTTP/2", func(c *h2Conn, _ uint32) { _, _ = io.WriteString(c.Conn, strings.Repeat("HTTP/1.1 200 OK\r\n", 9)) },
		badGateway, badGateway, elsewhere},
	{"sends a field name in capitals", func(c *h2Conn, s uint32) { c.head(s, true, ":status", "200", "Name", "value") },
		badGateway, badGateway, elsewhere},
	{"sends Connection", func(c *h2Conn, s uint32) { c.head(s, true, ":status", "200", "connection", "close") },
		badGateway, badGateway, elsewhere},
	{"sends a field block that cannot be decoded", func(c *h2Conn, s uint32) {
		c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: s, BlockFragment: []byte{0xff, 0xff, 0xff, 0xff}, EndHeaders: true}))
	}, badGateway, badGateway, elsewhere},
	{"resets the stream behind the response head", func(c *h2Conn, s uint32) {
		c.head(s, false, ":status", "200")
		c.must(c.WriteRSTStream(s, http2.ErrCodeInternal))
	}, cutShort, cutShort, cutShort},
	{"closes the connection inside content", func(c *h2Conn, s uint32) {
		c.head(s, false, ":status", "200")
		c.must(c.WriteData(s, false, []byte("who")))
		c.Close()
	}, cutShort, cutShort, cutShort},
	{"stops inside content", func(c *h2Conn, s uint32) {
		c.head(s, false, ":status", "200")
		c.must(c.WriteData(s, false, []byte("who")))
	}, cutShort, cutShort, cutShort},
	{"sends less content than it says", func(c *h2Conn, s uint32) {
		c.head(s, false, ":status", "200", "content-length", "9")
		c.must(c.WriteData(s, true, []byte("who")))
	}, cutShort, cutShort, cutShort},
}

// h2Conn is a server's end of a connection.
type h2Conn struct {
	net.Conn
	*http2.Framer
	fields  *hpack.Encoder
	block   bytes.Buffer
	writing error
}

func (c *h2Conn) must(err error) { c.writing = errors.Join(c.writing, err) }

func (c *h2Conn) head(stream uint32, end bool, fields ...string) {
	c.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		c.must(c.fields.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.block.Bytes(), EndStream: end, EndHeaders: true}))
}

func (c *h2Conn) answer(stream uint32, content string) {
	c.head(stream, false, ":status", "200")
	c.must(c.WriteData(stream, true, []byte(content)))
}

// serveH2 calls handle for every whole request, until the connection or the writing of a frame fails.
func serveH2(conn *serverConn, handle func(c *h2Conn, stream uint32)) {
	if _, err := io.ReadFull(conn.r, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	c := &h2Conn{Conn: conn, Framer: http2.NewFramer(conn, conn.r)}
	c.fields = hpack.NewEncoder(&c.block)
	for c.must(c.WriteSettings()); c.writing == nil; {
		f, err := c.ReadFrame()
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				c.must(c.WriteSettingsAck())
			}
		case *http2.HeadersFrame:
			if f.StreamEnded() {
				handle(c, f.StreamID)
			}
		case *http2.DataFrame:
			if f.StreamEnded() {
				handle(c, f.StreamID)
			}
		}
		if err != nil {
			return
		}
	}
}

// h2Cell is one failure met by one kind of request, with two servers of its own: the first attempt fails, on whichever
// of them, and all others are answered.
type h2Cell struct {
	*h2Failure
	method  string
	policy  policy
	want    ending
	host    string
	servers [2]*server
	met     atomic.Bool
}

func (x *h2Cell) serve(conn *serverConn) {
	serveH2(conn, func(c *h2Conn, stream uint32) {
		if x.met.CompareAndSwap(false, true) {
			x.fail(c, stream)
		} else {
			c.answer(stream, "elsewhere")
		}
	})
}

// run sends the request and says how it ended.
func (x *h2Cell) run(proxy string) (ending, error) {
	content := ""
	if x.method == "POST" {
		content = "content"
	}
	r, err := http.NewRequest(x.method, "http://"+proxy+"/", strings.NewReader(content))
	if err != nil {
		return none, err
	}
	r.Host = x.host
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		return hungUp, nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case response.StatusCode == 502:
		return badGateway, nil
	case response.StatusCode == 504:
		return timedOut, nil
	case err != nil:
		return cutShort, nil
	case string(body) == "whole":
		return whole, nil
	case string(body) == "elsewhere":
		return elsewhere, nil
	}
	return none, fmt.Errorf("got %d, %q", response.StatusCode, body)
}

// h2Matrix is the configuration of all cells.
type h2Matrix []*h2Cell

func newH2Matrix(t *testing.T) (m h2Matrix) {
	for i := range h2Failures {
		f := &h2Failures[i]
		for k, x := range []*h2Cell{{method: "GET", want: f.get}, {method: "POST", want: f.post},
			{method: "GET", policy: repeat, want: f.again}} {
			x.h2Failure, x.host = f, fmt.Sprintf("h%d-%d.test", i, k)
			x.servers = [2]*server{newServer(t, x.serve), newServer(t, x.serve)}
			m = append(m, x)
		}
	}
	return m
}

func (m h2Matrix) String() string {
	b := &strings.Builder{}
	b.WriteString("entrypoints: {web: {address: '127.0.0.1:0'}}\nmetrics: {address: '127.0.0.1:0'}\n")
	fmt.Fprintf(b, "middlewares:\n  again: {retry: {attempts: 2, initial_interval_ms: 10, attempt_timeout_ms: %d}}\nservices:\n",
		failureTime.Milliseconds())
	for i, x := range m {
		fmt.Fprintf(b, "  s%d: {servers: [{url: 'h2c://%s'}, {url: 'h2c://%s'}], timeouts: {request_ms: %d, response_idle_ms: %d}}\n",
			i, x.servers[0].address, x.servers[1].address, 2*failureTime.Milliseconds(), failureTime.Milliseconds())
	}
	b.WriteString("routers:\n")
	for i, x := range m {
		fmt.Fprintf(b, "  r%d: {rule: 'Host(`%s`)', service: s%d, middlewares: [%s]}\n", i, x.host, i,
			[...]string{plain: "", repeat: "again"}[x.policy])
	}
	b.WriteString("log: {format: json}\nshutdown: {drain_timeout_seconds: 1}\n")
	return b.String()
}

// Requests meet every failure of a server of HTTP/2: their ending is the one of the table, and nothing is left behind.
func TestH2ServerFailures(t *testing.T) {
	m := newH2Matrix(t)
	p := start(t, m)
	before := p.holdings(t)
	var all sync.WaitGroup
	turns := make(chan struct{}, abreast)
	for _, x := range m {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			if got, err := x.run(p.web); got != x.want || err != nil || !x.met.Load() {
				t.Errorf("%s, %s, policy %d: %v (%v), want %v", x.name, x.method, x.policy, got, err, x.want)
			}
		})
	}
	all.Wait()
	for _, x := range m {
		for _, s := range x.servers {
			for _, c := range s.connections() {
				c.Close()
			}
		}
	}
	eventually(t, "nothing is left of the requests", func() bool {
		after := p.holdings(t)
		return after.descriptors <= before.descriptors && after.goroutines <= before.goroutines
	})
}

// writeH2Table writes the failures of servers of HTTP/2.
func writeH2Table(b *strings.Builder) {
	b.WriteString("| a server | GET | POST | GET, with `retry` |\n|---|---|---|---|\n")
	for _, f := range h2Failures {
		fmt.Fprintf(b, "| %s | %v | %v | %v |\n", f.name, f.get, f.post, f.again)
	}
}
