package h2

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TestFloods: a client that does one thing over and over loses its connection after some hundreds, not before a few
// dozens, for the reason that is expected.
func TestFloods(t *testing.T) {
	var id uint32 = 1
	next := func() uint32 { id += 2; return id }
	for _, c := range []struct {
		reason string
		do     func(b *bed, i int)
	}{
		{"reset_flood", func(b *bed, i int) { // CVE-2023-44487
			b.get(next(), false)
			b.must(b.framer.WriteRSTStream(id, http2.ErrCodeCancel))
		}},
		{"reset_flood", func(b *bed, i int) { // CVE-2025-8671, in each of its ways
			b.get(next(), i%4 == 1)
			switch i % 4 {
			case 0:
				b.must(b.framer.WriteRawFrame(http2.FrameWindowUpdate, 0, id, make([]byte, 4)))
			case 1:
				b.must(b.framer.WriteData(id, true, []byte("x")))
			case 2:
				b.must(b.framer.WriteWindowUpdate(id, 1<<31-1))
			case 3:
				b.must(b.framer.WriteRawFrame(http2.FramePriority, 0, id, make([]byte, 4)))
			}
		}},
		{"reset_flood", func(b *bed, i int) { b.headers(next(), true, ":method", "GET") }},
		{"reset_flood", func(b *bed, i int) { b.must(b.framer.WriteRSTStream(1, http2.ErrCodeCancel)) }},
		{"reset_flood", func(b *bed, i int) { b.get(next(), true); b.session.config.MaxStreams = 0 }},
		{"settings_flood", func(b *bed, i int) { b.must(b.framer.WriteSettings()) }},
		{"ping_flood", func(b *bed, i int) { b.must(b.framer.WritePing(false, [8]byte{})) }},
		{"empty_data_flood", func(b *bed, i int) { b.must(b.framer.WriteData(1, false, nil)) }},
		{"empty_data_flood", func(b *bed, i int) { b.must(b.framer.WriteDataPadded(1, false, nil, make([]byte, 255))) }},
		{"priority_flood", func(b *bed, i int) { b.must(b.framer.WritePriority(uint32(2*i+3), http2.PriorityParam{StreamDep: 1})) }},
		{"priority_flood", func(b *bed, i int) {
			b.must(b.framer.WriteRawFrame(http2.FrameType(framePriorityUpdate), 0, 0, []byte("\x00\x00\x00\x01u=1")))
		}},
		{"window_update_flood", func(b *bed, i int) { b.must(b.framer.WriteWindowUpdate(0, 1)) }},
		{"window_update_flood", func(b *bed, i int) { b.must(b.framer.WriteWindowUpdate(1, 1)) }},
		{"unknown_frame_flood", func(b *bed, i int) { b.must(b.framer.WriteRawFrame(0xee, 0, 0, nil)) }},
		{"unknown_frame_flood", func(b *bed, i int) { b.must(b.framer.WriteGoAway(0, 0, nil)) }},
	} {
		b, _ := opened(t, testConfig)
		id = 1
		done := 0
		var err error
		for ; err == nil && done < 2000; done++ {
			c.do(b, done)
			err = b.pass()
			for _, r := range b.events.streams {
				if r.failed != nil && r.stream != nil {
					r.stream.Release()
					r.stream = nil
				}
			}
		}
		if e, _ := err.(*Error); e == nil || e.Code != EnhanceYourCalm || e.Reason != c.reason || done < 40 || done > 600 {
			t.Errorf("%s: ended after %d with %v", c.reason, done, err)
		}
	}
}

// TestHonest: what well-behaved clients do goes on for as long as they like.
func TestHonest(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(b *bed, i int)
	}{
		{"every second request is cancelled", func(b *bed, i int) {
			id := uint32(2*i + 3)
			b.get(id, true)
			b.pass()
			s := b.events.streams[id].stream
			if i%2 == 0 {
				s.Head(response(200, 0), true)
			} else {
				b.must(b.framer.WriteRSTStream(id, http2.ErrCodeCancel))
				b.pass()
			}
			s.Release()
		}},
		{"a ping in 100 ms", func(b *bed, i int) {
			b.now += 100 * time.Millisecond
			b.must(b.framer.WritePing(false, [8]byte{}))
		}},
		{"a ping, and two window updates, for each DATA", func(b *bed, i int) {
			s := b.events.streams[1].stream
			if i == 0 {
				s.Head(response(200, -1), false)
			}
			s.Data([]byte("x"), false)
			b.must(b.framer.WritePing(false, [8]byte{}))
			b.must(b.framer.WriteWindowUpdate(0, 1))
			b.must(b.framer.WriteWindowUpdate(1, 1))
		}},
		{"unknown frames and priorities with requests", func(b *bed, i int) {
			id := uint32(2*i + 3)
			b.must(b.framer.WritePriority(id, http2.PriorityParam{StreamDep: 1}))
			b.get(id, true)
			b.must(b.framer.WriteRawFrame(0xee, 0, id, nil))
			b.pass()
			s := b.events.streams[id].stream
			s.Head(response(200, 0), true)
			s.Release()
		}},
	} {
		b, _ := opened(t, testConfig)
		for i := range 3000 {
			c.do(b, i)
			if err := b.pass(); err != nil {
				t.Fatalf("%s: %v after %d", c.name, err, i)
			}
			b.wire.Reset()
			b.events.told()
		}
	}
}

