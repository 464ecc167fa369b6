package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"traffic_management/perf/socket"
)

// plan is what is to be done. It does not change.
type plan struct {
	server   netip.AddrPort
	requests []request // sent in turn
	conns    int
	streams  int           // of HTTP/2 on each connection; 0 is HTTP/1.1
	tls      *tls.Config   // nil is clear text
	rate     float64       // requests per second; 0 is the closed loop: each lane sends as soon as it was answered
	warm     time.Duration // before measuring
	measure  time.Duration // 0 is until count
	count    int64         // requests to measure; 0 is as many as measure allows
	drain    time.Duration // how long the open loop waits for the last answers
}

// request is one in both versions.
type request struct {
	text    []byte // HTTP/1.1
	section []hpack.HeaderField
}

// newRequest is what asks a server for a path, with further fields.
func newRequest(scheme, host, path string, fields []hpack.HeaderField) request {
	r := request{
		text: fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\nAccept: */*\r\n", path, host),
		section: []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: scheme}, {Name: ":authority", Value: host},
			{Name: ":path", Value: path}, {Name: "user-agent", Value: "load"}, {Name: "accept", Value: "*/*"}},
	}
	for _, f := range fields {
		r.text = fmt.Appendf(r.text, "%s: %s\r\n", f.Name, f.Value)
	}
	r.text = append(r.text, "\r\n"...)
	r.section = append(r.section, fields...)
	return r
}

// errUnasked is content nobody asked for.
var errUnasked = errors.New("more came than was asked for")

// state is where a lane is in its exchange.
type state uint8

const (
	idle        state = iota // nothing was sent that is not answered
	awaiting                 // a request was sent; its response head is not whole
	readingBody              // need bytes of the response's content are to come
)

func (s state) String() string { return [...]string{"idle", "awaiting", "reading body"}[s] }

// lane is room for one exchange at a time: a connection of HTTP/1.1 is one, a connection of HTTP/2 has several.
type lane struct {
	conn  *conn
	state state
	since int64  // when the request was due, in nanoseconds of the generator's clock
	id    uint32 // of the stream; HTTP/2 only
	need  int64
}

// conn is one keep-alive connection.
type conn struct {
	wire   wire
	stream io.ReadWriter // the wire, or TLS over it
	speech speech
	lanes  []lane
	in     []byte // what has come of a head or of a frame
	out    []byte // requests that wait for the end of the event; not empty: the connection is in generator.unsent
}

// speech is how the exchanges of one connection are written and read.
type speech interface {
	// request appends a request of a lane's own.
	request(dst []byte, l *lane, r *request) []byte
	// take gives received bytes to the exchanges they belong to and returns those that are too few yet.
	take(b []byte) (rest []byte, err error)
}

// generator is one loop with all its connections.
type generator struct {
	plan
	set    *socket.Set
	conns  []*conn // by descriptor; nil when not open
	idle   queue[*lane]
	late   queue[int64] // when the requests were due that found no idle lane
	unsent []*conn
	buf    []byte
	next   int // index into plan.requests
	epoch  time.Time
	out    io.Writer

	began, ended int64 // the measured window; 0 before it began
	hist         histogram
	result       outcome
}

// outcome is the counts of the measured window.
type outcome struct {
	requests, bytes, failed, badStatus int64
	late                               int64 // connections that were due and never begun; of churn only
}

func newGenerator(p plan, out io.Writer) (*generator, error) {
	set, err := socket.NewSet()
	if err != nil {
		return nil, err
	}
	g := &generator{plan: p, set: set, buf: make([]byte, 256<<10), epoch: time.Now(), out: out}
	for range p.conns {
		c, err := g.dial()
		if err != nil {
			return nil, err
		}
		for i := range c.lanes {
			g.idle.push(&c.lanes[i])
		}
	}
	return g, nil
}

// lanes is how many exchanges there can be at the same time.
func (p *plan) lanes() int { return p.conns * max(p.streams, 1) }

func (g *generator) clock() int64 { return int64(time.Since(g.epoch)) }

