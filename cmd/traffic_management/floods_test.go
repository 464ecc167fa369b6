package main

import (
	"io"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	priorityUpdate http2.FrameType = 0x10 // RFC 9218 section 7.1

	blows = 3000 // of each flood; fewer are enough
	burst = 300  // requests that may reach the server of a client that resets them
)

// silence is the script of a server that takes requests and never answers.
func silence(c *serverConn) { _, _ = io.Copy(io.Discard, c.r) }

// requests is how many the server has seen so far.
func (s *server) requests() int { return strings.Count(s.received(), " HTTP/1.1\r\n") }

// odd is the identifier of a client's stream.
func odd(i int) uint32 { return uint32(2*i + 1) }

// barrage is something that a client does over and over.
type barrage struct {
	name   string
	reason string // that the connection is ended for
	code   http2.ErrCode
	first  func(f *framer)
	blow   func(f *framer, i int)
}

// openStream begins a request whose content does not come.
func openStream(f *framer) { f.ask(1, "POST", unfinished) }

// resets are the ways in which a client has the proxy work for streams that it does not want: it resets them, or sends
// what makes the proxy reset them.
var resets = []barrage{
	{name: "rapid reset", blow: func(f *framer, i int) { // CVE-2023-44487
		f.ask(odd(i), "GET", complete)
		f.must(f.WriteRSTStream(odd(i), http2.ErrCodeCancel))
	}},
	{name: "rapid reset of requests with content", blow: func(f *framer, i int) {
		f.ask(odd(i), "POST", unfinished)
		f.must(f.WriteData(odd(i), false, []byte("content")))
		f.must(f.WriteRSTStream(odd(i), http2.ErrCodeNo))
	}},
	// CVE-2025-8671, in its variants.
	{name: "WINDOW_UPDATE of 0", blow: func(f *framer, i int) {
		f.ask(odd(i), "GET", complete)
		f.raw(http2.FrameWindowUpdate, 0, odd(i), "\x00\x00\x00\x00")
	}},
	{name: "WINDOW_UPDATE beyond 2^31", blow: func(f *framer, i int) {
		f.ask(odd(i), "GET", complete)
		f.must(f.WriteWindowUpdate(odd(i), 1<<31-1))
	}},
	{name: "DATA behind the end", blow: func(f *framer, i int) {
		f.ask(odd(i), "GET", complete)
		f.must(f.WriteData(odd(i), true, []byte("x")))
	}},
	{name: "HEADERS behind the end", blow: func(f *framer, i int) {
		f.ask(odd(i), "GET", complete)
		f.ask(odd(i), "GET", complete)
	}},
	{name: "PRIORITY of a wrong size", blow: func(f *framer, i int) {
		f.ask(odd(i), "GET", complete)
		f.raw(http2.FramePriority, 0, odd(i), "\x00\x00\x00\x00")
	}},
	{name: "PRIORITY upon itself", blow: func(f *framer, i int) {
		f.ask(odd(i), "GET", complete)
		f.must(f.WritePriority(odd(i), http2.PriorityParam{StreamDep: odd(i)}))
	}},
	{name: "more content than was announced", blow: func(f *framer, i int) {
		f.ask(odd(i), "POST", unfinished, "content-length", "1")
		f.must(f.WriteData(odd(i), false, []byte("xy")))
	}},
	{name: "less content than was announced", blow: func(f *framer, i int) {
		f.ask(odd(i), "POST", unfinished, "content-length", "1")
		f.must(f.WriteData(odd(i), true, nil))
	}},
	{name: "malformed trailers", blow: func(f *framer, i int) {
		f.ask(odd(i), "POST", unfinished)
		f.head(odd(i), complete, ":path", "/")
	}},
	{name: "malformed heads", blow: func(f *framer, i int) { f.ask(odd(i), "GET", complete, "X-Upper", "case") }},
	{name: "heads that depend on themselves", blow: func(f *framer, i int) {
		f.must(f.WriteHeaders(http2.HeadersFrameParam{StreamID: odd(i), EndStream: true, EndHeaders: true,
			BlockFragment: f.encode(":method", "GET", ":scheme", f.scheme(), ":authority", "a.test", ":path", "/"),
			Priority:      http2.PriorityParam{StreamDep: odd(i)}}))
	}},
	{name: "more streams than are allowed", blow: func(f *framer, i int) { f.ask(odd(i), "GET", complete) }},
}

