package reactor

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
)

// TestTLSTruncation: an end without close_notify is told behind what came before it, at the end of a record or in it.
func TestTLSTruncation(t *testing.T) {
	for _, c := range []struct {
		name string
		tail string // of the records
	}{{"between records", ""}, {"in a header", "\x17\x03"}, {"in a record", "\x17\x03\x03\x00\x40rest"}} {
		t.Run(c.name, func(t *testing.T) {
			l := startLoop(t, Config{})
			var got []byte
			heard, closed := make(chan struct{}, 100), make(chan error, 1)
			out, fd := tcpPair(t)
			_, outcomes := acceptTLS(t, l, fd, serverConfig(), func(s *sink) {
				s.conn.Hold(true)
				s.data = func() { // leaves it there, and reads no more for a while
					if s.conn.EOF() {
						t.Error("EOF")
					}
					got = append(got[:0], s.conn.In()...)
					heard <- struct{}{}
				}
				s.closed = func(err error) { closed <- err }
			})
			peer := tls.Client(out, clientConfig())
			peer.Write([]byte("last words"))
			out.Write([]byte(c.tail))
			out.CloseWrite()
			o := await(t, outcomes)
			on(t, l, func() { o.conn.Hold(false) })
			if err := await(t, closed); err != ErrTruncated {
				t.Errorf("closed with %v", err)
			}
			if string(got) != "last words" {
				t.Errorf("before that %q", got)
			}
			waitOpen(t, l, 0)
		})
	}
}

// TestTLSTruncationWaitsForHolders: who holds when the connection is cut hears of that when it lets go.
func TestTLSTruncationWaitsForHolders(t *testing.T) {
	l := startLoop(t, Config{})
	heard, closed := make(chan string, 10), make(chan error, 1)
	out, fd := tcpPair(t)
	_, outcomes := acceptTLS(t, l, fd, serverConfig(), func(s *sink) {
		s.data = func() {
			if len(s.conn.In()) > 0 {
				s.conn.Hold(true)
			}
			heard <- string(s.conn.In())
		}
		s.closed = func(err error) { closed <- err }
	})
	tls.Client(out, clientConfig()).Write([]byte("text"))
	o := await(t, outcomes)
	await(t, heard)
	out.CloseWrite()
	on(t, l, func() { o.conn.Wake() })
	on(t, l, func() {
		if len(closed) > 0 {
			t.Error("told while held")
		}
		o.conn.Hold(false)
	})
	if got := await(t, heard); got != "text" {
		t.Errorf("told of %q again", got)
	}
	on(t, l, func() {
		o.conn.Consume(4)
		o.conn.Hold(false)
	})
	if err := await(t, closed); err != ErrTruncated {
		t.Error(err)
	}
}

// TestTLSReset: a peer's reset is told as that of a plain socket, even while it is held.
func TestTLSReset(t *testing.T) {
	l := startLoop(t, Config{})
	closed := make(chan error, 1)
	out, fd := tcpPair(t)
	_, outcomes := acceptTLS(t, l, fd, serverConfig(), func(s *sink) {
		s.closed = func(err error) { closed <- err }
		s.conn.Hold(true)
	})
	if err := tls.Client(out, clientConfig()).Handshake(); err != nil {
		t.Fatal(err)
	}
	await(t, outcomes)
	out.SetLinger(0)
	out.Close()
	if err := await(t, closed); !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}

// tap is a client's socket that notes what passes, and may change what is sent.
type tap struct {
	net.Conn
	sent, got []byte
	change    func(record []byte)
}

func (t *tap) Write(p []byte) (int, error) {
	p = bytes.Clone(p)
	if t.change != nil {
		t.change(p)
	}
	t.sent = append(t.sent, p...)
	return t.Conn.Write(p)
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.got = append(t.got, p[:n]...)
	return n, err
}

