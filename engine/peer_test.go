package engine_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// peer is a client or a server of the proxy that says and hears bytes. Every read has a deadline.
type peer struct {
	t    testing.TB
	name string
	conn *net.TCPConn
}

func newPeer(t testing.TB, name string, c net.Conn) *peer {
	p := &peer{t: t, name: name, conn: c.(*net.TCPConn)}
	t.Cleanup(func() { p.conn.Close() })
	return p
}

// dial opens a client connection to the proxy.
func (p *proxy) dial(t testing.TB) *peer {
	t.Helper()
	return dialPeer(t, p.address)
}

// dialPeer opens a client connection to an address.
func dialPeer(t testing.TB, address string) *peer {
	t.Helper()
	c, err := dialAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, "client", c)
}

func dialAddress(address string) (net.Conn, error) { return net.DialTimeout("tcp", address, patience) }

// say sends text.
func (p *peer) say(text string) {
	p.t.Helper()
	p.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := p.conn.Write([]byte(text)); err != nil {
		p.t.Fatalf("%s cannot send: %v", p.name, err)
	}
}

// sayByBytes sends text in as many segments as it has bytes.
func (p *peer) sayByBytes(text string) {
	p.t.Helper()
	for i := range len(text) {
		p.say(text[i : i+1])
	}
}

// hear reads exactly as many bytes as want has and fails the test when they are others.
func (p *peer) hear(want string) {
	p.t.Helper()
	got, err := p.read(len(want))
	if got != want {
		p.t.Fatalf("%s got (%v)\n%s\nwant\n%s", p.name, err, quoteLines(got), quoteLines(want))
	}
}

// read reads n bytes, or fewer with the error that came instead.
func (p *peer) read(n int) (string, error) {
	b := make([]byte, n)
	p.conn.SetReadDeadline(time.Now().Add(patience))
	n, err := io.ReadFull(p.conn, b)
	return string(b[:n]), err
}

// head reads as far as an empty line.
func (p *peer) head() string {
	p.t.Helper()
	b := []byte{}
	for !bytes.HasSuffix(b, []byte("\r\n\r\n")) {
		c, err := p.read(1)
		if err != nil {
			p.t.Fatalf("%s got no whole head: %v after\n%s", p.name, err, quoteLines(string(b)))
		}
		b = append(b, c...)
	}
	return string(b)
}

// response reads a response whose length is stated, and returns its status line, fields and content.
func (p *peer) response() (head, content string) {
	p.t.Helper()
	head = p.head()
	content, err := p.read(lengthOf(p.t, head))
	if err != nil {
		p.t.Fatalf("%s got no whole content: %v", p.name, err)
	}
	return head, content
}

// hearEnd expects the end of the connection and nothing before it.
func (p *peer) hearEnd() { p.t.Helper(); p.expectEnd(io.EOF) }

// hearReset expects the connection to be reset.
func (p *peer) hearReset() { p.t.Helper(); p.expectEnd(syscall.ECONNRESET) }

// hearLoss expects the connection to end or to be reset.
func (p *peer) hearLoss() { p.t.Helper(); p.expectEnd(io.EOF, syscall.ECONNRESET) }

func (p *peer) expectEnd(want ...error) {
	p.t.Helper()
	p.conn.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 4096)
	n, err := p.conn.Read(b)
	if n > 0 {
		p.t.Fatalf("%s got, and should not have\n%s", p.name, quoteLines(string(b[:n])))
	}
	for _, w := range want {
		if errors.Is(err, w) {
			return
		}
	}
	p.t.Fatalf("%s: the connection ended with %v, want one of %v", p.name, err, want)
}

// end closes the writing side.
func (p *peer) end() { p.conn.CloseWrite() }

// close closes the connection.
func (p *peer) close() { p.conn.Close() }

// reset resets the connection.
func (p *peer) reset() {
	p.conn.SetLinger(0)
	p.conn.Close()
}

// rest reads what comes until the connection ends.
func (p *peer) rest() (string, error) {
	p.conn.SetReadDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(p.conn)
	return string(b), err
}

// quoteLines shows bytes so that every one of them can be told.
func quoteLines(s string) string {
	b := &strings.Builder{}
	for line := range strings.Lines(s) {
		q := strings.NewReplacer("\r", `\r`, "\n", `\n`, "\t", `\t`, "\x00", `\0`).Replace(line)
		b.WriteString("    " + q + "\n")
	}
	return b.String()
}
