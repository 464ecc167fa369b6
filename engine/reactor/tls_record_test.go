package reactor

import (
	"bytes"
	"crypto/tls"
	"io"
	"testing"
)

// TestTLSGathers: what is written in one turn leaves in as few records as may be.
func TestTLSGathers(t *testing.T) {
	l := startLoop(t, Config{})
	c, conn := tlsPair(t, l, serverConfig(), clientConfig(), func(*sink) {})
	for _, test := range []struct {
		writes  []int
		records []int
	}{
		{[]int{1}, []int{1}},
		{[]int{100, 200, 300}, []int{600}},
		{[]int{5000, 5000, 5000}, []int{15_000}},
		{[]int{100, 16_384}, []int{16_384, 100}},
		{[]int{100, 40_000, 1}, []int{16_384, 16_384, 7332, 1}},
		{[]int{65_536}, []int{16_384, 16_384, 16_384, 16_384}},
		{[]int{16_383}, []int{16_383}},
	} {
		on(t, l, func() {
			for _, n := range test.writes {
				conn.Write(make([]byte, n))
			}
			if conn.Queued() != 0 {
				t.Errorf("%d bytes queued", conn.Queued())
			}
		})
		for _, want := range test.records {
			if n, err := c.Read(make([]byte, maxPlaintext)); n != want || err != nil {
				t.Fatalf("%v: a record of %d bytes, want %d; %v", test.writes, n, want, err)
			}
		}
	}
	on(t, l, func() {
		conn.(*tlsConn).Writev([][]byte{[]byte("a"), nil, []byte("b")})
		conn.Writev(nil)
	})
	if n, _ := c.Read(make([]byte, 10)); n != 2 {
		t.Errorf("a record of %d bytes", n)
	}
}

// TestTLSUnsent: a count of unsent bytes is of what was written, and never too large.
func TestTLSUnsent(t *testing.T) {
	l := startLoop(t, Config{})
	c, conn := tlsPair(t, l, serverConfig(), clientConfig(), func(*sink) {})
	on(t, l, func() {
		conn.Write(make([]byte, 1000))
		if conn.Unsent() != 1000 {
			t.Errorf("gathered: %d bytes unsent", conn.Unsent())
		}
	})
	on(t, l, func() {
		if conn.Unsent() != 0 {
			t.Errorf("sent: %d bytes unsent", conn.Unsent())
		}
		written := 0
		for conn.Queued() == 0 {
			conn.Write(make([]byte, 100_000))
			written += 100_000
		}
		raw := conn.(*tlsConn).raw
		for range 3 {
			conn.Write(make([]byte, 30_000)) // wholly unsent
			written += 30_000
		}
		if u := conn.Unsent(); u < 90_000 || u > written || u > raw.Unsent() {
			t.Errorf("blocked: %d of %d bytes unsent, in records %d", u, written, raw.Unsent())
		}
		before := conn.Unsent()
		conn.Abort()
		if u := conn.Unsent(); u != before {
			t.Errorf("aborted: %d bytes unsent, before %d", u, before)
		}
	})
	c.Close()
}

// TestTLSInputIsBounded: a sink that consumes nothing has so much in In; the rest waits, as records and in the kernel.
func TestTLSInputIsBounded(t *testing.T) {
	l := startLoop(t, Config{})
	full := make(chan struct{}, 1)
	var got []byte
	end := make(chan struct{})
	open := false
	out, fd := tcpPair(t)
	_, outcomes := acceptTLS(t, l, fd, serverConfig(), func(s *sink) {
		s.data = func() {
			if open {
				s.take(&got)
			} else if n := len(s.conn.In()); n >= MaxInput {
				if n > MaxInput+ReadSize {
					t.Errorf("%d bytes unconsumed", n)
				}
				full <- struct{}{}
			}
			if s.conn.EOF() {
				close(end)
			}
		}
	})
	c := tls.Client(out, clientConfig())
	sent := pattern(4 << 20)
	go func() {
		c.Write(sent)
		c.CloseWrite()
	}()
	await(t, full)
	o := await(t, outcomes)
	on(t, l, func() {
		open = true
		got = append(got, o.conn.In()...)
		o.conn.Consume(len(o.conn.In())) // outside OnData: reading must go on by itself
	})
	await(t, end)
	if !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes, or others", len(got), len(sent))
	}
}

// TestTLSUnconsumedInputStays: what the sink leaves lies in front of the next records.
func TestTLSUnconsumedInputStays(t *testing.T) {
	l := startLoop(t, Config{})
	var got []byte
	end := make(chan struct{})
	c, _ := tlsPair(t, l, serverConfig(), clientConfig(), func(s *sink) {
		s.data = func() {
			n := len(s.conn.In()) / 1000 * 1000
			got = append(got, s.conn.In()[:n]...)
			s.conn.Consume(n)
			if s.conn.EOF() {
				s.take(&got)
				close(end)
			}
		}
	})
	sent := pattern(300_777)
	for b := sent; len(b) > 0; {
		n := min(777, len(b))
		c.Write(b[:n])
		b = b[n:]
	}
	c.CloseWrite()
	await(t, end)
	if !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes, or others", len(got), len(sent))
	}
}

// TestIdleTLSConnectionHoldsNoBuffer: none of ours; crypto/tls keeps what the largest record took.
func TestIdleTLSConnectionHoldsNoBuffer(t *testing.T) {
	l := startLoop(t, Config{})
	c, conn := tlsPair(t, l, serverConfig(), clientConfig(), (*sink).echo)
	sent := pattern(50_000)
	c.Write(sent)
	io.ReadFull(c, sent)
	on(t, l, func() {
		k := conn.(*tlsConn)
		if k.in != nil || k.kept != nil || k.out.head != nil || k.behind != nil || k.shake != nil || k.raw.in != nil ||
			k.raw.kept != nil || k.raw.out.head != nil {
			t.Errorf("an idle connection holds memory: %+v", k)
		}
	})
}
