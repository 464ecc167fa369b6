package frontend_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"traffic_management/codec/h2"
	"traffic_management/engine/frontend"
	"traffic_management/engine/reactor"
)

// newH2Stall is newStall with HTTP/2 spoken.
func newH2Stall(t *testing.T) *stall {
	s := newStall(t)
	settings := *s.entry.Settings
	settings.HTTP2 = h2Config(&settings)
	s.entry.Settings = &settings
	return s
}

func h2Config(s *frontend.Settings) *h2.Config {
	return &h2.Config{MaxStreams: 100, StreamWindow: 65535, ConnWindow: 1 << 20, MaxHeadBytes: 4096, MaxFields: 30, MaxBurst: 16,
		ExtendedConnect: true, WriteStall: s.WriteTimeout}
}

// h2end is a client of HTTP/2 whose frames the test makes, by another implementation than ours.
type h2end struct {
	stall  *stall
	conn   reactor.Conn
	in     bytes.Buffer
	framer *http2.Framer
	out    bytes.Buffer
	hpack  *hpack.Encoder
	block  bytes.Buffer
	frames []string // what came and was not asked for yet
	data   map[uint32]int
	room   map[uint32]int // of the windows for what we send; 0: the connection's
	fate   string
	deaf   bool // WINDOW_UPDATE is not sent
	sips   bool // reads once, then not until sip is called again
}

// h2client opens a connection that speaks HTTP/2 at once.
func (s *stall) h2client() *h2end {
	e := s.silentH2()
	e.out.WriteString(http2.ClientPreface)
	e.framer.WriteSettings()
	e.flush()
	e.gets("SETTINGS", "SETTINGS ack")
	return e
}

// silentH2 opens a connection of which nothing comes yet.
func (s *stall) silentH2() *h2end {
	e := &h2end{stall: s, data: map[uint32]int{}, room: map[uint32]int{0: 65535}}
	e.framer = http2.NewFramer(&e.out, &e.in)
	e.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	e.hpack = hpack.NewEncoder(&e.block)
	ours, theirs := s.loop.Pipe(nil, e)
	e.conn = theirs
	ours.SetSink(s.entry.Accept(ours))
	return e
}

func (e *h2end) OnDrained()     {}
func (e *h2end) OnClosed(error) { e.fate = "reset" }

func (e *h2end) OnData() {
	e.in.Write(e.conn.In())
	e.conn.Consume(len(e.conn.In()))
	for {
		have := e.in.Bytes()
		if len(have) < 9 || len(have) < 9+int(have[0])<<16+int(have[1])<<8+int(have[2]) {
			break
		}
		f, err := e.framer.ReadFrame()
		if err != nil {
			e.stall.t.Fatalf("a frame that cannot be read: %v", err)
		}
		e.note(f)
	}
	if e.conn.EOF() {
		if e.in.Len() > 0 {
			e.stall.t.Fatalf("%d bytes of a frame, then the end", e.in.Len())
		}
		e.fate = "end"
		e.conn.Close(false)
		return
	}
	e.flush0()
	if e.sips {
		e.conn.Hold(true)
	}
}

// sip reads once more.
func (e *h2end) sip() {
	e.conn.Hold(false)
	e.stall.loop.Run()
}