// TestContinuationFlood: a field block is bounded before it is decoded.
func TestContinuationFlood(t *testing.T) {
	for _, size := range []int{0, 16384} {
		b := newBed(t, server, testConfig)
		b.must(b.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b.fields(get...)}))
		var err error
		for i := 0; err == nil && i < 9; i++ {
			b.must(b.framer.WriteContinuation(1, false, make([]byte, size)))
			err = b.pass()
		}
		if e, _ := err.(*Error); e == nil || e.Code != EnhanceYourCalm || len(b.session.block.bytes) > 70<<10 {
			t.Errorf("%d: %v", size, err)
		}
	}
}

// TestHeaderBomb: few bytes that stand for many are charged as many, of one request and over all of a connection.
func TestHeaderBomb(t *testing.T) {
	b := newBed(t, server, testConfig)
	long := strings.Repeat("x", 3900)
	b.get(1, true, "cookie", long)
	if got := b.did(); !strings.HasPrefix(got, "1 request") {
		t.Fatal(got)
	}
	bomb := func(id uint32, times int) {
		p := b.fields(get...)
		for range times {
			p = append(p, 0x80|62) // the cookie, the newest entry
		}
		b.must(b.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p, EndStream: true, EndHeaders: true}))
	}
	bomb(3, 16)
	if got := b.did(); got != "3 refused 431" {
		t.Error(got)
	}
	refused := 0
	for id := uint32(5); id < 190; id += 2 {
		bomb(id, 4)
		if got := b.did(); strings.HasSuffix(got, "RST REFUSED_STREAM") {
			refused++
		}
	}
	if limit := testConfig.MaxHeadBytes * (testConfig.MaxStreams/streamsPerHead + 1); b.session.heads > limit || refused < 30 {
		t.Errorf("%d bytes of heads are held, %d requests were refused", b.session.heads, refused)
	}
	for _, r := range b.events.streams {
		r.stream.Release()
	}
	if b.session.heads != 0 || b.session.Streams() != 0 {
		t.Errorf("%d bytes of heads, %d streams", b.session.heads, b.session.Streams())
	}
	bomb(191, 10000)
	if err := b.pass(); err != errHeadLong {
		t.Errorf("a block of 10 kB that is decoded to 40 MB: %v", err)
	}
}

// TestUnread: a peer that makes us answer and does not read is bounded.
func TestUnread(t *testing.T) {
	b, _ := opened(t, testConfig)
	b.wire.queued = unreadMark + 1
	var err error
	i := 0
	for ; err == nil && i < 3000; i++ {
		b.now += time.Second
		b.must(b.framer.WritePing(false, [8]byte{}))
		err = b.pass()
	}
	if err != errUnread || i < 1000 || i > 1010 {
		t.Errorf("%v after %d", err, i)
	}
}

// TestStreamsCountUntilReleased: a stream that the client has reset counts until its owner has stopped working for it.
func TestStreamsCountUntilReleased(t *testing.T) {
	c := testConfig
	c.MaxStreams = 2
	b := newBed(t, server, c)
	for id := uint32(1); id < 5; id += 2 {
		b.get(id, true)
		b.must(b.framer.WriteRSTStream(id, http2.ErrCodeCancel))
	}
	b.did()
	b.get(5, true)
	if got := b.did(); got != " > 5 RST REFUSED_STREAM" {
		t.Error(got)
	}
	b.events.streams[1].stream.Release()
	b.get(7, true)
	if got := b.did(); !strings.HasPrefix(got, "7 request") {
		t.Error(got)
	}
}

// TestHeldTrailersAreCharged: trailer sections that nobody takes yet count like heads.
func TestHeldTrailersAreCharged(t *testing.T) {
	b := newBed(t, server, testConfig)
	b.get(1, true, "x", strings.Repeat("x", 3900))
	b.did()
	reset, held := 0, 0
	for id := uint32(3); id < 200; id += 2 {
		b.get(id, false)
		b.did()
		b.events.streams[id].stream.Hold(true)
		b.must(b.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte{0xbe, 0xbe, 0xbe, 0xbe},
			EndStream: true, EndHeaders: true}))
		if strings.Contains(b.did(), "RST ENHANCE_YOUR_CALM") {
			reset++
		} else {
			held++
		}
	}
	if limit := testConfig.MaxHeadBytes * (testConfig.MaxStreams/streamsPerHead + 1); b.session.heads > limit || reset < 30 || held < 30 {
		t.Errorf("%d bytes are held of %d trailer sections, %d streams were reset", b.session.heads, held, reset)
	}
	for _, r := range b.events.streams {
		r.stream.Release()
	}
	if b.session.heads != 0 || b.session.Streams() != 0 {
		t.Errorf("%d bytes of heads, %d streams", b.session.heads, b.session.Streams())
	}
}

// TestBurst: a call of Receive begins as many requests as it may, and the next one goes on.
func TestBurst(t *testing.T) {
	c := testConfig
	c.MaxBurst = 16
	b := newBed(t, server, c)
	for i := range 40 {
		b.get(uint32(2*i+1), true)
	}
	for _, want := range []int{16, 32, 40} {
		b.did()
		if got := b.session.Requests(); got != want || b.session.More() != (want < 40) || b.session.Expecting() {
			t.Errorf("%d requests have begun, want %d; more: %v, expecting: %v", got, want, b.session.More(), b.session.Expecting())
		}
	}
}
