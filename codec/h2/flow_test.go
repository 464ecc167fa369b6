package h2

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"traffic_management/codec"
)

// opened is a bed with a stream 1 whose request is not whole, and its receiver.
func opened(t *testing.T, c Config) (*bed, *heard) {
	b := newBed(t, server, c)
	b.get(1, false)
	b.did()
	return b, b.events.streams[1]
}

// TestWindowsOfThePeer: content waits for windows, also for those that a change of settings made negative.
func TestWindowsOfThePeer(t *testing.T) {
	b, r := opened(t, testConfig)
	r.stream.Head(response(200, -1), false)
	r.stream.Data(make([]byte, 70000), true)
	want := "1 HEADERS [:status: 200]; 1 DATA 16384; 1 DATA 16384; 1 DATA 16384; 1 DATA 16383"
	if got := b.sent(); got != want || r.stream.Queued() != 4465 {
		t.Fatalf("sent %s, %d queued", got, r.stream.Queued())
	}
	steps := []struct {
		do   func()
		want string
	}{
		{func() { b.must(b.framer.WriteWindowUpdate(1, 1000)) }, ""},
		{func() { b.must(b.framer.WriteWindowUpdate(0, 400)) }, " > 1 DATA 400"},
		{func() { b.must(b.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 64000})) },
			" > SETTINGS ack true"}, // 600 - 1535 are left
		{func() { b.must(b.framer.WriteWindowUpdate(0, 60000)) }, ""},
		{func() { b.must(b.framer.WriteWindowUpdate(1, 1000)) }, ` > 1 DATA "` + strings.Repeat(`\x00`, 65) + `"`},
		{func() {
			b.must(b.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1}))
		},
			" > SETTINGS ack true; 1 DATA 4000 end"},
		{func() { b.must(b.framer.WriteWindowUpdate(1, 1<<31-1)) },
			"1 failed client syntax never > 1 RST FLOW_CONTROL_ERROR"},
	}
	for i, s := range steps {
		s.do()
		if got := b.did(); got != s.want {
			t.Fatalf("step %d: got %s, want %s", i, got, s.want)
		}
	}
}

// TestSettingsOverflow: a setting that makes a window larger than there can be ends the connection.
func TestSettingsOverflow(t *testing.T) {
	b, _ := opened(t, testConfig)
	b.must(b.framer.WriteWindowUpdate(1, 1<<31-1-65535))
	b.must(b.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 65536}))
	if got := b.did(); !strings.HasSuffix(got, "! FLOW_CONTROL_ERROR: window") {
		t.Error(got)
	}
}

