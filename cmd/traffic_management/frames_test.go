package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"traffic_management/internal/testcert"
)

// door is how clients come to HTTP/2: by knowing that it is spoken, or by TLS.
type door struct {
	name  string
	entry string      // keys of the entry point
	tls   *tls.Config // of clients; nil: clear text
}

// doors are both. The certificate is that of a.test.
func doors(t *testing.T) [2]door {
	t.Helper()
	ca := testcert.New(t)
	certFile, keyFile := ca.Write(t.TempDir(), "web", "a.test")
	return [2]door{{name: "clear text"},
		{"TLS", fmt.Sprintf("tls: {cert_file: %s, key_file: %s, handshake_timeout_ms: 1500}", certFile, keyFile), ca.Client("a.test")}}
}

// transport is that of a well-behaved client that speaks the version.
func (d *door) transport(http2 bool) *http.Transport {
	versions := new(http.Protocols)
	versions.SetHTTP1(!http2)
	versions.SetHTTP2(http2)
	versions.SetUnencryptedHTTP2(http2)
	return &http.Transport{Protocols: versions, TLSClientConfig: d.tls.Clone()}
}

// bystand starts clients of both versions (see proxy.bystand). What it returns ends them: they must have been served all
// the time.
func (d *door) bystand(p *proxy) (unharmed func(t *testing.T)) {
	scheme := "http"
	if d.tls != nil {
		scheme = "https"
	}
	one, two := p.bystandBy(d.transport(false), scheme), p.bystandBy(d.transport(true), scheme)
	return func(t *testing.T) {
		t.Helper()
		one.unharmed(t)
		two.unharmed(t)
	}
}

// framer is an HTTP/2 client of which a test writes each frame. What the proxy sends is read and recorded all the while.
type framer struct {
	*http2.Framer // writes go to out, which flush sends
	t             *testing.T
	conn          net.Conn
	out           *bufio.Writer
	block         bytes.Buffer
	hpack         *hpack.Encoder
	failed        error         // of sending
	over          chan struct{} // closed when the proxy has closed the connection

	mu    sync.Mutex
	heard heard
}

// heard is what a proxy has sent.
type heard struct {
	settings int // acknowledged ones not counted
	acks     int
	pongs    int
	statuses map[uint32]string // of streams
	content  map[uint32]int    // bytes
	ended    map[uint32]bool   // streams with END_STREAM
	resets   map[uint32]http2.ErrCode
	goAway   *http2.ErrCode
	reason   string // that GOAWAY came with
	closed   error  // how the connection ended
}

// frames opens a connection, and begins to speak HTTP/2 with these settings.
func (d *door) frames(t *testing.T, p *proxy, settings ...http2.Setting) *framer {
	t.Helper()
	f := d.silent(t, p)
	f.out.WriteString(http2.ClientPreface)
	f.must(f.WriteSettings(settings...))
	f.flush()
	return f
}

// silent opens a connection and writes nothing.
func (d *door) silent(t *testing.T, p *proxy) *framer {
	t.Helper()
	conn := p.connect(t).Conn
	if d.tls != nil {
		config := d.tls.Clone()
		config.NextProtos = []string{"h2"}
		conn = tls.Client(conn, config)
	}
	f := &framer{t: t, conn: conn, out: bufio.NewWriterSize(conn, 1<<20), over: make(chan struct{})}
	f.heard = heard{statuses: map[uint32]string{}, content: map[uint32]int{}, ended: map[uint32]bool{}, resets: map[uint32]http2.ErrCode{}}
	f.Framer = http2.NewFramer(f.out, conn)
	f.AllowIllegalWrites = true
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.hpack = hpack.NewEncoder(&f.block)
	go f.listen()
	t.Cleanup(func() {
		conn.Close()
		<-f.over
	})
	return f
}

// listen reads until the connection ends.
func (f *framer) listen() {
	defer close(f.over)
	for {
		frame, err := f.ReadFrame()
		f.mu.Lock()
		if err != nil {
			f.heard.closed = err
			f.mu.Unlock()
			return
		}
		f.hear(frame)
		f.mu.Unlock()
	}
}