// A client that has its streams reset, by whomever, loses its connection, and few of its requests reach the server.
func TestResets(t *testing.T) {
	for i := range resets {
		resets[i].reason, resets[i].code = "reset_flood", http2.ErrCodeEnhanceYourCalm
	}
	endure(t, resets)
}

// Frames that cost the proxy work and the client nothing.
func TestFrameFloods(t *testing.T) {
	const calm = http2.ErrCodeEnhanceYourCalm
	frames := func(name, reason string, blow func(f *framer, i int)) barrage {
		return barrage{name, reason, calm, openStream, blow}
	}
	endure(t, []barrage{
		frames("SETTINGS", "settings_flood", func(f *framer, i int) { f.must(f.WriteSettings()) }),
		frames("SETTINGS that move windows", "settings_flood", func(f *framer, i int) {
			f.must(f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i % 2 << 30)}))
		}),
		frames("PING", "ping_flood", func(f *framer, i int) { f.must(f.WritePing(false, [8]byte{})) }),
		frames("empty DATA", "empty_data_flood", func(f *framer, i int) { f.must(f.WriteData(1, false, nil)) }),
		frames("padding alone", "empty_data_flood", func(f *framer, i int) {
			f.must(f.WriteDataPadded(1, false, nil, make([]byte, 255)))
		}),
		frames("empty DATA on a stream that was reset", "empty_data_flood", func(f *framer, i int) {
			if i == 0 {
				f.must(f.WriteWindowUpdate(1, 1<<31-1))
			}
			f.must(f.WriteData(1, false, nil))
		}),
		frames("PRIORITY", "priority_flood", func(f *framer, i int) {
			f.must(f.WritePriority(odd(i+1), http2.PriorityParam{StreamDep: 1}))
		}),
		frames("PRIORITY_UPDATE", "priority_flood", func(f *framer, i int) { f.raw(priorityUpdate, 0, 0, "\x00\x00\x00\x01u=1") }),
		frames("WINDOW_UPDATE", "window_update_flood", func(f *framer, i int) { f.must(f.WriteWindowUpdate(0, 1)) }),
		frames("WINDOW_UPDATE of a stream", "window_update_flood", func(f *framer, i int) { f.must(f.WriteWindowUpdate(1, 1)) }),
		frames("RST_STREAM", "reset_flood", func(f *framer, i int) { f.must(f.WriteRSTStream(1, http2.ErrCodeCancel)) }),
		frames("GOAWAY", "unknown_frame_flood", func(f *framer, i int) { f.must(f.WriteGoAway(0, http2.ErrCodeNo, nil)) }),
		frames("unknown frames", "unknown_frame_flood", func(f *framer, i int) { f.raw(0xee, 0, 0, "anything") }),
	})
}

// Field blocks without end, or that stand for more than they are.
func TestFieldBlockFloods(t *testing.T) {
	const calm = http2.ErrCodeEnhanceYourCalm
	begin := func(f *framer) {
		f.must(f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.encode(":method", "GET"), EndStream: true}))
	}
	endure(t, []barrage{
		{"CONTINUATION", "continuation_flood", calm, begin, func(f *framer, i int) {
			f.must(f.WriteContinuation(1, false, f.encode("x", "y")))
		}},
		{"empty CONTINUATION", "continuation_flood", calm, begin, func(f *framer, i int) { f.must(f.WriteContinuation(1, false, nil)) }},
		{"large CONTINUATION", "field_block_long", calm, begin, func(f *framer, i int) {
			f.must(f.WriteContinuation(1, false, make([]byte, 16384)))
		}},
		{"CONTINUATION, END_HEADERS after all", "continuation_flood", calm, nil, func(f *framer, i int) {
			f.must(f.WriteHeaders(http2.HeadersFrameParam{StreamID: odd(i), BlockFragment: f.encode(":method", "GET")}))
			for k := range 10 {
				f.must(f.WriteContinuation(odd(i), k == 9, nil))
			}
		}},
		{"another frame in between", "continuation", http2.ErrCodeProtocol, begin, func(f *framer, i int) {
			f.must(f.WritePing(false, [8]byte{}))
		}},
		{"references to a large entry", "field_block_long", calm, func(f *framer) {
			f.ask(1, "GET", complete, "x-large", strings.Repeat("x", 3900))
		}, func(f *framer, i int) {
			f.must(f.WriteHeaders(http2.HeadersFrameParam{StreamID: odd(i + 1), EndStream: true, EndHeaders: true,
				BlockFragment: []byte(strings.Repeat("\xbe", 16384))})) // the newest entry, 64 MB of it
		}},
		{"an index that there is not", "compression", http2.ErrCodeCompression, nil, func(f *framer, i int) {
			f.must(f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true, EndHeaders: true, BlockFragment: []byte{0xff, 0xff, 0x7f}}))
		}},
		{"an integer without end", "compression", http2.ErrCodeCompression, nil, func(f *framer, i int) {
			f.must(f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true, EndHeaders: true,
				BlockFragment: []byte(strings.Repeat("\xff", 1000))}))
		}},
		{"a table larger than allowed", "compression", http2.ErrCodeCompression, nil, func(f *framer, i int) {
			block := hpack.AppendHuffmanString([]byte{0x3f, 0xe2, 0x1f}, "x") // 4097
			f.must(f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true, EndHeaders: true, BlockFragment: block}))
		}},
	})
}

