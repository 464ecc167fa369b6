package upstream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
)

// What a server sends, what the receiver hears of it, and whether the connection is used again.
func TestResponses(t *testing.T) {
	failed := func(e *codec.Error) string { return "failed: " + e.Cause.Error() }
	const head = "HTTP/1.1 200 OK\r\n"
	for _, c := range []struct {
		name  string
		sent  string
		heard []string
		kept  bool
		end   bool // the server closes behind it
	}{
		{"by length", ok, []string{"head 200", "data hi end"}, true, false},
		{"no content", head + "Content-Length: 0\r\n\r\n", []string{"head 200 end"}, true, false},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", []string{"head 204 end"}, true, false},
		{"chunks", head + "Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
			[]string{"head 200", "data hi end"}, true, false},
		{"trailers", head + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n",
			[]string{"head 200", "data hi", "trailers X=y"}, true, false},
		{"until close", head + "\r\nhi", []string{"head 200", "data hi end"}, false, true},
		{"close", head + "Connection: close\r\nContent-Length: 2\r\n\r\nhi", []string{"head 200", "data hi end"}, false, false},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", []string{"head 200", "data hi end"}, false, false},
		{"HTTP/1.0 kept", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
			[]string{"head 200", "data hi end"}, true, false},
		{"bytes behind it", ok + "HTTP/1.1 200", []string{"head 200", "data hi end"}, false, false},
		{"interim", "HTTP/1.1 103 Early Hints\r\n\r\n" + ok, []string{"head 103", "head 200", "data hi end"}, true, false},
		{"end behind it", ok, []string{"head 200", "data hi end"}, false, true},

		{"101 unasked", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
			[]string{failed(errSwitch)}, false, false},
		{"end in the head", "HTTP/1.1 20", []string{failed(errTruncated)}, false, true},
		{"end after interim", "HTTP/1.1 103 Early Hints\r\n\r\n", []string{"head 103", failed(errTruncated)}, false, true},
		{"end in content", head + "Content-Length: 9\r\n\r\nhi", []string{"head 200", "data hi", failed(errTruncated)}, false, true},
		{"end in chunks", head + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
			[]string{"head 200", "data hi", failed(errTruncated)}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(20) {
				b := newBed(t, 1, nil)
				b.reseed(seed)
				x := b.open("x")
				x.hears("ready")
				o := b.origins[0]
				o.conn.Write([]byte(c.sent))
				if c.end {
					o.conn.Close(false)
				}
				x.hears(c.heard...)
				x.release()
				kept := int64(0)
				if c.kept {
					kept = 1
				}
				b.counts(0, 0, kept, 0, kept)
				b.clean()
			}
		})
	}
}

// A response that comes before the whole request, or that the receiver holds, is delivered; its connection is not kept.
func TestEarlyResponse(t *testing.T) {
	b := newBed(t, 1, nil)
	x := b.openWith("x", streaming(codec.ByLength, 10))
	x.hears("ready")
	x.stream.Data([]byte("12345"), false)
	b.loop.Run()
	b.origins[0].conn.Write([]byte(ok))
	x.hears("head 200", "data hi end")
	x.stream.Data([]byte("67890"), true) // nobody is there to take it
	x.release()
	b.counts(0, 0, 0, 0, 0)
	if got := b.origins[0].take(); !strings.HasSuffix(got, "\r\n\r\n12345") {
		t.Fatalf("the server received %q", got)
	}
	b.clean()
}

