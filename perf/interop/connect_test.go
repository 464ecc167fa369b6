package interop

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// peer2 is a client of HTTP/2 that is driven frame by frame.
type peer2 struct {
	*http2.Framer
	t       *testing.T
	section bytes.Buffer
	encoder *hpack.Encoder
	connect bool // the server announced extended CONNECT
}

// newPeer connects and reads the server's settings.
func newPeer(t *testing.T, b *bed, w way) *peer2 {
	t.Helper()
	var c net.Conn
	var err error
	if w.tls {
		c, err = tls.Dial("tcp", b.secure, &tls.Config{RootCAs: b.ca.Pool(), NextProtos: []string{"h2"}})
	} else {
		c, err = net.Dial("tcp", b.clear)
	}
	check(t, err)
	t.Cleanup(func() { c.Close() })
	check(t, c.SetDeadline(time.Now().Add(patience)))
	p := &peer2{Framer: http2.NewFramer(c, c), t: t}
	p.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.encoder = hpack.NewEncoder(&p.section)
	_, err = io.WriteString(c, http2.ClientPreface)
	check(t, err)
	check(t, p.WriteSettings())
	first, err := p.ReadFrame()
	check(t, err)
	settings, ok := first.(*http2.SettingsFrame)
	if !ok {
		t.Fatalf("the first frame is %v", first)
	}
	announced, _ := settings.Value(http2.SettingEnableConnectProtocol)
	p.connect = announced == 1
	check(t, p.WriteSettingsAck())
	return p
}

// request sends a head that does not end its stream.
func (p *peer2) request(id uint32, fields ...string) {
	p.t.Helper()
	p.section.Reset()
	for i := 0; i < len(fields); i += 2 {
		check(p.t, p.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	check(p.t, p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.section.Bytes(), EndHeaders: true}))
}

// next is the next frame of a stream.
func (p *peer2) next(id uint32) http2.Frame {
	p.t.Helper()
	for {
		f, err := p.ReadFrame()
		check(p.t, err)
		if f.Header().StreamID == id && f.Header().Type != http2.FrameWindowUpdate {
			return f
		}
	}
}

// message is a WebSocket's text message of a client (RFC 6455 section 5.2), shorter than 64 kB.
func message(text string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0x81, 0x80 | 126}, uint16(len(text)))
	mask := []byte{1, 2, 3, 4}
	b = append(b, mask...)
	for i := range len(text) {
		b = append(b, text[i]^mask[i%4])
	}
	return b
}

// TestExtendedConnect opens a WebSocket on a stream (RFC 8441) and ends it with the closing handshake.
func TestExtendedConnect(t *testing.T) {
	for _, w := range ways {
		if !w.http2 {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			b := start(t)
			p := newPeer(t, b, w)
			if !p.connect {
				t.Fatal("extended CONNECT is not announced")
			}
			scheme, host := "http", b.clear
			if w.tls {
				scheme, host = "https", b.secure
			}
			p.request(1, ":method", "CONNECT", ":protocol", "websocket", ":scheme", scheme, ":authority", host, ":path", "/socket",
				"sec-websocket-version", "13")
			h, ok := p.next(1).(*http2.MetaHeadersFrame)
			if !ok || h.PseudoValue("status") != "200" || h.StreamEnded() {
				t.Fatalf("the answer is %v", h)
			}
			check(t, p.WriteData(1, false, message("hello")))
			p.expect(1, "\x81\x05hello")
			// Close, status 1000; the server answers with the same, unmasked, and ends its side.
			check(t, p.WriteData(1, true, []byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8}))
			p.expect(1, "\x88\x02\x03\xe8")
			if d, ok := p.next(1).(*http2.DataFrame); !ok || !d.StreamEnded() || len(d.Data()) > 0 {
				t.Fatalf("the end is %v", d)
			}
			b.spoke(t, w, "/socket")
		})
	}
}

// expect reads content of a stream until it is as wanted.
func (p *peer2) expect(id uint32, want string) {
	p.t.Helper()
	var got []byte
	for len(got) < len(want) {
		d, ok := p.next(id).(*http2.DataFrame)
		if !ok {
			p.t.Fatalf("no content after %q", got)
		}
		got = append(got, d.Data()...)
	}
	if string(got) != want {
		p.t.Fatalf("content %q, want %q", got, want)
	}
}
