package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"traffic_management/perf/message"
	"traffic_management/perf/socket"
)

// plan is what is to be done. It does not change.
type plan struct {
	server   netip.AddrPort
	requests [][]byte // sent in turn
	conns    int
	rate     float64       // requests per second; 0 is the closed loop: each connection sends as soon as it was answered
	warm     time.Duration // before measuring
	measure  time.Duration // 0 is until count
	count    int64         // requests to measure; 0 is as many as measure allows
	drain    time.Duration // how long the open loop waits for the last answers
}

// errUnasked is content nobody asked for.
var errUnasked = errors.New("more came than was asked for")

// state is where a connection is in its exchange.
type state uint8

const (
	idle        state = iota // nothing was sent that is not answered
	awaiting                 // a request was sent; its response head is not whole
	readingBody              // need bytes of the response's content are to come
)

func (s state) String() string { return [...]string{"idle", "awaiting", "reading body"}[s] }

// conn is one keep-alive connection.
type conn struct {
	fd    int
	state state
	since int64  // when the request was due, in nanoseconds of the generator's clock
	head  []byte // what has come of a response head
	need  int64
	last  bool
}

// generator is one loop with all its connections.
type generator struct {
	plan
	set   *socket.Set
	conns []*conn // by descriptor; nil when not open
	idle  queue[*conn]
	late  queue[int64] // when the requests were due that found no idle connection
	buf   []byte
	next  int // index into plan.requests
	epoch time.Time
	out   io.Writer

	began, ended int64 // the measured window; 0 before it began
	hist         histogram
	result       outcome
}

// outcome is the counts of the measured window.
type outcome struct {
	requests, bytes, failed, badStatus int64
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
		g.idle.push(c)
	}
	return g, nil
}

func (g *generator) clock() int64 { return int64(time.Since(g.epoch)) }

func (g *generator) dial() (*conn, error) {
	fd, err := socket.Dial(g.server)
	if err != nil {
		return nil, err
	}
	for len(g.conns) <= fd {
		g.conns = append(g.conns, nil)
	}
	g.conns[fd] = &conn{fd: fd}
	return g.conns[fd], g.set.Add(fd, unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLET)
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

// send sends the next request on c, for a request that was due at since.
func (g *generator) send(c *conn, since int64) error {
	b := g.requests[g.next]
	if g.next++; g.next == len(g.requests) {
		g.next = 0
	}
	c.state, c.since = awaiting, since
	if n, errno := socket.Send(c.fd, b); errno != 0 || n < len(b) {
		return g.fail(c)
	}
	return nil
}

// handle reads what came on a connection.
func (g *generator) handle(fd int, events uint32) error {
	if fd >= len(g.conns) || g.conns[fd] == nil {
		return nil
	}
	c := g.conns[fd]
	for {
		n, errno := socket.Recv(fd, g.buf)
		if errno == unix.EAGAIN {
			return nil
		}
		if errno != 0 || n == 0 {
			return g.fail(c)
		}
		if err := g.take(c, g.buf[:n]); err != nil {
			return g.fail(c)
		}
		if n < len(g.buf) && events&socket.Ended == 0 || g.conns[fd] != c {
			return nil
		}
	}
}

// take gives received bytes to the exchange they belong to.
func (g *generator) take(c *conn, b []byte) error {
	if c.state == idle {
		return errUnasked
	}
	if c.state == awaiting {
		if len(c.head) > 0 {
			c.head = append(c.head, b...)
			b = c.head
		}
		r, n, err := message.ParseResponse(b)
		if err != nil {
			return err
		}
		if n == 0 {
			c.head = append(c.head[:0], b...)
			return nil
		}
		c.state, c.need, c.last = readingBody, r.Length, r.Last
		b = b[n:]
		c.head = c.head[:0]
		if r.Status != 200 {
			g.result.badStatus++
		}
		g.result.bytes += int64(n)
	}
	if int64(len(b)) > c.need {
		return errUnasked
	}
	c.need -= int64(len(b))
	g.result.bytes += int64(len(b))
	if c.need == 0 {
		return g.answered(c)
	}
	return nil
}

// answered counts one exchange and gives the connection its next one.
func (g *generator) answered(c *conn) error {
	if g.ended == 0 {
		g.result.requests++
	}
	if c.since >= g.began {
		g.hist.add(g.clock() - c.since)
	}
	c.state = idle
	if c.last {
		return g.replace(c)
	}
	return g.reuse(c)
}

// reuse gives an idle connection the next request, when there is one.
func (g *generator) reuse(c *conn) error {
	switch {
	case g.rate == 0 && g.ended == 0:
		return g.send(c, g.clock())
	case g.late.len() > 0:
		return g.send(c, g.late.pop())
	}
	g.idle.push(c)
	return nil
}

// fail counts what was lost with a connection, if anything was, and replaces it.
func (g *generator) fail(c *conn) error {
	if c.state != idle {
		g.result.failed++
	} else {
		g.idle.remove(c)
	}
	return g.replace(c)
}

func (g *generator) replace(c *conn) error {
	g.conns[c.fd] = nil
	unix.Close(c.fd)
	fresh, err := g.dial()
	if err != nil {
		return err
	}
	return g.reuse(fresh)
}