// dial opens a connection. It blocks, also for the handshake.
func (g *generator) dial() (*conn, error) {
	fd, err := socket.Dial(g.server)
	if err != nil {
		return nil, err
	}
	c := &conn{wire: wire{fd: fd, reading: returns}}
	c.stream = &c.wire
	if g.tls != nil {
		if c.stream, err = shake(&c.wire, g.tls); err != nil {
			c.wire.Close()
			return nil, err
		}
	}
	c.lanes = make([]lane, max(g.streams, 1))
	for i := range c.lanes {
		c.lanes[i].conn = c
	}
	if g.streams > 0 {
		c.speech = newSession(g, c)
	} else {
		c.speech = &heads{g: g, lane: &c.lanes[0]}
	}
	for len(g.conns) <= fd {
		g.conns = append(g.conns, nil)
	}
	g.conns[fd] = c
	return c, g.set.Add(fd, unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLET)
}

// begin opens the measured window and tells the reader of the output.
func (g *generator) begin(now int64) {
	g.began = now
	g.result, g.hist = outcome{}, histogram{}
	fmt.Fprintln(g.out, "begin")
}

// end closes the measured window.
func (g *generator) end(now int64) {
	g.ended = now
	fmt.Fprintln(g.out, "end")
}

// over reports whether what was to be measured has been.
func (g *generator) over(now int64) bool {
	return g.measure > 0 && now >= g.began+int64(g.measure) || g.count > 0 && g.result.requests >= g.count
}

// send writes the next request on l, for a request that was due at since. It leaves with the end of the event.
func (g *generator) send(l *lane, since int64) {
	l.state, l.since = awaiting, since
	c := l.conn
	if len(c.out) == 0 {
		g.unsent = append(g.unsent, c)
	}
	c.out = c.speech.request(c.out, l, &g.requests[g.next])
	if g.next++; g.next == len(g.requests) {
		g.next = 0
	}
}

// flush lets all that was written leave: one write for each connection.
func (g *generator) flush() error {
	for len(g.unsent) > 0 {
		c := g.unsent[len(g.unsent)-1]
		g.unsent = g.unsent[:len(g.unsent)-1]
		if g.conns[c.wire.fd] != c {
			continue
		}
		_, err := c.stream.Write(c.out)
		c.out = c.out[:0]
		if err != nil {
			if err := g.fail(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// handle reads what came on a connection.
func (g *generator) handle(fd int, events uint32) error {
	if fd >= len(g.conns) || g.conns[fd] == nil {
		return nil
	}
	c := g.conns[fd]
	c.wire.told(events)
	for g.conns[fd] == c {
		kept := copy(g.buf, c.in)
		n, err := c.stream.Read(g.buf[kept:])
		if err == errWait {
			return nil
		}
		if err != nil {
			return g.fail(c)
		}
		rest, err := c.speech.take(g.buf[:kept+n])
		if err != nil || len(rest) == len(g.buf) {
			return g.fail(c)
		}
		c.in = append(c.in[:0], rest...)
	}
	return nil
}

// answered counts one exchange and gives its lane the next one; last says that the connection takes none.
func (g *generator) answered(l *lane, last bool) error {
	if g.ended == 0 {
		g.result.requests++
	}
	if l.since >= g.began {
		g.hist.add(g.clock() - l.since)
	}
	l.state = idle
	if last {
		return g.replace(l.conn)
	}
	g.reuse(l)
	return nil
}

// reuse gives an idle lane the next request, when there is one.
func (g *generator) reuse(l *lane) {
	switch {
	case g.rate == 0 && g.ended == 0:
		g.send(l, g.clock())
	case g.late.len() > 0:
		g.send(l, g.late.pop())
	default:
		g.idle.push(l)
	}
}

// fail counts what was lost with a connection, if anything was, and replaces it.
func (g *generator) fail(c *conn) error {
	for i := range c.lanes {
		if l := &c.lanes[i]; l.state != idle {
			g.result.failed++
		} else {
			g.idle.remove(l)
		}
	}
	return g.replace(c)
}

func (g *generator) replace(c *conn) error {
	g.conns[c.wire.fd] = nil
	c.wire.Close()
	fresh, err := g.dial()
	if err != nil {
		return err
	}
	for i := range fresh.lanes {
		g.reuse(&fresh.lanes[i])
	}
	return nil
}
