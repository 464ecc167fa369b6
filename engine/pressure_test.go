package engine_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httputil"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// source is content that no two places of are alike, the same for the same seed.
func source(seed uint64, size int64) io.Reader {
	key := [32]byte{byte(seed), byte(seed >> 8)}
	return io.LimitReader(rand.NewChaCha8(key), size)
}

func hash(t testing.TB, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// sendContent writes content by its length or in chunks of random sizes.
func sendContent(c net.Conn, content io.Reader, chunked bool, sizes *rand.Rand) error {
	if !chunked {
		_, err := io.Copy(c, content)
		return err
	}
	w := httputil.NewChunkedWriter(c)
	for {
		n := 1 + sizes.Int64N(100_000)
		if _, err := io.CopyN(w, content, n); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	_, err := c.Write([]byte("\r\n"))
	return err
}

// TestLargeContent passes much content in either direction, by length and by chunks, and compares hashes.
func TestLargeContent(t *testing.T) {
	const size = 64 << 20
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	want := hash(t, source(seed, size))
	for _, chunked := range []bool{false, true} {
		framing := fmt.Sprintf("Content-Length: %d\r\n\r\n", size)
		if chunked {
			framing = "Transfer-Encoding: chunked\r\n\r\n"
		}
		content := func(r io.Reader) io.Reader {
			if chunked {
				return httputil.NewChunkedReader(r)
			}
			return io.LimitReader(r, size)
		}
		send := func(from *peer, head string) <-chan error {
			sent := make(chan error, 1)
			go func() {
				_, err := from.conn.Write([]byte(head + framing))
				if err == nil {
					err = sendContent(from.conn, source(seed, size), chunked, rand.New(rand.NewPCG(seed, 1)))
				}
				sent <- err
			}()
			return sent
		}
		t.Run(fmt.Sprintf("download, chunked %t", chunked), func(t *testing.T) {
			b := listen(t)
			p := site{servers: []string{b.address}}.start(t)
			client := p.dial(t)
			client.say(get)
			server := b.accept(t)
			server.head()
			sent := send(server, "HTTP/1.1 200 OK\r\n")
			client.hear("HTTP/1.1 200 OK\r\n" + framing)
			client.conn.SetReadDeadline(time.Now().Add(6 * patience))
			if got := hash(t, content(bufio.NewReaderSize(client.conn, 64<<10))); got != want {
				t.Errorf("the client got content of hash %s, want %s", got, want)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
		})
		t.Run(fmt.Sprintf("upload, chunked %t", chunked), func(t *testing.T) {
			b := listen(t)
			p := site{servers: []string{b.address}}.start(t)
			client := p.dial(t)
			sent := send(client, "POST / HTTP/1.1\r\nHost: a\r\n")
			server := b.accept(t)
			if head := server.head(); !strings.HasSuffix(head, "\r\n"+framing) {
				t.Errorf("the server got\n%s", quoteLines(head))
			}
			server.conn.SetReadDeadline(time.Now().Add(6 * patience))
			if got := hash(t, content(bufio.NewReaderSize(server.conn, 64<<10))); got != want {
				t.Errorf("the server got content of hash %s, want %s", got, want)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
			server.say(response("ok"))
			client.hear(response("ok"))
		})
	}
}

// flood is a peer that sends as fast as its connection takes it.
type flood struct {
	sent  atomic.Int64
	ended chan error
}

// begin sends size bytes on a goroutine of its own.
func begin(c *net.TCPConn, size int64) *flood {
	f := &flood{ended: make(chan error, 1)}
	c.SetWriteDeadline(time.Time{})
	go func() {
		piece := make([]byte, 256<<10)
		var err error
		for left := size; left > 0 && err == nil; {
			var n int
			n, err = c.Write(piece[:min(left, int64(len(piece)))])
			left -= int64(n)
			f.sent.Add(int64(n))
		}
		f.ended <- err
	}()
	return f
}

// stalled waits until nothing more was sent for a while, and returns how much was until then.
func (f *flood) stalled(t testing.TB) int64 {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		before := f.sent.Load()
		time.Sleep(200 * time.Millisecond)
		if f.sent.Load() == before {
			return before
		}
		if time.Now().After(deadline) {
			t.Fatalf("the sender is never held back, after %d bytes", before)
		}
	}
}

// heap is how much memory is in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestBackPressure sends much more than there is memory for towards a peer that does not read, reads slowly, and then
// reads all. The sender must be held back, and the proxy must not keep what it cannot pass on.
func TestBackPressure(t *testing.T) {
	const (
		size    = pressure
		grown   = 1 << 20  // most that the heap may grow
		kernels = 64 << 20 // more than all socket buffers between two peers hold
	)
	framing := fmt.Sprintf("Content-Length: %d\r\n\r\n", size)
	setUp := func(t *testing.T) (p *proxy, client, server *peer) {
		b := listen(t)
		p = site{servers: []string{b.address}}.start(t)
		client = p.dial(t)
		client.say(get)
		server = b.accept(t)
		server.answer()
		client.hear(response("/ "))
		return p, client, server
	}
	check := func(t *testing.T, from, to *peer) {
		t.Helper()
		buf := make([]byte, 256<<10)
		before := heap()
		bounded := func(when string) {
			t.Helper()
			n := heap() - before
			t.Logf("%s the heap has grown by %d bytes", when, n)
			if n > grown {
				t.Errorf("that is more than %d", grown)
			}
		}
		f := begin(from.conn, size)
		n := f.stalled(t)
		t.Logf("%d bytes were taken that nobody read", n)
		if n > kernels {
			t.Errorf("that is more than %d", kernels)
		}
		bounded("while nobody reads")
		read := int64(0)
		take := func(n int) {
			t.Helper()
			to.conn.SetReadDeadline(time.Now().Add(patience))
			got, err := to.conn.Read(buf[:n])
			read += int64(got)
			if err != nil {
				t.Fatalf("after %d bytes: %v", read, err)
			}
		}
		for range 50 { // 10 MB a second
			take(100 << 10)
			time.Sleep(10 * time.Millisecond)
		}
		bounded("behind a slow reader")
		if n := f.sent.Load() - read; n > kernels {
			t.Errorf("%d bytes were taken that nobody read", n)
		}
		for next := int64(size / 4); read < size; {
			take(int(min(int64(len(buf)), size-read)))
			if read > next {
				bounded("behind a fast reader")
				next += size / 4
			}
		}
		if err := <-f.ended; err != nil {
			t.Error(err)
		}
		bounded("at the end")
	}
	t.Run("download", func(t *testing.T) {
		_, client, server := setUp(t)
		client.say(get)
		server.head()
		server.say("HTTP/1.1 200 OK\r\n" + framing)
		client.hear("HTTP/1.1 200 OK\r\n" + framing)
		check(t, server, client)
	})
	t.Run("upload", func(t *testing.T) {
		_, client, server := setUp(t)
		client.say("POST / HTTP/1.1\r\nHost: a\r\n" + framing)
		server.head()
		check(t, client, server)
		server.say(response("ok"))
		client.hear(response("ok"))
	})
}
