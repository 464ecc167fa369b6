package frontend_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"traffic_management/engine/reactor"
)

// h2Bench is a client of HTTP/2, a server of HTTP/1.1 and the proxy between them, without sockets.
type h2Bench struct {
	loop     *benchLoop
	client   *benchConn
	sink     reactor.Sink
	request  []byte // a HEADERS frame without its stream's number, and what gives the last response's window back
	response []byte
	stream   uint32
}

func newH2Bench(t testing.TB, content int, fields ...string) *h2Bench {
	b := &h2Bench{loop: &benchLoop{dialled: &benchConn{}}, client: &benchConn{}, stream: 1}
	entry := newEntry(t, b.loop, reactor.Addr{})
	settings := *entry.Settings
	settings.HTTP2 = h2Config(&settings)
	entry.Settings = &settings
	b.response = append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", content),
		make([]byte, content)...)

	var out, block bytes.Buffer
	framer, encoder := http2.NewFramer(&out, nil), hpack.NewEncoder(&block)
	encoder.SetMaxDynamicTableSize(0)
	for i := 0; i < len(fields); i += 2 {
		encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	if content > 0 {
		framer.WriteWindowUpdate(0, uint32(content))
	}
	b.request = bytes.Clone(out.Bytes())
	out.Reset()
	out.WriteString(http2.ClientPreface)
	framer.WriteSettings()
	framer.WriteSettingsAck()

	b.sink = entry.Accept(b.client)
	b.client.sink = b.sink
	b.hear(out.Bytes())
	b.ask()
	b.loop.dialled.sink.OnDrained()
	b.loop.settle()
	b.answer()
	return b
}

// hear gives the proxy what the client sends.
func (b *h2Bench) hear(in []byte) {
	b.client.in = in
	b.client.sink.OnData()
	b.loop.settle()
}

func (b *h2Bench) ask() {
	b.loop.now += 1000
	binary.BigEndian.PutUint32(b.request[5:], b.stream)
	b.stream += 2
	b.loop.dialled.in = nil
	b.hear(b.request)
}

func (b *h2Bench) answer() {
	b.loop.dialled.in = b.response
	b.loop.dialled.sink.OnData()
	b.loop.settle()
}

// exchange is a request and its response. It returns what the client was sent.
func (b *h2Bench) exchange() []byte {
	b.client.out, b.loop.dialled.out = b.client.out[:0], b.loop.dialled.out[:0]
	b.ask()
	b.answer()
	return b.client.out
}

var (
	wrkFields     = []string{":method", "GET", ":scheme", "http", ":authority", "127.0.0.1:7001", ":path", "/128"}
	browserFields = []string{":method", "GET", ":scheme", "http", ":authority", "www.example.com", ":path", "/static/app.js?v=12",
		"user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36",
		"accept", "*/*", "referer", "https://www.example.com/", "accept-encoding", "gzip, deflate, br", "accept-language",
		"en-GB,en;q=0.9", "cookie", "session=0123456789abcdef0123456789abcdef", "dnt", "1", "priority", "u=1, i"}
)

// BenchmarkH2Request is BenchmarkRequest on a stream of HTTP/2.
func BenchmarkH2Request(b *testing.B) {
	for name, fields := range map[string][]string{"wrk": wrkFields, "browser": browserFields} {
		b.Run(name, func(b *testing.B) {
			bed := newH2Bench(b, 128, fields...)
			b.ReportAllocs()
			for b.Loop() {
				if got := bed.exchange(); len(got) < 128+2*9 || len(bed.loop.dialled.out) < 20 {
					b.Fatalf("the client got %q, the server %q", got, bed.loop.dialled.out)
				}
			}
		})
	}
}

// A request on a stream and its response allocate nothing once all has been used before.
func TestH2RequestAllocatesNothing(t *testing.T) {
	for _, content := range []int{0, 128, 5000} {
		bed := newH2Bench(t, content, browserFields...)
		want := content + 9
		if n := testing.AllocsPerRun(200, func() {
			if got := bed.exchange(); len(got) < want || !bytes.Contains(bed.loop.dialled.out, []byte("GET /static/app.js?v=12 ")) {
				t.Fatalf("the client got %q, the server %q", got, bed.loop.dialled.out)
			}
		}); n != 0 && pooled {
			t.Errorf("%v allocations with %d bytes of content", n, content)
		}
	}
}
