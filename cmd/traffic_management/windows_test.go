package main

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	largestWindow = 1<<31 - 1
	firstWindow   = 65535 // RFC 9113 section 6.9.2
)

// initialWindow is the setting.
func initialWindow(n uint32) http2.Setting {
	return http2.Setting{ID: http2.SettingInitialWindowSize, Val: n}
}

// Windows that are pushed beyond what the protocol allows, on a stream that has content waiting.
func TestWindowOverflow(t *testing.T) {
	attacks := []struct {
		name  string
		reset bool // the stream alone
		code  http2.ErrCode
		words string
		do    func(f *framer)
	}{
		{"of the connection", false, http2.ErrCodeFlowControl, "window", func(f *framer) { f.must(f.WriteWindowUpdate(0, largestWindow)) }},
		{"of the connection, in steps", false, http2.ErrCodeFlowControl, "window", func(f *framer) {
			for range 4 {
				f.must(f.WriteWindowUpdate(0, 1<<30))
			}
		}},
		{"of the connection, by 0", false, http2.ErrCodeProtocol, "zero_window_update", func(f *framer) {
			f.raw(http2.FrameWindowUpdate, 0, 0, "\x80\x00\x00\x00") // the reserved bit is no size
		}},
		{"of a stream", true, http2.ErrCodeFlowControl, "", func(f *framer) {
			f.must(f.WriteWindowUpdate(1, largestWindow))
			f.must(f.WriteWindowUpdate(1, 1))
		}},
		{"of a stream, by settings", false, http2.ErrCodeFlowControl, "window", func(f *framer) {
			f.must(f.WriteWindowUpdate(1, largestWindow))
			f.must(f.WriteSettings(initialWindow(1)))
		}},
		{"of no stream yet", false, http2.ErrCodeFlowControl, "window", func(f *framer) { f.must(f.WriteSettings(initialWindow(1 << 31))) }},
		{"of a stream that there is not", false, http2.ErrCodeProtocol, "idle_stream", func(f *framer) { f.must(f.WriteWindowUpdate(7, 1)) }},
		{"ours, of a stream", true, http2.ErrCodeFlowControl, "", func(f *framer) {
			f.ask(3, "POST", unfinished)
			for range 5 {
				f.must(f.WriteData(3, false, make([]byte, 16384))) // 65536 are allowed, and the server takes none
			}
		}},
	}
	for _, d := range doors(t) {
		t.Run(d.name, func(t *testing.T) {
			s, bystanders := newServer(t, flood), newServer(t, greet)
			p := start(t, site{server: s, bystander: bystanders, entry: d.entry, main: "pool: {max_connections_per_server: 1}"}, "--loops", "1")
			unharmed := d.bystand(p)
			for _, v := range attacks {
				t.Run(v.name, func(t *testing.T) {
					f := d.frames(t, p, initialWindow(0))
					f.ask(1, "GET", complete)
					f.flush()
					f.until(t, "the response begins", func(h *heard) bool { return h.statuses[1] != "" })
					v.do(f)
					f.flush()
					if !v.reset {
						f.wasEnded(t, v.code, v.words)
						return
					}
					f.until(t, "the stream is reset", func(h *heard) bool { return len(h.resets) > 0 })
					if !f.so(func(h *heard) bool { return h.resets[1] == v.code || h.resets[3] == v.code }) {
						t.Errorf("reset with %v", f.heard.resets)
					}
					f.conn.Close()
					<-f.over
				})
			}
			unharmed(t)
			p.heldAtMost(memoryBound)
		})
	}
}

// A window that shrinks below nothing while content waits, and grows again, costs no byte and lets none through too early.
func TestWindowBelowNothing(t *testing.T) {
	const size = 1 << 20
	for _, d := range doors(t) {
		t.Run(d.name, func(t *testing.T) {
			s := newServer(t, func(c *serverConn) {
				if _, err := readHead(c); err == nil {
					_, _ = io.WriteString(c, content(size))
				}
			})
			p := start(t, site{server: s, entry: d.entry})
			f := d.frames(t, p)
			f.ask(1, "GET", complete)
			f.flush()
			f.until(t, "the first window is used", func(h *heard) bool { return h.content[1] == firstWindow })
			for _, w := range []uint32{0, largestWindow, 1, 0, 50_000} {
				f.must(f.WriteSettings(initialWindow(w)))
			}
			f.must(f.WriteWindowUpdate(0, 2*size)) // the stream's own window is 15535 below nothing
			f.must(f.WriteWindowUpdate(1, 15_535))
			f.must(f.WritePing(false, [8]byte{}))
			f.flush()
			f.until(t, "all that is heard", func(h *heard) bool { return h.pongs == 1 && h.acks == 6 })
			if !f.so(func(h *heard) bool { return h.content[1] == firstWindow }) {
				t.Errorf("%d bytes came", f.heard.content[1])
			}
			f.must(f.WriteWindowUpdate(1, 1))
			f.must(f.WritePing(false, [8]byte{}))
			f.flush()
			f.until(t, "one byte more", func(h *heard) bool { return h.pongs == 2 })
			if !f.so(func(h *heard) bool { return h.content[1] == firstWindow+1 }) {
				t.Errorf("%d bytes came", f.heard.content[1])
			}
			f.must(f.WriteSettings(initialWindow(largestWindow - 1<<20)))
			f.flush()
			f.until(t, "the end", func(h *heard) bool { return h.ended[1] })
			if !f.so(func(h *heard) bool { return h.content[1] == size }) {
				t.Errorf("%d bytes came", f.heard.content[1])
			}
		})
	}
}