// Content reaches the server in its framing.
func TestRequestContent(t *testing.T) {
	for _, c := range []struct {
		framing codec.Framing
		length  int64
		send    func(s codec.Stream)
		want    string
	}{
		{codec.ByLength, 4, func(s codec.Stream) { s.Data([]byte("ab"), false); s.Data([]byte("cd"), true) },
			"Content-Length: 4\r\n\r\nabcd"},
		{codec.ByChunks, -1, func(s codec.Stream) { s.Data([]byte("ab"), false); s.Data([]byte("cd"), true) },
			"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"},
		{codec.ByChunks, -1, func(s codec.Stream) { s.Data([]byte("ab"), false); s.Data(nil, true) },
			"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"},
		{codec.ByChunks, -1, func(s codec.Stream) {
			s.Data([]byte("ab"), false)
			s.Trailers([]codec.Field{{Name: []byte("X"), Value: []byte("y")}})
		}, "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: y\r\n\r\n"},
		{codec.ByEndStream, -1, func(s codec.Stream) {
			s.Data([]byte("ab"), false)
			s.Trailers([]codec.Field{{Name: []byte("x"), Value: []byte("y")}})
		}, "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nx: y\r\n\r\n"},
		{codec.ByEndStream, -1, func(s codec.Stream) { s.Data(nil, true) }, "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{codec.ByLength, 2, func(s codec.Stream) {
			s.Data([]byte("ab"), false)
			s.Trailers([]codec.Field{{Name: []byte("x"), Value: []byte("y")}})
		}, "Content-Length: 2\r\n\r\nab"},
	} {
		b := newBed(t, 1, nil)
		x := b.openWith("x", streaming(c.framing, c.length))
		x.hears("ready")
		c.send(x.stream)
		b.loop.Run()
		if got := b.origins[0].take(); !strings.HasSuffix(got, c.want) {
			t.Errorf("the server received %q, want %q at its end", got, c.want)
		}
		b.origins[0].conn.Write([]byte(ok))
		x.hears("head 200", "data hi end")
		x.release()
		b.counts(0, 0, 1, 0, 1)
		b.clean()
	}
}

// A head that cannot be sent fails after Ready, not inside it, whatever the caller still sends.
func TestUnsendableHead(t *testing.T) {
	b := newBed(t, 1, nil)
	x := b.openWith("x", func(c *caller) {
		streaming(codec.ByChunks, -1)(c)
		c.request.Method, c.request.MethodName = codec.MethodOther, []byte("NO GOOD")
		c.react = func(event string) {
			if event == "ready" {
				c.stream.Data([]byte("ab"), false)
				c.stream.Trailers(nil)
			}
		}
	})
	x.hears("ready", "failed: "+errUnsendable.Cause.Error())
	x.release()
	b.clean()
}

func TestHostOfTheServer(t *testing.T) {
	b := newBed(t, 1, func(o *Options) { o.PassHost = false })
	x := b.open("x")
	x.hears("ready")
	if got := b.origins[0].take(); !strings.Contains(got, "\r\nHost: origin0\r\n") {
		t.Fatalf("the server received %q", got)
	}
	if string(x.request.Authority) != "h" {
		t.Fatalf("the request's authority became %q", x.request.Authority)
	}
	x.release()
	b.clean()
}