// TestTLSTampering: a record that was changed on the way ends the connection, with an alert that reaches the peer
// though that sends on.
func TestTLSTampering(t *testing.T) {
	eachVersion(t, func(t *testing.T, server, client *tls.Config) {
		l := startLoop(t, Config{})
		var got []byte
		closed := make(chan error, 1)
		out, fd := tcpPair(t)
		_, outcomes := acceptTLS(t, l, fd, server, func(s *sink) {
			s.data = func() { s.take(&got) }
			s.closed = func(err error) { closed <- err }
		})
		tap := &tap{Conn: out}
		c := tls.Client(tap, client)
		c.Write([]byte("good"))
		tap.change = func(record []byte) { record[len(record)-1] ^= 1 }
		c.Write([]byte("bad"))
		tap.change = nil
		c.Write(make([]byte, 50_000))
		if err := await(t, closed); !strings.Contains(err.Error(), "bad record MAC") {
			t.Error(err)
		}
		if string(got) != "good" {
			t.Errorf("before that %q", got)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
			t.Errorf("the client read %v", err)
		}
		o := await(t, outcomes)
		on(t, l, func() {
			o.conn.Write([]byte("lost"))
			if o.conn.Unsent() != 4 {
				t.Errorf("%d bytes unsent", o.conn.Unsent())
			}
		})
		c.Close()
		waitOpen(t, l, 0)
	})
}

// TestTLSCloseIsHeardByPeer: what was written comes, then close_notify.
func TestTLSCloseIsHeardByPeer(t *testing.T) {
	for _, linger := range []bool{false, true} {
		l := startLoop(t, Config{})
		c, conn := tlsPair(t, l, serverConfig(), clientConfig(), func(s *sink) {
			s.data = func() { t.Error("OnData behind Close") }
			s.closed = func(err error) { t.Error("OnClosed behind Close") }
		})
		sent := pattern(300_000)
		on(t, l, func() {
			conn.Write(sent[:10])
			conn.Write(sent[10:])
			conn.Close(linger)
			conn.Write([]byte("lost"))
			if conn.Unsent() < 4 {
				t.Errorf("%d bytes unsent", conn.Unsent())
			}
		})
		if linger {
			c.Write([]byte("ignored"))
		}
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d of %d bytes, %v", len(got), len(sent), err)
		}
		c.Close()
		waitOpen(t, l, 0)
	}
}

// TestTLSAbortIsAReset: nothing of it looks like a proper end.
func TestTLSAbortIsAReset(t *testing.T) {
	l := startLoop(t, Config{})
	c, conn := tlsPair(t, l, serverConfig(), clientConfig(), func(*sink) {})
	on(t, l, func() {
		conn.Write([]byte("lost"))
		conn.Abort()
		conn.Abort()
		conn.Close(true)
		conn.CloseWrite()
		conn.Hold(true)
		conn.Hold(false)
		conn.Wake()
		conn.Consume(0)
		if len(conn.In()) != 0 || conn.Unsent() != 4 {
			t.Errorf("in %q, %d bytes unsent", conn.In(), conn.Unsent())
		}
	})
	if _, err := c.Read(make([]byte, 10)); err == nil || err == io.EOF {
		t.Errorf("the peer read %v", err)
	}
}

// TestTLSHalfClose: each direction ends by itself, and nothing counts behind close_notify.
func TestTLSHalfClose(t *testing.T) {
	eachVersion(t, func(t *testing.T, server, client *tls.Config) {
		l := startLoop(t, Config{})
		ends := make(chan string, 10)
		c, conn := tlsPair(t, l, server, client, func(s *sink) {
			s.data = func() {
				if s.conn.EOF() {
					ends <- string(s.conn.In())
				}
			}
		})
		on(t, l, func() {
			conn.Write([]byte("to the client"))
			conn.CloseWrite()
			conn.Write([]byte("lost"))
		})
		if b, err := io.ReadAll(c); string(b) != "to the client" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		c.Write([]byte("to the server"))
		c.CloseWrite()
		c.NetConn().Write([]byte("no record"))
		c.NetConn().(*net.TCPConn).CloseWrite()
		if got := await(t, ends); got != "to the server" {
			t.Errorf("%q", got)
		}
		on(t, l, func() { conn.Wake() })
		if got := await(t, ends); got != "to the server" {
			t.Errorf("woken with %q", got)
		}
		on(t, l, func() {
			if len(ends) > 0 {
				t.Error("the end was told twice")
			}
			conn.Close(true)
		})
		waitOpen(t, l, 0)
	})
}

