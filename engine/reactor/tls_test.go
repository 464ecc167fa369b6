package reactor

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"traffic_management/codec"
)

func TestTLSServerEchoes(t *testing.T) {
	eachVersion(t, func(t *testing.T, server, client *tls.Config) {
		server.NextProtos, client.NextProtos = []string{"a", "b"}, []string{"b"}
		l := startLoop(t, Config{Handshakes: NewHandshakes(0, 0)})
		c, conn := tlsPair(t, l, server, client, (*sink).echo)
		on(t, l, func() {
			if s := conn.TLS(); s == nil || s.NegotiatedProtocol != "b" || s.ServerName != serverName ||
				s.Version != client.MaxVersion {
				t.Errorf("state %+v", s)
			}
			if _, ok := conn.Detach(); ok {
				t.Error("detached")
			}
		})
		sent := pattern(10 << 20)
		go func() {
			c.Write(sent)
			c.CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d of %d bytes back, %v", len(got), len(sent), err)
		}
	})
}

func TestTLSClientEchoes(t *testing.T) {
	eachVersion(t, func(t *testing.T, server, client *tls.Config) {
		addr := tlsServer(t, server, func(c *tls.Conn) { io.Copy(c, c); c.CloseWrite() })
		l := startLoop(t, Config{Handshakes: NewHandshakes(0, 0)})
		sent := pattern(3 << 20)
		var got []byte
		end := make(chan struct{})
		s, err := dialTLS(t, l, addr, client, func(s *sink) {
			s.conn.Write(sent[:100])
			s.conn.Write(sent[100:20_000])
			if q, u := s.conn.Queued(), s.conn.Unsent(); q != 20_000 || u != 20_000 || s.conn.TLS() != nil {
				t.Errorf("%d bytes queued, %d unsent before the handshake", q, u)
			}
			s.data = func() {
				s.take(&got)
				if s.conn.EOF() {
					close(end)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		on(t, l, func() {
			if s.conn.TLS() == nil {
				t.Error("no state")
			}
			s.conn.Write(sent[20_000:])
			s.conn.CloseWrite()
		})
		await(t, end)
		if !bytes.Equal(got, sent) {
			t.Errorf("%d of %d bytes back", len(got), len(sent))
		}
		on(t, l, func() { s.conn.Close(false) })
	})
}

// TestTLSWritesBeforeTheHandshake: what a dial's owner writes, closes and holds before the handshake's end holds after
// it.
func TestTLSWritesBeforeTheHandshake(t *testing.T) {
	received := make(chan string, 1)
	addr := tlsServer(t, serverConfig(), func(c *tls.Conn) {
		c.Write([]byte("hello"))
		b, _ := io.ReadAll(c)
		received <- string(b)
	})
	l := startLoop(t, Config{})
	heard := make(chan string, 10)
	s, err := dialTLS(t, l, addr, clientConfig(), func(s *sink) {
		s.conn.Write([]byte("early"))
		s.conn.CloseWrite()
		s.conn.Write([]byte("lost"))
		s.conn.Hold(true)
		s.data = func() { heard <- string(s.conn.In()) }
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := await(t, received); got != "early" {
		t.Errorf("the server got %q", got)
	}
	on(t, l, func() {
		if len(heard) > 0 {
			t.Errorf("heard %q while held", <-heard)
		}
		if u := s.conn.Unsent(); u != 4 {
			t.Errorf("%d bytes unsent", u)
		}
		s.conn.Hold(false)
	})
	for got := ""; got != "hello"; got = await(t, heard) {
	}
	on(t, l, func() { s.conn.Abort() })
}

// slicer is a client's socket that sends every byte by itself.
type slicer struct{ net.Conn }

func (s slicer) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := s.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func TestTLSByteByByte(t *testing.T) {
	eachVersion(t, func(t *testing.T, server, client *tls.Config) {
		l := startLoop(t, Config{})
		out, fd := tcpPair(t)
		_, outcomes := acceptTLS(t, l, fd, server, (*sink).echo)
		c := tls.Client(slicer{out}, client)
		for _, message := range []string{"one", strings.Repeat("two ", 200)} {
			c.Write([]byte(message))
			got := make([]byte, len(message))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != message {
				t.Fatalf("%q, %v", got, err)
			}
		}
		if o := await(t, outcomes); o.err != nil {
			t.Error(o.err)
		}
	})
}

// corked is a client's socket that keeps what is written behind its first write until it is uncorked.
type corked struct {
	net.Conn
	writes int
	kept   []byte
}

func (c *corked) Write(p []byte) (int, error) {
	if c.writes++; c.writes == 1 {
		return c.Conn.Write(p)
	}
	c.kept = append(c.kept, p...)
	return len(p), nil
}

// SetWriteDeadline does nothing: crypto/tls sets one in the past behind close_notify.
func (c *corked) SetWriteDeadline(time.Time) error { return nil }

// TestTLSRequestBehindFinished: a client sends its request, its close_notify and its end in one piece with its last
// message of the handshake.
func TestTLSRequestBehindFinished(t *testing.T) {
	eachVersion(t, func(t *testing.T, server, client *tls.Config) {
		l := startLoop(t, Config{})
		client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		// In TLS 1.2 a client's Finished is the last message only of a session that is resumed.
		first, _ := tlsPair(t, l, server, client, (*sink).echo)
		first.Write([]byte("x"))
		io.ReadFull(first, make([]byte, 1))
		first.Close()

		out, fd := tcpPair(t)
		_, outcomes := acceptTLS(t, l, fd, server, (*sink).echo)
		cork := &corked{Conn: out}
		c := tls.Client(cork, client)
		if err := c.Handshake(); err != nil || !c.ConnectionState().DidResume {
			t.Fatalf("%v, %+v", err, c.ConnectionState())
		}
		sent := pattern(100_000) // more than is handed to a handshake at a time
		c.Write(sent)
		c.CloseWrite()
		go func() {
			out.Write(cork.kept)
			out.CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d of %d bytes back, %v", len(got), len(sent), err)
		}
		if o := await(t, outcomes); o.err != nil || !o.conn.TLS().DidResume {
			t.Error(o)
		}
	})
}

// TestTLSRelayHolds is back-pressure through TLS on both sides, and half-closes passed on.
func TestTLSRelayHolds(t *testing.T) {
	l := startLoop(t, Config{})
	back := pattern(3 << 20)
	wrote, got, start := make(chan error, 2), make(chan []byte, 1), make(chan struct{})
	addr := tlsServer(t, serverConfig(), func(c *tls.Conn) {
		c.Handshake()
		await(t, start)
		var both sync.WaitGroup
		both.Go(func() {
			_, err := c.Write(back)
			c.CloseWrite()
			wrote <- err
		})
		b, err := io.ReadAll(c)
		if err != nil {
			t.Errorf("there: %v", err)
		}
		got <- b
		both.Wait()
	})
	a, b := new(relay), new(relay)
	a.to, b.to = b, a
	a.ended, b.ended = func(err error) { t.Error(err) }, func(err error) { t.Error(err) }
	out, fd := tcpPair(t)
	on(t, l, func() {
		raw := l.Attach(fd, nil)
		raw.SetSink(l.AcceptTLS(raw, serverConfig(), func(c Conn, err error) Sink {
			a.conn = c
			b.conn = l.DialTLS(addr, clientConfig(), b)
			return a
		}))
	})
	c := tls.Client(out, clientConfig())
	sent := pattern(24 << 20)
	go func() {
		_, err := c.Write(sent)
		c.CloseWrite()
		wrote <- err
	}()
	for held := false; !held; {
		on(t, l, func() { held = a.held })
	}
	close(start)
	if b, err := io.ReadAll(c); err != nil || !bytes.Equal(b, back) {
		t.Errorf("back: %d of %d bytes, %v", len(b), len(back), err)
	}
	if b := await(t, got); !bytes.Equal(b, sent) {
		t.Errorf("there: %d of %d bytes", len(b), len(sent))
	}
	for range 2 {
		if err := await(t, wrote); err != nil {
			t.Error(err)
		}
	}
	on(t, l, func() {
		if bound := codec.HighMark + MaxInput + 2*ReadSize; b.most > bound {
			t.Errorf("%d bytes were queued, bound %d", b.most, bound)
		}
		if !a.conn.EOF() || !b.conn.EOF() {
			t.Error("half-close did not reach both sides")
		}
		a.conn.Close(false)
		b.conn.Close(false)
	})
}

func TestTLSManyConnections(t *testing.T) {
	l := startLoop(t, Config{Handshakes: NewHandshakes(1, 100)})
	config := serverConfig()
	listener, _ := serve(t, "127.0.0.1:0", func(l *EventLoop, raw Conn) Sink {
		return l.AcceptTLS(raw, config, func(c Conn, err error) Sink {
			if err != nil {
				t.Error(err)
				return nil
			}
			return acceptEcho(l, c)
		})
	}, l)
	var all sync.WaitGroup
	for i := range 40 {
		out := dial(t, listener.Addr())
		all.Go(func() {
			c := tls.Client(out, clientConfig())
			for range 20 {
				sent := pattern(1 + i*300)
				go c.Write(sent)
				got := make([]byte, len(sent))
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
					t.Error(err)
					return
				}
			}
			c.CloseWrite()
			if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Error(n, err)
			}
		})
	}
	all.Wait()
}