func TestInterimResponsesAreLimited(t *testing.T) {
	b := newBed(t, 1, nil)
	x := b.open("x")
	x.hears("ready")
	b.origins[0].conn.Write([]byte(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", maxInterim+1)))
	want := slices.Repeat([]string{"head 103"}, maxInterim)
	x.hears(append(want, "failed: "+errInterim.Cause.Error())...)
	x.release()
	b.clean()
}

func TestHeadTooLarge(t *testing.T) {
	b := newBed(t, 1, nil)
	x := b.open("x")
	x.hears("ready")
	b.origins[0].conn.Write([]byte("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 1100)))
	b.loop.Run()
	if x.err == nil || x.err.Side != codec.Upstream || x.err.Status != 502 {
		t.Fatalf("heard %q, %v", x.heard, x.err)
	}
	x.release()
	b.clean()
}

// The receiver may give the attempt back inside any call.
func TestReleaseInsideACall(t *testing.T) {
	const sent = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"
	for _, c := range []struct{ at, last string }{
		{"ready", ""}, {"head 103", sent}, {"head 200", sent}, {"data", sent},
		{"trailers", sent + "0\r\nX: y\r\n\r\n"}, {" end", ok}, {"failed", "no HTTP"},
	} {
		t.Run(c.at, func(t *testing.T) {
			b := newBed(t, 1, nil)
			released := false
			x := b.openWith("x", func(x *caller) {
				x.react = func(event string) {
					if !released && strings.Contains(event, c.at) {
						released = true
						x.release()
					}
				}
			})
			b.loop.Run()
			if len(b.origins) > 0 {
				b.origins[0].conn.Write([]byte(c.last))
			}
			b.loop.Run()
			if !released {
				t.Fatalf("only %q was heard", x.heard)
			}
			b.clean()
		})
	}
}

// Timeouts: what the server's silence costs, and when it is not the server that is to blame.
func TestTimeouts(t *testing.T) {
	const streamed = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhi"
	t.Run("no response", func(t *testing.T) {
		b := newBed(t, 1, nil)
		x := b.open("x")
		x.hears("ready")
		b.loop.Advance(19990 * time.Millisecond)
		x.hears()
		b.loop.Advance(20 * time.Millisecond)
		x.hears("failed: " + errHeadTimeout.Cause.Error())
		x.release()
		b.clean()
	})
	t.Run("silence in a response", func(t *testing.T) {
		b := newBed(t, 1, nil)
		x := b.open("x")
		x.hears("ready")
		b.origins[0].conn.Write([]byte(streamed))
		x.hears("head 200", "data hi")
		for i := range 5 { // each within the limit, all together beyond it
			b.loop.Advance(6 * time.Second)
			b.origins[0].conn.Write([]byte{byte('0' + i)})
			x.hears(fmt.Sprint("data ", i))
		}
		b.loop.Advance(9990 * time.Millisecond)
		x.hears()
		b.loop.Advance(20 * time.Millisecond)
		x.hears("failed: " + errIdleTimeout.Cause.Error())
		x.release()
		b.clean()
	})
	t.Run("the client is slow to send", func(t *testing.T) {
		b := newBed(t, 1, nil)
		x := b.openWith("x", streaming(codec.ByLength, 4))
		x.hears("ready")
		b.loop.Advance(time.Minute)
		x.hears()
		x.stream.Data([]byte("abcd"), true)
		b.loop.Advance(19990 * time.Millisecond)
		x.hears()
		b.loop.Advance(20 * time.Millisecond)
		x.hears("failed: " + errHeadTimeout.Cause.Error())
		x.release()
		b.clean()
	})
	t.Run("the server does not read", func(t *testing.T) {
		b := newBed(t, 1, nil)
		x := b.openWith("x", streaming(codec.ByLength, 1<<20))
		x.hears("ready")
		b.origins[0].conn.Hold(true)
		x.stream.Data(make([]byte, 200<<10), false)
		b.loop.Advance(20010 * time.Millisecond)
		x.hears("failed: " + errHeadTimeout.Cause.Error())
		x.release()
		b.clean()
	})
	t.Run("the receiver holds", func(t *testing.T) {
		b := newBed(t, 1, nil)
		x := b.open("x")
		x.hears("ready")
		b.origins[0].conn.Write([]byte(streamed))
		x.hears("head 200", "data hi")
		x.stream.Hold(true)
		b.origins[0].conn.Write([]byte("more"))
		b.loop.Advance(time.Minute)
		x.hears()
		x.stream.Hold(false)
		x.hears("data more")
		b.loop.Advance(10010 * time.Millisecond)
		x.hears("failed: " + errIdleTimeout.Cause.Error())
		x.release()
		b.clean()
	})
	t.Run("request content drains inside a response", func(t *testing.T) {
		b := newBed(t, 1, func(o *Options) { o.RequestTimeout = 2 * time.Second })
		x := b.openWith("x", streaming(codec.ByLength, 1<<20))
		x.hears("ready")
		o := b.origins[0]
		o.conn.Write([]byte(streamed))
		x.hears("head 200", "data hi")
		o.conn.Hold(true)
		x.stream.Data(make([]byte, 200<<10), false)
		b.loop.Run()
		o.conn.Hold(false)
		x.hears("drained")
		b.loop.Advance(9 * time.Second) // more than the time for a head, less than for silence in content
		x.hears()
		x.release()
		b.clean()
	})
}

// A held response is not read, and the sender of a request learns when its queue has room again.
func TestBackPressure(t *testing.T) {
	b := newBed(t, 1, nil)
	x := b.openWith("x", streaming(codec.ByLength, 300<<10))
	x.hears("ready")
	o := b.origins[0]
	o.conn.Hold(true)
	x.stream.Data(make([]byte, 300<<10), true)
	b.loop.Run()
	if q := x.stream.Queued(); q <= codec.HighMark {
		t.Fatalf("%d bytes are queued", q)
	}
	x.hears()
	o.conn.Hold(false)
	x.hears("drained")
	if q := x.stream.Queued(); q != 0 {
		t.Fatalf("%d bytes are queued", q)
	}
	x.stream.Hold(true)
	x.stream.Hold(true)
	o.conn.Write([]byte(ok))
	x.hears()
	x.stream.Hold(false)
	x.hears()
	x.stream.Hold(false)
	x.hears("head 200", "data hi end")
	x.release()
	b.counts(0, 0, 1, 0, 1)
	b.clean()
}