func (f *framer) hear(frame http2.Frame) {
	h, id := &f.heard, frame.Header().StreamID
	switch v := frame.(type) {
	case *http2.SettingsFrame:
		if v.IsAck() {
			h.acks++
		} else {
			h.settings++
		}
	case *http2.PingFrame:
		h.pongs++
	case *http2.MetaHeadersFrame:
		h.statuses[id] += v.PseudoValue("status")
		h.ended[id] = h.ended[id] || v.StreamEnded()
	case *http2.DataFrame:
		h.content[id] += len(v.Data())
		h.ended[id] = h.ended[id] || v.StreamEnded()
	case *http2.RSTStreamFrame:
		h.resets[id] = v.ErrCode
	case *http2.GoAwayFrame:
		code := v.ErrCode
		h.goAway, h.reason = &code, string(v.DebugData())
	}
}

// so reports whether cond holds of what was heard.
func (f *framer) so(cond func(h *heard) bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return cond(&f.heard)
}

// until waits for something to be heard.
func (f *framer) until(t *testing.T, what string, cond func(h *heard) bool) {
	t.Helper()
	eventually(t, what, func() bool { return f.so(cond) })
}

func (f *framer) must(err error) {
	f.t.Helper()
	if err != nil && f.failed == nil {
		f.failed = err
	}
}

// flush sends what was written. That the proxy may have closed the connection is no error: what was heard tells.
func (f *framer) flush() {
	f.t.Helper()
	f.must(f.out.Flush())
	if errors.Is(f.failed, os.ErrDeadlineExceeded) {
		f.t.Fatalf("sending: %v", f.failed)
	}
}

// end is whether a message has content.
type end bool

const (
	complete   end = true
	unfinished end = false
)

// encode makes a field block of names and values in turn.
func (f *framer) encode(fields ...string) []byte {
	f.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		f.must(f.hpack.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	return bytes.Clone(f.block.Bytes())
}

// scheme is what requests say.
func (f *framer) scheme() string {
	if _, ok := f.conn.(*tls.Conn); ok {
		return "https"
	}
	return "http"
}

// ask begins a request with these fields beside those that each has.
func (f *framer) ask(id uint32, method string, e end, fields ...string) {
	f.t.Helper()
	f.head(id, e, append([]string{":method", method, ":scheme", f.scheme(), ":authority", "a.test", ":path", "/"}, fields...)...)
}

// head begins a request with these fields alone.
func (f *framer) head(id uint32, e end, fields ...string) {
	f.must(f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: f.encode(fields...), EndStream: bool(e), EndHeaders: true}))
}

// raw writes a frame of any kind.
func (f *framer) raw(kind http2.FrameType, flags http2.Flags, id uint32, payload string) {
	f.must(f.WriteRawFrame(kind, flags, id, []byte(payload)))
}

// serves reports whether a request is answered as it should be.
func (f *framer) serves(t *testing.T, id uint32) {
	t.Helper()
	f.ask(id, "GET", complete)
	f.flush()
	f.until(t, "the connection serves", func(h *heard) bool { return h.statuses[id] == "200" && h.ended[id] || h.closed != nil })
	if !f.so(func(h *heard) bool { return h.statuses[id] == "200" }) {
		t.Errorf("the connection ended: %s", f.ended())
	}
}

// wasEnded waits until the proxy has closed the connection, and checks its last words.
func (f *framer) wasEnded(t *testing.T, code http2.ErrCode, reason string) {
	t.Helper()
	<-f.over
	if got, want := f.ended(), fmt.Sprintf("%v %s", code, reason); got != want {
		t.Errorf("ended with %s, want %s", got, want)
	}
}

// ended tells the proxy's last words.
func (f *framer) ended() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch h := &f.heard; {
	case h.goAway == nil:
		return fmt.Sprintf("no GOAWAY: %v", h.closed)
	case h.closed == nil:
		return fmt.Sprintf("%v %s, but is open", *h.goAway, h.reason)
	case errors.Is(h.closed, os.ErrDeadlineExceeded):
		return fmt.Sprintf("%v %s, but was not closed", *h.goAway, h.reason)
	default:
		return strings.TrimSpace(fmt.Sprintf("%v %s", *h.goAway, h.reason))
	}
}
