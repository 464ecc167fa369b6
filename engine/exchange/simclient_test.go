package exchange_test

import (
	"bytes"
	"strings"
	"time"

	"traffic_management/engine/reactor"
)

// client is a client's end of one connection: it sends its requests one after another or pipelined, in pieces, reads
// slowly at times, and checks every response.
type client struct {
	w         *world
	conn      reactor.Conn
	plans     []*plan
	pipelined bool
	sent      int // plans of which something was sent
	answered  int // plans that got their last word
	in        messages
	out       []byte // to be sent
	withheld  []byte // content that waits for 100
	closing   bool   // the last response announced the end
	over      bool
	received  uint64
	sender    reactor.Timer // sends the next piece
	reader    reactor.Timer // reads on
	giveUp    reactor.Timer // ends the connection all of a sudden
	patience  reactor.Timer // sends what is withheld
}

func (w *world) newClient(plans []*plan) *client {
	c := &client{w: w, plans: plans, pipelined: w.rnd.IntN(3) == 0}
	c.sender.Fire, c.giveUp.Fire, c.patience.Fire = c.send, c.abort, c.release
	c.reader.Fire = func() { c.conn.Hold(false) }
	return c
}

// start opens the connection.
func (c *client) start() {
	if c.w.drained >= drainBegun {
		c.ended()
		return
	}
	c.conn = c.w.connect(c)
	c.w.loop.Arm(&c.sender, 0)
	if !c.w.calm && c.w.rnd.IntN(4) == 0 {
		c.w.loop.Arm(&c.giveUp, time.Duration(c.w.rnd.IntN(1500))*time.Millisecond)
	}
}

func (c *client) OnDrained() {}

func (c *client) OnClosed(error) { c.ended() }

// abort ends the connection without regard to what is under way.
func (c *client) abort() {
	if c.w.rnd.IntN(2) == 0 {
		c.conn.Abort()
	} else {
		c.conn.Close(false)
	}
	c.ended()
}

// ended notes what is left without an answer.
func (c *client) ended() {
	c.over = true
	for _, t := range []*reactor.Timer{&c.sender, &c.reader, &c.giveUp, &c.patience} {
		c.w.loop.Stop(t)
	}
	for i := c.answered; i < len(c.plans); i++ {
		switch {
		case i >= c.sent:
			c.plans[i].outcome = outcomeUnsent
		case i == c.answered && c.in.at != placeHead:
			c.plans[i].outcome = outcomeCut
		default:
			c.plans[i].outcome = outcomeDropped
		}
	}
	if rest := c.plans[c.answered:]; c.w.calm && len(rest) > 0 && !c.closing &&
		(c.w.drained < drainBegun || rest[0].outcome == outcomeCut) {
		c.w.fault("the connection ended without notice: %v", rest[0])
	}
}

// send sends the next piece, or begins the next request.
func (c *client) send() {
	w := c.w
	if len(c.out) == 0 && !c.refill() {
		return
	}
	n := len(c.out)
	if w.rnd.IntN(2) == 0 {
		n = 1 + w.rnd.IntN(n)
	}
	c.conn.Write(c.out[:n])
	c.out = c.out[n:]
	w.loop.Arm(&c.sender, time.Duration(w.rnd.IntN(40))*time.Millisecond)
}

// refill takes up the next request, if it is time for it. It reports whether there is something to send.
func (c *client) refill() bool {
	if c.sent == len(c.plans) || len(c.withheld) > 0 || c.closing || c.answered < c.sent && !c.pipelined {
		return false
	}
	p := c.plans[c.sent]
	c.sent++
	connection := ""
	if p.version == "HTTP/1.0" && c.sent < len(c.plans) {
		connection = "keep-alive"
	} else if c.sent == len(c.plans) && c.w.rnd.IntN(3) == 0 {
		connection = "close"
	}
	head, content := p.request(connection)
	c.out = head
	if p.expect {
		c.withheld = content
		c.w.loop.Arm(&c.patience, time.Second)
	} else {
		c.out = append(c.out, content...)
	}
	return true
}