// TestHold: held content is kept and its windows are not given back until it is taken.
func TestHold(t *testing.T) {
	c := testConfig
	c.ConnWindow = 100000
	b, r := opened(t, c)
	r.stream.Hold(true)
	r.stream.Hold(true)
	b.must(b.framer.WriteData(1, false, make([]byte, 16384)))
	b.must(b.framer.WriteData(1, false, make([]byte, 16384)))
	b.headers(1, true, "a", "b")
	if got := b.did(); got != "" {
		t.Fatal(got)
	}
	r.stream.Hold(false)
	if b.pass(); b.events.told() != "" {
		t.Error("one hold of two was let go of")
	}
	taken := 0
	r.onData = func(p []byte, end bool) {
		if taken += len(p); taken < 20000 && taken+len(p) >= 20000 {
			r.stream.Hold(true)
		}
	}
	r.stream.Hold(false)
	b.pass()
	if strings.Contains(b.events.told(), "trailers") || r.body.Len() >= 32768 || r.body.Len() < 10000 {
		t.Errorf("%d bytes came", r.body.Len())
	}
	r.stream.Hold(false)
	b.pass()
	if got := b.events.told(); !strings.HasSuffix(got, "1 trailers [a: b]") || r.body.Len() != 32768 {
		t.Errorf("%d bytes came: %s", r.body.Len(), got)
	}
	if got := b.sent(); got != "" {
		t.Error("sent", got) // less than half of the connection's window, and the stream needs none
	}
	b.get(3, false)
	b.must(b.framer.WriteData(3, false, make([]byte, 16384)))
	b.must(b.framer.WriteData(3, false, make([]byte, 16384)))
	if got, want := b.did(), "3 request GET https a.example /x?y end of stream; 3 data 16384; 3 data 16384 > 0 WINDOW 65536; 3 WINDOW 32768"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestDiscardedContentIsGivenBack: content that nobody takes does not close the connection's window.
func TestDiscardedContentIsGivenBack(t *testing.T) {
	b := newBed(t, server, testConfig)
	given := 0
	for id := uint32(1); id < 41; id += 2 {
		b.get(id, false)
		b.did()
		r := b.events.streams[id]
		switch id % 8 {
		case 1: // held when it is reset
			r.stream.Hold(true)
			b.must(b.framer.WriteDataPadded(id, false, make([]byte, 10000), make([]byte, 100)))
			b.did()
			r.stream.Reset(nil)
		case 3: // comes after our reset
			r.stream.Reset(nil)
			b.must(b.framer.WriteData(id, false, make([]byte, 10000)))
		case 5: // after the response was whole
			r.stream.Head(response(200, 0), true)
			r.stream.Release()
			b.must(b.framer.WriteData(id, true, make([]byte, 10000)))
		case 7: // malformed
			b.must(b.framer.WriteData(id, false, make([]byte, 10000)))
			b.headers(id, true, ":path", "/")
		}
		b.pass()
		given += strings.Count(b.sent(), "0 WINDOW")
		if in := b.session.in; in.left+in.taken != 65535 {
			t.Fatalf("stream %d: %d of the window are left and %d taken", id, in.left, in.taken)
		}
	}
	if given == 0 {
		t.Error("no window was given back")
	}
}

// TestWireFull: what the wire does not take waits in streams, and goes when it has room.
func TestWireFull(t *testing.T) {
	b, r := opened(t, testConfig)
	b.wire.queued = codec.HighMark + 1
	r.stream.Head(response(200, -1), false)
	r.stream.Data(make([]byte, 30000), false)
	if got := b.sent(); got != "1 HEADERS [:status: 200]" || r.stream.Queued() != 30000 {
		t.Errorf("sent %s, %d queued", got, r.stream.Queued())
	}
	b.wire.queued = 0
	r.stream.Data([]byte("x"), true) // it may not overtake
	if got := b.sent(); got != "" {
		t.Error("sent", got)
	}
	b.session.Flush()
	if got, want := b.sent(), "1 DATA 16384; 1 DATA 13617 end"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestStarved: a stream that waits because the connection's window goes to a more urgent one is not stalled.
func TestStarved(t *testing.T) {
	b := newBed(t, server, testConfig)
	b.get(1, true, "priority", "u=1")
	b.get(3, true, "priority", "u=2")
	b.did()
	urgent, other := b.events.streams[1].stream, b.events.streams[3].stream
	urgent.Head(response(200, -1), false)
	other.Head(response(200, -1), false)
	urgent.Data(make([]byte, 70000), false)
	other.Data(make([]byte, 1000), true)
	for range 30 {
		b.must(b.framer.WriteWindowUpdate(0, 2000))
		b.must(b.framer.WriteWindowUpdate(1, 2000))
		urgent.Data(make([]byte, 2000), false)
		b.pass()
		b.now += time.Second
		b.session.Tick(b.now)
	}
	if got := b.events.told(); got != "" {
		t.Fatal(got)
	}
	for range 10 { // now nothing moves
		b.now += time.Second
		b.session.Tick(b.now)
	}
	if got := b.events.told(); got != "1 failed client timeout never; 3 failed client timeout never" {
		t.Error(got)
	}
}

// TestMarks: who was told of too much hears when it is little again, of the stream or of the connection.
func TestMarks(t *testing.T) {
	c := testConfig
	c.MaxQueued = 100000
	b := newBed(t, server, c)
	for id := uint32(1); id < 7; id += 2 {
		b.get(id, false)
	}
	b.did()
	one, two, three := b.events.streams[1].stream, b.events.streams[3].stream, b.events.streams[5].stream
	b.wire.queued = codec.HighMark + 1
	for _, s := range []*Stream{one, two, three} {
		s.Head(response(200, -1), false)
	}
	one.Data(make([]byte, 50000), false)
	if n := one.Queued(); n != 50000 {
		t.Errorf("%d queued", n)
	}
	two.Data(make([]byte, 70000), false)
	three.Data(make([]byte, 20000), false)
	if one.Queued() <= codec.HighMark || two.Queued() <= codec.HighMark || three.Queued() <= codec.HighMark {
		t.Error("the connection has too much queued, and its streams do not tell")
	}
	b.wire.queued = 0
	b.session.Flush()
	if got := b.events.told(); got != "" { // 65535 went
		t.Error(got)
	}
	two.Reset(nil)
	if b.events.later == 0 {
		t.Fatal("nobody asked for Deliver")
	}
	b.pass()
	if got := b.events.told(); got != "5 drained" && got != "1 drained; 5 drained" {
		t.Error(got)
	}
	b.must(b.framer.WriteWindowUpdate(0, 100000))
	b.must(b.framer.WriteWindowUpdate(1, 100000))
	b.pass()
	if b.session.queued != 0 || one.Queued() != 0 {
		t.Errorf("%d queued", b.session.queued)
	}
}

// TestStalledStreamsAndOthers: what waits on streams whose windows are closed, however much, does not hold up one whose
// window is open.
func TestStalledStreamsAndOthers(t *testing.T) {
	b := newBed(t, server, testConfig)
	b.must(b.framer.WriteWindowUpdate(0, 1<<30))
	for id := uint32(1); id <= 11; id += 2 {
		b.get(id, true)
	}
	b.must(b.framer.WriteWindowUpdate(11, 1<<30))
	b.did()
	for id := uint32(1); id <= 9; id += 2 {
		s := b.events.streams[id].stream
		s.Head(response(200, -1), false)
		for s.Queued() <= codec.HighMark {
			s.Data(make([]byte, codec.HighMark), false)
		}
	}
	if b.session.queued <= b.session.maxQueued {
		t.Fatal("the others have too little queued")
	}
	s := b.events.streams[11].stream
	s.Head(response(200, -1), false)
	for round := range 10 {
		b.wire.queued = codec.HighMark + 1
		if s.Data(make([]byte, codec.HighMark), false); s.Queued() <= codec.HighMark {
			t.Errorf("round %d: with the wire full it is %d", round, s.Queued())
		}
		b.wire.queued = 0
		b.session.Flush()
		if got := b.events.told(); round > 0 && got != "11 drained" || s.Queued() != 0 {
			t.Fatalf("round %d: heard %q, %d queued", round, got, s.Queued())
		}
	}
}

// TestPriorities: the order in which streams of several priorities send what is queued (RFC 9218 section 10).
func TestPriorities(t *testing.T) {
	b := newBed(t, server, testConfig)
	b.must(b.framer.WriteWindowUpdate(0, 1<<20))
	for i, p := range []string{"", "", "u=5", "u=1", "u=1", "u=1, i", "u=1,i=?1;x", "u=9, x", "u=2"} {
		if p == "" {
			b.get(uint32(2*i+1), true)
		} else {
			b.get(uint32(2*i+1), true, "priority", p)
		}
	}
	b.did()
	b.wire.queued = codec.HighMark + 1
	for id := uint32(17); id < 100; id -= 2 {
		r := b.events.streams[id]
		r.stream.Head(response(200, -1), false)
		r.stream.Data(make([]byte, 20000), true)
	}
	b.must(b.framer.WriteRawFrame(http2.FrameType(framePriorityUpdate), 0, 0, []byte("\x00\x00\x00\x11u=0")))
	b.must(b.framer.WriteRawFrame(http2.FrameType(framePriorityUpdate), 0, 0, []byte("\x00\x00\x00\x63u=0")))
	b.pass()
	b.sent()
	b.wire.queued = 0
	b.session.Flush()
	want := "17 DATA 16384; 17 DATA 3616 end; 7 DATA 16384; 7 DATA 3616 end; 9 DATA 16384; 9 DATA 3616 end; " +
		"13 DATA 16384; 11 DATA 16384; 13 DATA 3616 end; 11 DATA 3616 end; 15 DATA 16384; 15 DATA 3616 end; " +
		"3 DATA 16384; 1 DATA 16384; 3 DATA 3616 end; 1 DATA 3616 end; 5 DATA 16384; 5 DATA 3616 end"
	if got := b.sent(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestStall: a peer that opens no window, or by the byte, loses the stream and not the connection.
func TestStall(t *testing.T) {
	b, r := opened(t, testConfig)
	r.stream.Head(response(200, -1), false)
	r.stream.Data(make([]byte, 70000), false)
	b.sent()
	for range 9 {
		b.now += time.Second
		b.must(b.framer.WriteWindowUpdate(0, 1))
		b.must(b.framer.WriteWindowUpdate(1, 1))
		b.pass()
		b.session.Tick(b.now)
	}
	if got := b.sent(); strings.Contains(got, "RST") {
		t.Error(got)
	}
	b.now += time.Second
	b.session.Tick(b.now)
	if got := b.events.told() + b.sent(); got != "1 failed client timeout never1 RST CANCEL" {
		t.Error(got)
	}
	if r.stream.Release(); b.session.Streams() != 0 || b.session.queued != 0 {
		t.Errorf("%d streams, %d queued", b.session.Streams(), b.session.queued)
	}
}

// TestFits: whoever gets no more than fits, but for a sip, fills no more than the connection may have queued and a sip for
// each stream, whichever window is closed and however nearly.
func TestFits(t *testing.T) {
	const sip, read, streams = 4 << 10, 64 << 10, 50
	for _, c := range []struct {
		name               string
		stream, connection uint32 // windows, to begin with and beyond 65535
		full               bool   // the wire
	}{
		{"the streams' windows are closed", 0, 1 << 30, false},
		{"all but closed", 1, 1 << 30, false},
		{"the connection's is closed", 1 << 30, 0, false},
		{"all are", 0, 0, false},
		{"the client does not read", 1 << 30, 1 << 30, true},
	} {
		b := newBed(t, server, testConfig)
		b.must(b.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: c.stream}))
		if c.connection > 0 {
			b.must(b.framer.WriteWindowUpdate(0, c.connection))
		}
		for i := range uint32(streams) {
			b.get(2*i+1, true)
		}
		b.did()
		if c.full {
			b.wire.queued = codec.HighMark + 1
		}
		held := 0
		for i := range uint32(streams) {
			s := b.events.streams[2*i+1].stream
			s.Head(response(200, -1), false)
			for s.Queued() <= codec.HighMark {
				s.Data(make([]byte, min(max(s.Fits(), sip), read)), false)
			}
			held++
		}
		if most := b.session.maxQueued + streams*(sip+1); b.session.queued > most || held != streams {
			t.Errorf("%s: %d bytes are queued on %d streams, more than %d", c.name, b.session.queued, held, most)
		}
	}
	b, r := opened(t, testConfig)
	r.stream.Head(response(200, -1), false)
	b.session.queued = b.session.maxQueued - 100
	if got := r.stream.Fits(); got != 65535 {
		t.Errorf("%d fit through the windows", got)
	}
	b.session.window = 10
	if got := r.stream.Fits(); got != 100 {
		t.Errorf("%d fit where 100 may wait", got)
	}
	b.session.queued = 0
	if got := r.stream.Fits(); got != int(b.session.maxQueued) {
		t.Errorf("%d fit where nothing waits", got)
	}
}