// Heads that are a few bytes and stand for more than is allowed, on streams whose answers are not let through.
func TestHeaderBombs(t *testing.T) {
	for _, d := range doors(t) {
		t.Run(d.name, func(t *testing.T) {
			s, bystanders := newServer(t, silence), newServer(t, greet)
			p := start(t, site{server: s, bystander: bystanders, entry: d.entry})
			unharmed := d.bystand(p)
			for range 20 {
				f := d.frames(t, p, initialWindow(0))
				f.ask(1, "GET", complete, "cookie", strings.Repeat("x", 3900))
				block := append(f.encode(":method", "GET", ":scheme", f.scheme(), ":authority", "a.test", ":path", "/"), "\xbe\xbe\xbe\xbe\xbe\xbe\xbe"...)
				for i := 1; i < 90; i++ {
					f.must(f.WriteHeaders(http2.HeadersFrameParam{StreamID: odd(i), BlockFragment: block, EndStream: true, EndHeaders: true}))
				}
				f.flush()
				f.until(t, "each is refused", func(h *heard) bool { return len(h.statuses) == 89 })
				f.so(func(h *heard) bool {
					for id, status := range h.statuses {
						if status != "431" {
							t.Errorf("stream %d was answered with %s", id, status)
						}
					}
					return true
				})
			}
			unharmed(t)
			p.heldAtMost(memoryBound)
			if got := s.requests(); got != 20 {
				t.Errorf("%d requests reached the server", got)
			}
		})
	}
}

// endure carries out floods over both doors, each on a connection of its own, while clients of both versions are served.
func endure(t *testing.T, floods []barrage) {
	for _, d := range doors(t) {
		t.Run(d.name, func(t *testing.T) {
			s, bystanders := newServer(t, silence), newServer(t, greet)
			p, profiles := profiled(t, site{server: s, bystander: bystanders, entry: d.entry})
			p.metric("traffic_loop_panics_total") // the connection for metrics, which is kept, has a goroutine, too
			before := goroutines(t, profiles)
			unharmed := d.bystand(p)
			for _, v := range floods {
				t.Run(v.name, func(t *testing.T) { p.flooded(t, &d, s, &v) })
			}
			unharmed(t)
			p.heldAtMost(memoryBound)
			if n := p.metric("traffic_http2_errors_total"); n != float64(len(floods)) {
				t.Errorf("%v connections were counted as ended for an error, want %d", n, len(floods))
			}
			if n := p.metric("traffic_loop_panics_total"); n != 0 {
				t.Errorf("%v panics were contained", n)
			}
			s.wasLeft(t)
			eventually(t, "no goroutine is left over", func() bool { return goroutines(t, profiles) <= before })
		})
	}
}

// flooded carries out one.
func (p *proxy) flooded(t *testing.T, d *door, s *server, v *barrage) {
	had := s.requests()
	f := d.frames(t, p)
	if v.first != nil {
		v.first(f)
	}
	for i := 0; i < blows && f.failed == nil; i++ {
		v.blow(f, i)
		if i%64 == 63 {
			f.flush()
		}
	}
	f.flush()
	f.wasEnded(t, v.code, v.reason)
	if got := s.requests() - had; got > burst {
		t.Errorf("%d requests reached the server", got)
	}
}