// note writes a frame down, and acknowledges settings.
func (e *h2end) note(f http2.Frame) {
	h := f.Header()
	end := ""
	if h.Flags.Has(http2.FlagDataEndStream) && (h.Type == http2.FrameData || h.Type == http2.FrameHeaders) {
		end = " END"
	}
	text := ""
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		var fields []string
		for _, field := range f.Fields {
			if field.Name != "date" {
				fields = append(fields, field.Name+"="+field.Value)
			}
		}
		text = fmt.Sprintf("HEADERS %d %s%s", h.StreamID, strings.Join(fields, " "), end)
	case *http2.DataFrame:
		e.data[h.StreamID] += len(f.Data())
		text = fmt.Sprintf("DATA %d %s%s", h.StreamID, f.Data(), end)
		if n := len(e.frames); n > 0 && strings.HasPrefix(e.frames[n-1], fmt.Sprintf("DATA %d ", h.StreamID)) {
			text = e.frames[n-1] + string(f.Data()) + end // how content is cut means nothing
			e.frames = e.frames[:n-1]
		}
		if n := uint32(len(f.Data())); n > 0 && !e.deaf {
			e.framer.WriteWindowUpdate(0, n)
			if end == "" {
				e.framer.WriteWindowUpdate(h.StreamID, n)
			}
		}
	case *http2.SettingsFrame:
		text = "SETTINGS"
		if f.IsAck() {
			text += " ack"
		} else {
			e.framer.WriteSettingsAck()
		}
	case *http2.RSTStreamFrame:
		text = fmt.Sprintf("RST %d %v", h.StreamID, f.ErrCode)
	case *http2.GoAwayFrame:
		text = fmt.Sprintf("GOAWAY %d %v", int32(f.LastStreamID), f.ErrCode)
	case *http2.PingFrame:
		text = "PING"
		if f.IsAck() {
			text += " ack"
		} else {
			e.framer.WritePing(true, f.Data)
		}
	case *http2.WindowUpdateFrame:
		e.room[h.StreamID] += int(f.Increment)
		return
	default:
		text = h.String()
	}
	e.frames = append(e.frames, text)
}

// flush0 sends what the framer was told to write.
func (e *h2end) flush0() {
	if e.out.Len() > 0 {
		e.conn.Write(e.out.Bytes())
		e.out.Reset()
	}
}

// flush is flush0, and lets things take their course.
func (e *h2end) flush() {
	e.flush0()
	e.stall.loop.Run()
}

// request sends a request head; what has ":" at its start replaces a pseudo header field.
func (e *h2end) request(id uint32, end bool, fields ...string) {
	pseudo := [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/a"}}
	var rest [][2]string
	for _, f := range fields {
		i := strings.Index(f[1:], ":") + 1
		name, value := f[:i], strings.TrimSpace(f[i+1:])
		at := slices.IndexFunc(pseudo, func(p [2]string) bool { return p[0] == name })
		switch {
		case at >= 0:
			pseudo[at][1] = value
		case strings.HasPrefix(name, ":"):
			pseudo = append(pseudo, [2]string{name, value})
		default:
			rest = append(rest, [2]string{name, value})
		}
	}
	e.head(id, end, append(pseudo, rest...))
}

func (e *h2end) head(id uint32, end bool, fields [][2]string) {
	e.writeHead(id, end, fields)
	e.flush()
}

// writeHead is head without the flush.
func (e *h2end) writeHead(id uint32, end bool, fields [][2]string) {
	e.block.Reset()
	for _, f := range fields {
		e.hpack.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	e.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: e.block.Bytes(), EndStream: end, EndHeaders: true})
}

func (e *h2end) content(id uint32, end bool, text string) {
	e.room[0] -= len(text)
	e.framer.WriteData(id, end, []byte(text))
	e.flush()
}

// gets checks that the frames that came since the last time are these, DATA that follows DATA being taken for one. A
// want that ends in "…" is the beginning of one.
func (e *h2end) gets(want ...string) {
	e.stall.t.Helper()
	e.stall.loop.Run()
	ok := len(want) == len(e.frames)
	for i := 0; ok && i < len(want); i++ {
		start, cut := strings.CutSuffix(want[i], "…")
		ok = e.frames[i] == want[i] || cut && strings.HasPrefix(e.frames[i], start)
	}
	if !ok {
		e.stall.t.Fatalf("got\n%s\nwant\n%s", strings.Join(e.frames, "\n"), strings.Join(want, "\n"))
	}
	e.frames = nil
}

// ends checks how the connection ended, "" when it is open.
func (e *h2end) ends(fate string) {
	e.stall.t.Helper()
	e.stall.loop.Run()
	if e.fate != fate {
		e.stall.t.Fatalf("the connection's end is %q, want %q; frames\n%s", e.fate, fate, strings.Join(e.frames, "\n"))
	}
}
