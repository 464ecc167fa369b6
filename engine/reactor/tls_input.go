package reactor

import (
	"io"
	"time"

	"traffic_management/internal/invariant"
)

// plaintext is the buffer in which all connections of the loop with TLS open records.
func (l *EventLoop) plaintext() []byte {
	if l.plain == nil {
		l.plain = make([]byte, MaxInput+ReadSize)
	}
	return l.plain
}

// receive opens what has come and tells the sink.
func (c *tlsConn) receive() {
	for woken := c.marks&markWake != 0; c.reads(); woken = false {
		news, lent := c.unseal()
		if !news && !woken {
			break
		}
		c.tell()
		invariant.Poison(lent) // the loan ends here
	}
	if c.input == tlsInputEnded {
		c.raw.Consume(len(c.raw.in)) // nothing counts behind close_notify
	}
	if c.input == tlsInputFailed && c.reads() {
		c.failed()
	}
}

// reads reports whether the sink may be told something now.
func (c *tlsConn) reads() bool { return c.stage == tlsOpen && c.holds == 0 && c.sink != nil }

// unseal opens records into the loop's buffer, behind what was left unconsumed, and lends it to the sink. It reports
// whether In or EOF has news.
func (c *tlsConn) unseal() (news bool, lent []byte) {
	if c.input != tlsInputOpen || len(c.in) >= MaxInput {
		return false, nil
	}
	buf := c.loop.plaintext()
	from := len(c.in)
	end := from
	for c.input == tlsInputOpen && end+maxPlaintext <= len(buf) {
		if wholeRecord(c.records()) == 0 {
			if c.raw.EOF() {
				c.input, c.fault = tlsInputFailed, ErrTruncated
			}
			break
		}
		before := c.given
		n, err := c.tls.Read(buf[end:])
		end += n
		idle := c.given - before
		if n > 0 {
			idle--
		}
		switch {
		case idle > 0 && !c.allowsIdle(idle):
			c.input, c.fault = tlsInputFailed, ErrIdleRecords
		case err == nil || err == errNoRecord:
		case err == io.EOF:
			c.input = tlsInputEnded
		default:
			c.input, c.fault = tlsInputFailed, err
		}
	}
	if end > from {
		copy(buf, c.in)
		c.releaseInput()
		lent = buf[:end]
		c.in = lent
	}
	return lent != nil || c.input == tlsInputEnded, lent
}

// Records without content, above all KeyUpdate (RFC 8446 section 4.6.3), cost far more than their size: keys are derived,
// and an answer waits in the socket's queue, whether the peer reads or not. crypto/tls allows 16 in a row, and as many
// again behind a byte of content.
const (
	idleBurst = 32
	idleEvery = time.Second // then one in so long
)

// allowsIdle takes n records without content from the allowance; false when they are more than it has.
func (c *tlsConn) allowsIdle(n int) bool {
	now := c.loop.Now()
	if c.idleRecords == 0 {
		c.idleSince = now
	}
	if gained := int(now.Sub(c.idleSince) / idleEvery); gained > 0 {
		c.idleRecords = max(c.idleRecords-gained, 0)
		c.idleSince = c.idleSince.Add(time.Duration(gained) * idleEvery)
	}
	c.idleRecords += n
	return c.idleRecords <= idleBurst
}

// records is what crypto/tls reads next.
func (c *tlsConn) records() []byte {
	if len(c.behind) > 0 {
		return c.behind
	}
	return c.raw.in
}

// tell calls OnData and keeps what the sink leaves of the shared buffer.
func (c *tlsConn) tell() {
	c.marks &^= markWake
	c.sink.OnData()
	c.leave(c.loop.current)
}

// failed ends a connection whose input cannot be read on. An alert leaves before the socket closes.
func (c *tlsConn) failed() {
	sink, err := c.sink, c.fault
	c.end()
	c.raw.Close(true)
	sink.OnClosed(err)
}

func (c *tlsConn) In() []byte { return c.in }

func (c *tlsConn) Consume(n int) {
	if c.stage != tlsOpen {
		return // it ended inside this very call of the sink
	}
	full := len(c.in) >= MaxInput
	c.in = c.in[n:]
	if full && len(c.in) < MaxInput {
		c.raw.Wake()
	}
	if len(c.in) == 0 && c.loop.current != c.raw {
		c.releaseInput()
	}
}

func (c *tlsConn) EOF() bool { return c.input == tlsInputEnded }

func (c *tlsConn) Hold(on bool) {
	if on {
		c.holds++
		if c.holds == 1 && c.stage == tlsOpen {
			c.raw.Hold(true)
		}
		return
	}
	invariant.Check(c.holds > 0, "reactor: Hold(false) without Hold(true)")
	if c.holds = max(c.holds-1, 0); c.holds > 0 || c.stage != tlsOpen {
		return
	}
	c.raw.Hold(false)
	switch {
	case len(c.in) > 0, c.input == tlsInputEnded:
		c.Wake()
	case c.input == tlsInputFailed:
		c.raw.Wake()
	}
}

func (c *tlsConn) Wake() {
	if c.stage != tlsGone {
		c.marks |= markWake
		if c.stage == tlsOpen {
			c.raw.Wake()
		}
	}
}
