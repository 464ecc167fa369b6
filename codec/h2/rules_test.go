package h2

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// rule is one thing that a client does to a server, and what comes of it.
type rule struct {
	name string
	do   func(b *bed)
	want string // told > sent ! error
}

var frameRules = []rule{
	{"a frame of an unknown type is ignored", func(b *bed) {
		b.must(b.framer.WriteRawFrame(0xb7, 0xff, 5, []byte("grease")))
	}, ""},
	{"an unknown setting is ignored", func(b *bed) {
		b.must(b.framer.WriteSettings(http2.Setting{ID: 0x7f, Val: 1}))
	}, " > SETTINGS ack true"},
	{"a ping is answered", func(b *bed) { b.must(b.framer.WritePing(false, [8]byte{1, 2})) }, " > PING 0102000000000000 ack true"},
	{"an answer to a ping", func(b *bed) { b.must(b.framer.WritePing(true, [8]byte{7: 9})) }, "pong 9"},
	{"ping of 7", func(b *bed) { b.must(b.framer.WriteRawFrame(http2.FramePing, 0, 0, make([]byte, 7))) },
		" > GOAWAY 0 FRAME_SIZE_ERROR frame_size ! FRAME_SIZE_ERROR: frame_size"},
	{"ping on a stream", func(b *bed) { b.must(b.framer.WriteRawFrame(http2.FramePing, 0, 1, make([]byte, 8))) },
		" > GOAWAY 0 PROTOCOL_ERROR stream_id ! PROTOCOL_ERROR: stream_id"},
	{"a frame over the size", func(b *bed) { b.must(b.framer.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 16385))) },
		" > GOAWAY 0 FRAME_SIZE_ERROR frame_size ! FRAME_SIZE_ERROR: frame_size"},
	{"settings on a stream", func(b *bed) { b.must(b.framer.WriteRawFrame(http2.FrameSettings, 0, 1, nil)) },
		" > GOAWAY 0 PROTOCOL_ERROR stream_id ! PROTOCOL_ERROR: stream_id"},
	{"settings of 5", func(b *bed) { b.must(b.framer.WriteRawFrame(http2.FrameSettings, 0, 0, make([]byte, 5))) },
		" > GOAWAY 0 FRAME_SIZE_ERROR frame_size ! FRAME_SIZE_ERROR: frame_size"},
	{"an acknowledgement with content", func(b *bed) { b.must(b.framer.WriteRawFrame(http2.FrameSettings, 1, 0, make([]byte, 6))) },
		" > GOAWAY 0 FRAME_SIZE_ERROR frame_size ! FRAME_SIZE_ERROR: frame_size"},
	{"push 2", func(b *bed) { b.must(b.framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 2})) },
		" > GOAWAY 0 PROTOCOL_ERROR settings ! PROTOCOL_ERROR: settings"},
	{"a window of 2^31", func(b *bed) {
		b.must(b.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31}))
	}, " > GOAWAY 0 FLOW_CONTROL_ERROR window ! FLOW_CONTROL_ERROR: window"},
	{"frames of 16383", func(b *bed) {
		b.must(b.framer.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 16383}))
	}, " > GOAWAY 0 PROTOCOL_ERROR settings ! PROTOCOL_ERROR: settings"},
	{"frames of 2^24", func(b *bed) {
		b.must(b.framer.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 24}))
	}, " > GOAWAY 0 PROTOCOL_ERROR settings ! PROTOCOL_ERROR: settings"},
	{"goaway on a stream", func(b *bed) { b.must(b.framer.WriteRawFrame(http2.FrameGoAway, 0, 1, make([]byte, 8))) },
		" > GOAWAY 0 PROTOCOL_ERROR goaway ! PROTOCOL_ERROR: goaway"},
	{"goaway with a reason", func(b *bed) { b.must(b.framer.WriteGoAway(0, http2.ErrCodeNo, []byte("bye"))) }, "goaway 0 NO_ERROR"},
	{"push promise", func(b *bed) {
		b.must(b.framer.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: b.fields(get...), EndHeaders: true}))
	}, " > GOAWAY 0 PROTOCOL_ERROR push_promise ! PROTOCOL_ERROR: push_promise"},
	{"the connection's window by 0", func(b *bed) { b.must(b.framer.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, make([]byte, 4))) },
		" > GOAWAY 0 PROTOCOL_ERROR zero_window_update ! PROTOCOL_ERROR: zero_window_update"},
	{"the connection's window over 2^31-1", func(b *bed) { b.must(b.framer.WriteWindowUpdate(0, 1<<31-1)) },
		" > GOAWAY 0 FLOW_CONTROL_ERROR window ! FLOW_CONTROL_ERROR: window"},
	{"window update of 3", func(b *bed) { b.must(b.framer.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, make([]byte, 3))) },
		" > GOAWAY 0 FRAME_SIZE_ERROR frame_size ! FRAME_SIZE_ERROR: frame_size"},
	{"data on stream 0", func(b *bed) { b.must(b.framer.WriteRawFrame(http2.FrameData, 0, 0, nil)) },
		" > GOAWAY 0 PROTOCOL_ERROR stream_id ! PROTOCOL_ERROR: stream_id"},
	{"data padded with more than there is", func(b *bed) {
		b.must(b.framer.WriteRawFrame(http2.FrameData, flagPadded, 1, []byte{3, 0, 0}))
	}, " > GOAWAY 0 PROTOCOL_ERROR padding ! PROTOCOL_ERROR: padding"},
	{"headers on stream 0", func(b *bed) { b.get(0, true) }, " > GOAWAY 0 PROTOCOL_ERROR stream_id ! PROTOCOL_ERROR: stream_id"},
	{"headers on stream 2", func(b *bed) { b.get(2, true) }, " > GOAWAY 0 PROTOCOL_ERROR stream_id ! PROTOCOL_ERROR: stream_id"},
	{"headers padded with more than there is", func(b *bed) {
		b.must(b.framer.WriteRawFrame(http2.FrameHeaders, flagPadded|flagEndHeaders, 1, []byte{2, 0x82}))
	}, " > GOAWAY 0 PROTOCOL_ERROR padding ! PROTOCOL_ERROR: padding"},
	{"reset on stream 0", func(b *bed) { b.must(b.framer.WriteRSTStream(0, 0)) },
		" > GOAWAY 0 PROTOCOL_ERROR stream_id ! PROTOCOL_ERROR: stream_id"},
	{"reset of 3", func(b *bed) { b.must(b.framer.WriteRawFrame(http2.FrameRSTStream, 0, 1, make([]byte, 3))) },
		" > GOAWAY 0 FRAME_SIZE_ERROR frame_size ! FRAME_SIZE_ERROR: frame_size"},
	{"a block that is no HPACK", func(b *bed) {
		b.must(b.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0xff}, EndHeaders: true}))
	}, " > GOAWAY 1 COMPRESSION_ERROR compression ! COMPRESSION_ERROR: compression"},
	{"an index beyond the tables", func(b *bed) {
		b.must(b.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x80 | 62}, EndHeaders: true}))
	}, " > GOAWAY 1 COMPRESSION_ERROR compression ! COMPRESSION_ERROR: compression"},
	{"a table larger than ours", func(b *bed) {
		b.must(b.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x3f, 0xe2, 0x1f}, EndHeaders: true}))
	}, " > GOAWAY 1 COMPRESSION_ERROR compression ! COMPRESSION_ERROR: compression"},
	{"priorities are read over", func(b *bed) {
		b.must(b.framer.WritePriority(3, http2.PriorityParam{StreamDep: 1, Weight: 9}))
		b.must(b.framer.WriteRawFrame(http2.FrameType(framePriorityUpdate), 0, 0, []byte("\x00\x00\x00\x03u=1")))
	}, ""},
	{"priority on stream 0", func(b *bed) { b.must(b.framer.WriteRawFrame(http2.FramePriority, 0, 0, make([]byte, 5))) },
		" > GOAWAY 0 PROTOCOL_ERROR stream_id ! PROTOCOL_ERROR: stream_id"},
	{"priority update for stream 0", func(b *bed) {
		b.must(b.framer.WriteRawFrame(http2.FrameType(framePriorityUpdate), 0, 0, []byte("\x00\x00\x00\x00u=1")))
	}, " > GOAWAY 0 PROTOCOL_ERROR priority_update ! PROTOCOL_ERROR: priority_update"},
	{"priority of 4 on an idle stream", func(b *bed) { b.must(b.framer.WriteRawFrame(http2.FramePriority, 0, 1, make([]byte, 4))) },
		" > GOAWAY 0 FRAME_SIZE_ERROR frame_size ! FRAME_SIZE_ERROR: frame_size"},
	{"idle stream: data", func(b *bed) { b.must(b.framer.WriteData(1, true, nil)) },
		" > GOAWAY 0 PROTOCOL_ERROR idle_stream ! PROTOCOL_ERROR: idle_stream"},
	{"idle stream: reset", func(b *bed) { b.must(b.framer.WriteRSTStream(1, 0)) },
		" > GOAWAY 0 PROTOCOL_ERROR idle_stream ! PROTOCOL_ERROR: idle_stream"},
	{"idle stream: window update", func(b *bed) { b.must(b.framer.WriteWindowUpdate(1, 1)) },
		" > GOAWAY 0 PROTOCOL_ERROR idle_stream ! PROTOCOL_ERROR: idle_stream"},
	{"idle stream: continuation", func(b *bed) { b.must(b.framer.WriteContinuation(1, true, nil)) },
		" > GOAWAY 0 PROTOCOL_ERROR continuation ! PROTOCOL_ERROR: continuation"},
	{"a block in three frames", func(b *bed) {
		p := b.fields(get...)
		b.must(b.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p[:1], EndStream: true}))
		b.must(b.framer.WriteContinuation(1, false, p[1:4]))
		b.must(b.framer.WriteContinuation(1, true, p[4:]))
	}, "1 request GET https a.example /x?y no content end"},
	{"another frame inside a block", func(b *bed) {
		b.must(b.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b.fields(get...)}))
		b.must(b.framer.WritePing(false, [8]byte{}))
	}, " > GOAWAY 1 PROTOCOL_ERROR continuation ! PROTOCOL_ERROR: continuation"},
	{"continuation of another stream", func(b *bed) {
		b.must(b.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b.fields(get...)}))
		b.must(b.framer.WriteContinuation(3, true, nil))
	}, " > GOAWAY 1 PROTOCOL_ERROR continuation ! PROTOCOL_ERROR: continuation"},
}

