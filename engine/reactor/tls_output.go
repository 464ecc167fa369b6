package reactor

// sealBatch is how much is sealed before it is handed to the kernel.
const sealBatch = 4 * maxPlaintext

func (c *tlsConn) Write(p []byte) {
	bufs := [1][]byte{p}
	c.Writev(bufs[:])
}

func (c *tlsConn) Writev(bufs [][]byte) {
	total := size(bufs)
	switch {
	case total == 0:
	case c.stage == tlsGone, c.marks&markShut != 0, c.raw.phase != phaseOpen, c.raw.fault != 0:
		c.lost += total
	case c.stage == tlsOpening:
		c.gather(bufs)
	case c.out.size+total < gatherLimit:
		c.gather(bufs)
		c.sealLater()
	default:
		c.seal(bufs)
	}
}

func (c *tlsConn) gather(bufs [][]byte) {
	for _, b := range bufs {
		c.out.append(&c.loop.chunks, b)
	}
}

// sealLater makes the loop seal at the end of the turn what was gathered.
func (c *tlsConn) sealLater() {
	if c.marks&markFlush == 0 {
		c.marks |= markFlush
		c.loop.seals = append(c.loop.seals, c)
	}
}

// sealAll seals what connections gathered in the turn, so that flush finds it with their sockets.
func (l *EventLoop) sealAll() {
	for l.sealsDone < len(l.seals) {
		c := l.seals[l.sealsDone]
		l.seals[l.sealsDone] = nil
		l.sealsDone++
		c.marks &^= markFlush
		if c.stage == tlsOpen {
			c.seal(nil)
			l.settle()
		}
	}
	l.seals, l.sealsDone = l.seals[:0], 0
}

// seal makes as few records as may be of what was gathered and then bufs, and hands them to the socket.
func (c *tlsConn) seal(bufs [][]byte) {
	l := c.loop
	if h := c.out.head; h != nil && h == c.out.tail && len(bufs) == 0 && c.out.size <= maxPlaintext {
		c.sealOne(h.b[h.start:h.end])
	} else {
		if l.record == nil {
			l.record = make([]byte, maxPlaintext)
		}
		n := 0
		for ; h != nil; h = h.next {
			n = c.fill(n, h.b[h.start:h.end])
		}
		for _, b := range bufs {
			n = c.fill(n, b)
		}
		if n > 0 {
			c.sealOne(l.record[:n])
		}
	}
	c.out.clear(&l.chunks)
	c.raw.push()
}

// fill adds b to the n bytes in the loop's record buffer and seals what makes whole records. It returns how many bytes
// the buffer then has.
func (c *tlsConn) fill(n int, b []byte) int {
	for n+len(b) >= maxPlaintext {
		if n == 0 { // straight from where it lies
			whole := min(len(b)/maxPlaintext*maxPlaintext, sealBatch)
			c.sealOne(b[:whole])
			b = b[whole:]
		} else {
			k := copy(c.loop.record[n:], b)
			c.sealOne(c.loop.record)
			n, b = 0, b[k:]
		}
		if c.raw.out.size >= sealBatch {
			c.raw.push()
		}
	}
	return n + copy(c.loop.record[n:], b)
}

// sealOne has crypto/tls seal p, which it does in one go: transport.Write takes everything.
func (c *tlsConn) sealOne(p []byte) {
	if n, err := c.tls.Write(p); err != nil {
		c.lost += len(p) - n // an alert was sent, behind which nothing counts
		return
	}
	c.sealed += len(p)
}

// Queued counts records.
func (c *tlsConn) Queued() int {
	if c.stage == tlsOpening {
		return c.out.size
	}
	return c.raw.Queued()
}

// Unsent counts what was written, not what it became. Of records that left in part it counts what surely did not.
func (c *tlsConn) Unsent() int {
	left := c.sealedSize - c.raw.Unsent()
	return c.out.size + c.lost + max(c.sealed-max(left, 0), 0)
}