// TestTLSPanics: a panic of whoever is called costs that connection alone.
func TestTLSPanics(t *testing.T) {
	panics := make(chan any, 10)
	l := startLoop(t, Config{OnPanic: func(v any, _ []byte) { panics <- v }})
	other, _ := tlsPair(t, l, serverConfig(), clientConfig(), (*sink).echo)
	closed := make(chan error, 1)
	for _, at := range []string{"done", "data"} {
		out, fd := tcpPair(t)
		on(t, l, func() {
			raw := l.Attach(fd, nil)
			raw.SetSink(l.AcceptTLS(raw, serverConfig(), func(Conn, error) Sink {
				if at == "done" {
					panic(at)
				}
				return &sink{data: func() { panic(at) }, closed: func(err error) { closed <- err }}
			}))
		})
		c := tls.Client(out, clientConfig())
		c.Write([]byte("x"))
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("read something")
		}
		if v := await(t, panics); v != at {
			t.Errorf("panic %v, want %s", v, at)
		}
	}
	if err := await(t, closed); !errors.Is(err, ErrPanic) {
		t.Error(err)
	}
	other.Write([]byte("still there"))
	if _, err := io.ReadFull(other, make([]byte, 11)); err != nil {
		t.Error(err)
	}
	waitOpen(t, l, 1)
}

// TestTLSRenegotiation: a client that begins a second handshake (CVE-2009-3555) is refused.
func TestTLSRenegotiation(t *testing.T) {
	server, client := serverConfig(), clientConfig()
	client.MaxVersion = tls.VersionTLS12
	client.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	var log keyLog
	client.KeyLogWriter = &log
	l := startLoop(t, Config{})
	closed := make(chan error, 1)
	out, fd := tcpPair(t)
	acceptTLS(t, l, fd, server, func(s *sink) { s.closed = func(err error) { closed <- err } })
	tap := &tap{Conn: out}
	c := tls.Client(tap, client)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	const random = recordHeader + 4 + 2 // of either side's Hello
	out.Write(sealedBy12(t, log.secret(t, "CLIENT_RANDOM"), tap.sent[random:random+32], tap.got[random:random+32], 1, 22,
		[]byte{1, 0, 0, 0}))
	if err := await(t, closed); !strings.Contains(err.Error(), "unexpected") && !strings.Contains(err.Error(), "decod") {
		t.Error(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "remote error") {
		t.Errorf("the client read %v", err)
	}
}

// pushedBack is a client's socket of which the test has read the first bytes itself.
type pushedBack struct {
	net.Conn
	first []byte
}

func (b *pushedBack) Read(p []byte) (int, error) {
	if len(b.first) == 0 {
		return b.Conn.Read(p)
	}
	n := copy(p, b.first)
	b.first = b.first[n:]
	return n, nil
}

// TestTLSKeyUpdate: a client that asks for new keys gets them, and what is written behind that is sealed with them.
func TestTLSKeyUpdate(t *testing.T) {
	server, client := serverConfig(), clientConfig()
	server.SessionTicketsDisabled = true // the answer is the first that comes behind the handshake
	var log keyLog
	client.KeyLogWriter = &log
	l := startLoop(t, Config{})
	out, fd := tcpPair(t)
	_, outcomes := acceptTLS(t, l, fd, server, func(s *sink) { s.data = func() { t.Error("told of a key update") } })
	back := &pushedBack{Conn: out}
	c := tls.Client(back, client)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if c.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skip("without AES in hardware another suite is agreed on")
	}
	o := await(t, outcomes)
	out.Write(sealedBy13(t, log.secret(t, "CLIENT_TRAFFIC_SECRET_0"), 0, 22, keyUpdate))
	first := make([]byte, 1)
	if _, err := io.ReadFull(out, first); err != nil {
		t.Fatal(err)
	}
	back.first = first
	on(t, l, func() { o.conn.Write([]byte("under new keys")) })
	got := make([]byte, 20)
	if n, err := c.Read(got); string(got[:n]) != "under new keys" || err != nil {
		t.Errorf("%q, %v", got[:n], err)
	}
}