var streamRules = []rule{ // stream 1 is open, the request not whole
	{"open: end", func(b *bed) { b.must(b.framer.WriteData(1, true, []byte("x"))) }, `1 data "x" end`},
	{"open: an empty end", func(b *bed) { b.must(b.framer.WriteData(1, true, nil)) }, `1 data "" end`},
	{"open: trailers", func(b *bed) { b.headers(1, true, "a", "b") }, "1 trailers [a: b]"},
	{"open: trailers without end", func(b *bed) { b.headers(1, false, "a", "b") },
		"1 failed client syntax never > 1 RST PROTOCOL_ERROR"},
	{"open: pseudo-header in trailers", func(b *bed) { b.headers(1, true, ":path", "/") },
		"1 failed client syntax never > 1 RST PROTOCOL_ERROR"},
	{"open: reset", func(b *bed) { b.must(b.framer.WriteRSTStream(1, http2.ErrCodeCancel)) }, "1 failed client closed never"},
	{"open: window by 0", func(b *bed) { b.must(b.framer.WriteRawFrame(http2.FrameWindowUpdate, 0, 1, make([]byte, 4))) },
		"1 failed client syntax never > 1 RST PROTOCOL_ERROR"},
	{"open: window over 2^31-1", func(b *bed) { b.must(b.framer.WriteWindowUpdate(1, 1<<31-1)) },
		"1 failed client syntax never > 1 RST FLOW_CONTROL_ERROR"},
	{"open: priority on itself", func(b *bed) { b.must(b.framer.WritePriority(1, http2.PriorityParam{StreamDep: 1})) },
		"1 failed client syntax never > 1 RST PROTOCOL_ERROR"},
	{"open: priority of 4", func(b *bed) { b.must(b.framer.WriteRawFrame(http2.FramePriority, 0, 1, make([]byte, 4))) },
		"1 failed client syntax never > 1 RST FRAME_SIZE_ERROR"},
	{"half-closed: data", func(b *bed) {
		b.must(b.framer.WriteData(1, true, nil))
		b.must(b.framer.WriteData(1, true, []byte("x")))
	}, `1 data "" end; 1 failed client syntax never > 1 RST STREAM_CLOSED`},
	{"half-closed: headers", func(b *bed) {
		b.must(b.framer.WriteData(1, true, nil))
		b.headers(1, true, "a", "b")
	}, `1 data "" end; 1 failed client syntax never > 1 RST STREAM_CLOSED`},
	{"half-closed: window update and priority", func(b *bed) {
		b.must(b.framer.WriteData(1, true, nil))
		b.must(b.framer.WriteWindowUpdate(1, 1))
		b.must(b.framer.WritePriority(1, http2.PriorityParam{StreamDep: 3}))
	}, `1 data "" end`},
	{"half-closed: reset", func(b *bed) {
		b.must(b.framer.WriteData(1, true, nil))
		b.must(b.framer.WriteRSTStream(1, http2.ErrCodeCancel))
	}, `1 data "" end; 1 failed client closed never`},
	{"closed by reset: data", func(b *bed) {
		b.must(b.framer.WriteRSTStream(1, http2.ErrCodeCancel))
		b.must(b.framer.WriteData(1, true, []byte("x")))
	}, "1 failed client closed never > 1 RST STREAM_CLOSED"},
	{"closed by reset: headers", func(b *bed) {
		b.must(b.framer.WriteRSTStream(1, http2.ErrCodeCancel))
		b.headers(1, true, "a", "b")
	}, "1 failed client closed never > GOAWAY 1 STREAM_CLOSED closed_stream ! STREAM_CLOSED: closed_stream"},
	{"closed by reset: another reset, window update, priority", func(b *bed) {
		b.must(b.framer.WriteRSTStream(1, http2.ErrCodeCancel))
		b.must(b.framer.WriteRSTStream(1, http2.ErrCodeCancel))
		b.must(b.framer.WriteWindowUpdate(1, 1))
		b.must(b.framer.WritePriority(1, http2.PriorityParam{StreamDep: 3}))
	}, "1 failed client closed never"},
	{"closed by us: what was under way", func(b *bed) {
		b.events.streams[1].stream.Reset(nil)
		b.must(b.framer.WriteData(1, false, []byte("x")))
		b.headers(1, true, "a", "b")
		b.must(b.framer.WriteWindowUpdate(1, 1))
		b.must(b.framer.WriteRSTStream(1, http2.ErrCodeCancel))
	}, " > 1 RST CANCEL"},
	{"closed by both: data", func(b *bed) {
		b.must(b.framer.WriteData(1, true, nil))
		b.pass()
		b.events.streams[1].stream.Head(response(204, -1), true)
		b.must(b.framer.WriteData(1, true, []byte("x")))
	}, `1 data "" end > 1 HEADERS [:status: 204] end; 1 RST STREAM_CLOSED`},
	{"closed by both: headers", func(b *bed) {
		b.must(b.framer.WriteData(1, true, nil))
		b.pass()
		b.events.streams[1].stream.Head(response(204, -1), true)
		b.get(1, true)
	}, `1 data "" end > 1 HEADERS [:status: 204] end; GOAWAY 1 STREAM_CLOSED closed_stream ! STREAM_CLOSED: closed_stream`},
	{"a smaller id than one before", func(b *bed) {
		b.get(5, true)
		b.get(3, true)
	}, "5 request GET https a.example /x?y no content end; 1 failed client closed never; 5 failed client closed never" +
		" > GOAWAY 5 PROTOCOL_ERROR stream_id ! PROTOCOL_ERROR: stream_id"},
	{"the window of the stream is passed", func(b *bed) {
		b.events.streams[1].stream.Hold(true)
		for range 4 {
			b.must(b.framer.WriteData(1, false, make([]byte, 16384)))
		}
	}, "1 failed client closed never > GOAWAY 1 FLOW_CONTROL_ERROR window ! FLOW_CONTROL_ERROR: window"},
}