// release sends the content that was withheld.
func (c *client) release() {
	if c.over || len(c.withheld) == 0 {
		return
	}
	c.out = append(c.out, c.withheld...)
	c.withheld = nil
	if !c.sender.Armed() {
		c.send()
	}
}

func (c *client) OnData() {
	c.in.buf = append(c.in.buf, c.conn.In()...)
	c.received += uint64(len(c.conn.In()))
	c.conn.Consume(len(c.conn.In()))
	for !c.over {
		c.in.headless = c.answered < len(c.plans) && c.plans[c.answered].method == "HEAD"
		e, err := c.in.next()
		switch {
		case err != nil:
			c.w.fault("a client received %v", err)
			c.abort()
		case e == eventHead:
			c.head()
		case e == eventDone:
			c.whole()
		default:
			c.partial()
			return
		}
	}
}

// partial follows when more bytes are needed.
func (c *client) partial() {
	w := c.w
	if c.conn.EOF() {
		if c.in.at == placeUntilClose {
			c.whole()
		}
		if !c.over {
			c.ended()
			c.conn.Close(false)
		}
		return
	}
	if w.rnd.IntN(12) == 0 && !c.reader.Armed() {
		c.conn.Hold(true)
		w.loop.Arm(&c.reader, time.Duration(w.rnd.IntN(700))*time.Millisecond)
	}
}

// head takes a response's head.
func (c *client) head() {
	if c.answered >= c.sent {
		c.w.fault("a client received %q without having asked", c.in.start)
		c.abort()
		return
	}
	p := c.plans[c.answered]
	switch status := c.in.status(); {
	case status == 100:
		if !p.expect {
			c.w.fault("%s: 100 unasked", p.name)
		}
		c.release()
		return
	case status < 200:
		if p.version == "HTTP/1.0" || c.in.fields["x-plan"] != p.name {
			c.w.fault("%s: %q for %s", p.name, c.in.start, c.in.fields["x-plan"])
		}
		return
	}
	p.answer = c.in.status()
	if name := c.in.fields["x-plan"]; name != "" && (name != p.name || p.answer != p.status) {
		c.w.fault("%s: the client received the response to %s, %q", p.name, name, c.in.start)
	}
	c.closing = c.in.fields["connection"] == "close"
	if p.version == "HTTP/1.0" && c.in.fields["connection"] != "keep-alive" {
		c.closing = true
	}
}

// whole takes the end of a response.
func (c *client) whole() {
	p := c.plans[c.answered]
	c.answered++
	p.outcome = outcomeRight
	want, trailer := p.reply, p.replyTrailer
	if p.method == "HEAD" {
		want = nil
	}
	if p.version == "HTTP/1.0" {
		trailer = ""
	}
	switch {
	case c.in.fields["x-plan"] == "":
		p.outcome = outcomeLocal
		if !strings.Contains(" 408 502 503 504 ", c.in.start[8:12]+" ") || c.w.calm {
			c.w.fault("%s (%v): the proxy replied %q %q", p.name, p.mood, c.in.start, c.in.content)
		}
	case !bytes.Equal(c.in.content, want) || c.in.trailer != trailer:
		c.w.fault("%s: the client received %d bytes and trailer %q, want %d and %q", p.name, len(c.in.content), c.in.trailer,
			len(want), trailer)
	}
	switch {
	case c.closing:
		c.out, c.withheld = nil, nil
		c.w.loop.Stop(&c.sender)
	case c.answered == len(c.plans):
		if c.w.rnd.IntN(2) == 0 { // else the proxy ends the connection after its idle time
			c.ended()
			c.conn.Close(false)
		}
	case !c.sender.Armed():
		c.w.loop.Arm(&c.sender, time.Duration(c.w.rnd.IntN([]int{20, 500}[c.w.rnd.IntN(2)]))*time.Millisecond)
	}
}