// Responses that a client asks for, as many as it may, with heads as large as they may be, and never lets come: they hold
// little, and not for long.
func TestStalledStreams(t *testing.T) {
	const conns, streams = 4, 100
	large := strings.Repeat("x", 3850) // four of these are the largest head
	for _, d := range doors(t) {
		t.Run(d.name, func(t *testing.T) {
			s, bystanders := newServer(t, flood), newServer(t, greet)
			p := start(t, site{server: s, bystander: bystanders, entry: d.entry, http: impatient})
			unharmed := d.bystand(p)
			var clients []*framer
			for range conns {
				f := d.frames(t, p, initialWindow(0))
				for i := range streams {
					f.ask(odd(i), "GET", complete, "x", large, "x", large, "x", large, "x", large) // a byte each but for the first
				}
				f.flush()
				clients = append(clients, f)
			}
			// What the heads of a connection may have over all lets half of them through; the others are refused.
			for _, f := range clients {
				f.until(t, "every stream is given up", func(h *heard) bool { return len(h.resets) == streams })
				stalled := 0
				for id, code := range f.heard.resets {
					switch {
					case code == http2.ErrCodeCancel && f.heard.statuses[id] == "200":
						stalled++
					case code != http2.ErrCodeRefusedStream:
						t.Errorf("stream %d was reset with %v", id, code)
					}
				}
				if stalled < streams/2-5 {
					t.Errorf("%d streams were served", stalled)
				}
				if n := f.heard.content[1]; n != 0 {
					t.Errorf("%d bytes came", n)
				}
			}
			unharmed(t)
			s.wasLeft(t)
			p.heldAtMost(memoryBound)
		})
	}
}

// Windows that are opened by the byte do not make a stream move.
func TestSippedStreams(t *testing.T) {
	s, bystanders := newServer(t, flood), newServer(t, greet)
	d := doors(t)[0]
	p := start(t, site{server: s, bystander: bystanders, http: impatient})
	unharmed := d.bystand(p)
	f := d.frames(t, p, initialWindow(0))
	for i := range 20 {
		f.ask(odd(i), "GET", complete)
	}
	f.flush()
	began := time.Now()
	tick := time.NewTicker(trickleEvery)
	defer tick.Stop()
	for !f.so(func(h *heard) bool { return len(h.resets) == 20 }) && time.Since(began) < patience {
		<-tick.C
		for i := range 20 {
			f.must(f.WriteWindowUpdate(odd(i), 1))
		}
		f.flush()
	}
	if !f.so(func(h *heard) bool {
		return len(h.resets) == 20 && h.resets[1] == http2.ErrCodeCancel && h.content[1] > 0
	}) {
		t.Errorf("after %v: %s, %v", time.Since(began), f.ended(), f.heard.resets)
	}
	unharmed(t)
}

// Connections whose clients open every window and read nothing.
func TestUnreadConnections(t *testing.T) {
	n := crowd(100)
	s, bystanders := newServer(t, flood), newServer(t, greet)
	p := start(t, site{server: s, bystander: bystanders, http: impatient})
	b := p.bystand()
	for range n {
		c := p.connect(t)
		if err := c.Conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		out := &bytes.Buffer{}
		out.WriteString(http2.ClientPreface)
		f := &framer{Framer: http2.NewFramer(out, nil), t: t, conn: c}
		f.hpack = hpack.NewEncoder(&f.block)
		f.must(f.WriteSettings(initialWindow(largestWindow)))
		f.must(f.WriteWindowUpdate(0, largestWindow-firstWindow))
		for i := range 10 {
			f.ask(odd(i), "GET", complete)
		}
		c.send(out.String())
	}
	eventually(t, "all are asked for", func() bool { return p.metric("traffic_http2_connections_total") == float64(n) })
	eventually(t, "all are cut off", func() bool { return p.metric("traffic_http2_open_connections") == 0 })
	b.unharmed(t)
	s.wasLeft(t)
	p.heldAtMost(64<<20 + n*(1<<20))
}