func TestFrames(t *testing.T) {
	for _, c := range frameRules {
		b := newBed(t, server, testConfig)
		c.do(b)
		if got := b.did(); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestStreamStates(t *testing.T) {
	for _, c := range streamRules {
		b := newBed(t, server, testConfig)
		b.get(1, false)
		b.did()
		c.do(b)
		if got := b.did(); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}

// TestPieces: what a session makes of bytes does not depend on how they are cut, nor on what follows a connection's end.
func TestPieces(t *testing.T) {
	for _, c := range append(append([]rule{}, frameRules...), streamRules...) {
		if strings.Contains(c.name, "closed by") {
			continue // acts between its frames
		}
		whole, pieces := newBed(t, server, testConfig), newBed(t, server, testConfig)
		for _, b := range []*bed{whole, pieces} {
			b.get(1, false)
			b.did()
			c.do(b)
		}
		want := whole.did()
		in := bytes.Clone(pieces.out.Bytes())
		pieces.out.Reset()
		var err error
		for i := 0; i < len(in) && err == nil; i++ {
			pieces.out.WriteByte(in[i])
			err = pieces.pass()
		}
		got := joined(pieces.events.told())
		if sent := pieces.sent(); sent != "" {
			got += " > " + sent
		}
		if err != nil {
			got += " ! " + err.Error()
			if n, again := pieces.session.Receive([]byte("more"), 0); again != err || n != 4 {
				t.Errorf("%s: after the end: %d, %v", c.name, n, again)
			}
		}
		if got != joined(want) {
			t.Errorf("%s:\nbyte by byte %s\nat once      %s", c.name, got, want)
		}
	}
}

// joined leaves out how content was cut.
func joined(told string) string {
	if i := strings.Index(told, "data"); i >= 0 {
		if j := strings.Index(told[i:], ";"); j >= 0 && strings.HasPrefix(told[i+j:], "; 1 data") {
			return joined(told[:i] + told[i+j+4:])
		}
	}
	return told
}

func TestPreface(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{preface, ""},
		{preface[:10], ""},
		{"GET / HTTP/1.1\r\n", "PROTOCOL_ERROR: preface"},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", "PROTOCOL_ERROR: preface"},
		{preface + "\x00\x00\x08\x06\x00\x00\x00\x00\x00", "PROTOCOL_ERROR: no_settings"},
		{preface + "\x00\x00\x00\x04\x01\x00\x00\x00\x00", "PROTOCOL_ERROR: no_settings"},
		{preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00", ""},
	} {
		var w wire
		s := NewServer(&testConfig, &w, &events{}, 0)
		if preface != http2.ClientPreface {
			t.Fatal("another preface")
		}
		_, err := s.Receive([]byte(c.in), 0)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
		if expects := len(c.in) <= len(preface); err == nil && s.Expecting() != expects {
			t.Errorf("%q: expecting %v", c.in, s.Expecting())
		}
	}
}
