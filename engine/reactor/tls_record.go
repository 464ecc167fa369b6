package reactor

import (
	"net"
	"time"
)

// Sizes and types of records (RFC 8446 section 5.1).
const (
	recordHeader = 5
	maxPlaintext = 16 << 10           // content of one record
	maxRecord    = 5 + 16<<10 + 2<<10 // with header and expansion, of any version (RFC 5246 section 6.2.3)
	recordAlert  = 21
	firstRecord  = 20 // change_cipher_spec
	lastRecord   = 23 // application_data
)

// wholeRecord is the size of the record that b begins with, 0 when not all of it is there. What is no record is all
// one: crypto/tls refuses it.
func wholeRecord(b []byte) int {
	if len(b) < recordHeader {
		return 0
	}
	n := recordHeader + int(b[3])<<8 + int(b[4])
	switch {
	case b[0] < firstRecord || b[0] > lastRecord || n > maxRecord:
		return len(b)
	case n > len(b):
		return 0
	}
	return n
}

// wholeRecords is the size of the whole records at the beginning of b, of so many as have more than limit bytes.
func wholeRecords(b []byte, limit int) (n int) {
	for n < limit {
		more := wholeRecord(b[n:])
		if more == 0 {
			break
		}
		n += more
	}
	return n
}

// noRecord is what crypto/tls is told when it asks for a record that is not there. Temporary makes it ask again at its
// next call; that is pinned by TestTemporaryReadErrors.
type noRecord struct{}

func (noRecord) Error() string   { return "reactor: no whole record yet" }
func (noRecord) Timeout() bool   { return true }
func (noRecord) Temporary() bool { return true }

var errNoRecord error = noRecord{}

// transport is a tlsConn as crypto/tls sees it: the net.Conn it reads records from and writes records to. It never
// blocks once the handshake is done, and gives out one record at a time: so crypto/tls never holds more than one, and
// the rest waits with the socket.
//
// Owned by who owns the tls.Conn: the handshake's goroutine while that runs, else the loop.
type transport tlsConn

func (t *transport) Read(p []byte) (int, error) {
	c := (*tlsConn)(t)
	if c.shake != nil {
		if err := c.shake.await(); err != nil {
			return 0, err
		}
		n := t.take(p, c.shake.in)
		c.shake.in = c.shake.in[n:]
		return n, nil
	}
	if len(c.behind) > 0 {
		n := t.take(p, c.behind)
		if c.behind = c.behind[n:]; len(c.behind) == 0 {
			c.behind = nil
		}
		return n, nil
	}
	n := t.take(p, c.raw.in)
	if n == 0 {
		return 0, errNoRecord
	}
	c.raw.Consume(n)
	return n, nil
}

// take copies to p what there is in b of the record that is being read, or of the next one.
func (t *transport) take(p, b []byte) int {
	if t.record == 0 {
		if t.record = wholeRecord(b); t.record > 0 {
			t.given++
		}
	}
	n := copy(p, b[:t.record])
	t.record -= n
	return n
}

// Write takes records that leave at the end of the turn, or sooner when there are many.
func (t *transport) Write(p []byte) (int, error) {
	if t.shake != nil {
		return t.shake.send(p)
	}
	if t.raw.Unsent() == 0 {
		t.sealed, t.sealedSize = 0, 0
	}
	t.sealedSize += len(p)
	t.raw.gather(p)
	return len(p), nil
}

// Close is not called: the loop closes the socket.
func (t *transport) Close() error { return nil }

// RemoteAddr is for callbacks of the configuration.
func (t *transport) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(t.raw.peer) }

// LocalAddr is unspecified: only the loop may ask for it.
func (t *transport) LocalAddr() net.Addr { return &net.TCPAddr{} }

func (t *transport) SetDeadline(time.Time) error      { return nil }
func (t *transport) SetReadDeadline(time.Time) error  { return nil }
func (t *transport) SetWriteDeadline(time.Time) error { return nil }
