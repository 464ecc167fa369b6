package h2

import (
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"traffic_management/codec"
)

// TestRelease: what giving a server's stream back sends, by how far both messages have come.
func TestRelease(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(b *bed, s *Stream)
		want string
	}{
		{"nothing was sent", func(*bed, *Stream) {}, "1 RST CANCEL"},
		{"a part was sent", func(_ *bed, s *Stream) { s.Head(response(200, -1), false) }, "1 HEADERS [:status: 200]; 1 RST CANCEL"},
		{"the response is whole, the request is not", func(_ *bed, s *Stream) { s.Head(response(200, -1), true) },
			"1 HEADERS [:status: 200] end; 1 RST NO_ERROR"},
		{"both are whole", func(b *bed, s *Stream) {
			b.must(b.framer.WriteData(1, true, nil))
			b.pass()
			s.Head(response(200, -1), true)
		}, "1 HEADERS [:status: 200] end"},
		{"the peer has reset it", func(b *bed, s *Stream) {
			b.must(b.framer.WriteRSTStream(1, 0))
			b.pass()
		}, ""},
		{"it was reset by us", func(b *bed, s *Stream) { s.Reset(&codec.Error{Side: codec.Upstream}) }, "1 RST INTERNAL_ERROR"},
	} {
		b, r := opened(t, testConfig)
		c.do(b, r.stream)
		r.stream.Release()
		if got := b.sent(); got != c.want || b.session.Streams() != 0 {
			t.Errorf("%s: sent %s, want %s; %d streams", c.name, got, c.want, b.session.Streams())
		}
		b.get(3, true)
		b.did()
		if again := b.events.streams[3]; again == nil || again.stream.ID() != 3 {
			t.Errorf("%s: no stream after it", c.name)
		}
	}
}

// TestReleaseQueued: a response that is queued whole still leaves after its owner has gone.
func TestReleaseQueued(t *testing.T) {
	b, r := opened(t, testConfig)
	b.wire.queued = codec.HighMark + 1
	r.stream.Head(response(200, -1), false)
	r.stream.Data([]byte("hello"), false)
	r.stream.Trailers([]codec.Field{{Name: []byte("a"), Value: []byte("b")}})
	r.stream.Release()
	b.must(b.framer.WriteData(1, false, []byte("ignored")))
	if got := b.did(); got != " > 1 HEADERS [:status: 200]" || b.session.Streams() != 1 {
		t.Errorf("%s, %d streams", got, b.session.Streams())
	}
	b.wire.queued = 0
	b.session.Flush()
	if got := b.sent(); got != `1 DATA "hello"; 1 HEADERS [a: b] end; 1 RST NO_ERROR` || b.session.Streams() != 0 {
		t.Errorf("%s, %d streams", got, b.session.Streams())
	}
}

func TestClientRelease(t *testing.T) {
	b := newBed(t, client, testConfig)
	idle, _ := b.ask()
	s, _ := b.ask()
	s.Head(request(codec.MethodGet, "/", -1), true)
	idle.Release()
	s.Release()
	if got := b.sent(); !strings.HasSuffix(got, "; 1 RST CANCEL") || b.session.Streams() != 0 {
		t.Errorf("%s, %d streams", got, b.session.Streams())
	}
	s, r := b.ask()
	s.Head(request(codec.MethodPost, "/", 200000), false)
	r.id = s.ID()
	s.Data(make([]byte, 200000), true)
	b.sent()
	b.headers(3, true, ":status", "200")
	b.must(b.framer.WriteRSTStream(3, http2.ErrCodeNo)) // RFC 9113 section 8.1
	if got := b.did(); got != "3 head 200 no content end" || b.session.queued != 0 {
		t.Errorf("%s, %d queued", got, b.session.queued)
	}
	if s.Release(); b.session.Streams() != 0 {
		t.Errorf("%d streams", b.session.Streams())
	}
}

// TestGoAway: both steps of a server's, and what a client's session makes of one.
func TestGoAway(t *testing.T) {
	b, _ := opened(t, testConfig)
	b.session.Shutdown()
	b.session.Shutdown()
	b.get(3, true)
	if got, want := b.did(), "3 request GET https a.example /x?y no content end > GOAWAY 2147483647 NO_ERROR "; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	b.session.Finish()
	b.session.Finish()
	b.get(5, false)
	b.must(b.framer.WriteData(5, false, []byte("x")))
	b.headers(5, true, "a", "b")
	b.must(b.framer.WriteData(1, true, []byte("x")))
	if got, want := b.did(), `1 data "x" end > GOAWAY 3 NO_ERROR `; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	b = newBed(t, client, testConfig)
	var ids []*heard
	for range 3 {
		s, r := b.ask()
		s.Head(request(codec.MethodGet, "/", -1), true)
		r.id = s.ID()
		ids = append(ids, r)
	}
	reserved, r := b.ask()
	b.sent()
	b.must(b.framer.WriteGoAway(3, http2.ErrCodeNo, nil))
	want := "0 failed upstream refused safe; 5 failed upstream refused safe; goaway 3 NO_ERROR"
	if got := b.did(); got != want || b.session.Room() != 0 || b.session.Open(r) != nil {
		t.Errorf("%s, room for %d", got, b.session.Room())
	}
	reserved.Head(request(codec.MethodGet, "/", -1), true)
	if got := b.sent(); got != "" {
		t.Error("sent", got)
	}
	reserved.Release()
	b.headers(1, true, ":status", "200")
	b.did()
	b.session.Fail(&codec.Error{Side: codec.Upstream, Kind: codec.KindClosed, Status: 502})
	if got := b.events.told(); got != "3 failed upstream closed unanswered" || ids[1].failed.Status != 502 {
		t.Error(got)
	}
	for _, r := range ids {
		r.stream.Release()
	}
	if b.session.Streams() != 0 || b.sent() != "" {
		t.Errorf("%d streams", b.session.Streams())
	}
}

// TestFail: every receiver hears the end of the connection once, with what may follow for its stream.
func TestFail(t *testing.T) {
	b := newBed(t, client, testConfig)
	var all []*Stream
	for i := range 4 {
		s, r := b.ask()
		all = append(all, s)
		if i == 0 {
			continue
		}
		s.Head(request(codec.MethodPost, "/", -1), false)
		r.id = s.ID()
		if i == 3 {
			s.Hold(true)
		}
	}
	b.headers(3, false, ":status", "200")
	b.headers(5, false, ":status", "200")
	b.must(b.framer.WriteData(5, true, []byte("held")))
	s, r := b.ask()
	s.Head(request(codec.MethodPost, "/", -1), false)
	r.id, all = s.ID(), append(all, s)
	b.headers(7, true, ":status", "204") // heard whole: it cannot fail any more
	b.must(b.framer.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1}))
	want := "3 head 200 end of stream; 5 head 200 end of stream; 7 head 204 no content end; 0 failed upstream closed safe; " +
		"1 failed upstream closed unanswered; 3 failed upstream closed never"
	if got, _, _ := strings.Cut(b.did(), " > "); got != want {
		t.Error(got)
	}
	all[3].Hold(false) // it has a whole response to hear
	b.session.Deliver()
	if got := b.events.told(); got != `5 data "held" end` {
		t.Error(got)
	}
	for _, s := range all {
		s.Release()
	}
	if b.session.Fail(nil); b.session.Streams() != 0 {
		t.Errorf("%d streams", b.session.Streams())
	}
}

// TestRoom: how many streams a client's session opens follows the server's settings.
func TestRoom(t *testing.T) {
	c := testConfig
	c.MaxStreams = 50
	b := newBed(t, client, c)
	b.must(b.framer.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 2},
		http2.Setting{ID: http2.SettingID(settingExtendedConnect), Val: 1}))
	if got := b.did(); got != "settings > SETTINGS ack true" || b.session.Room() != 2 || !b.session.ExtendedConnect() {
		t.Errorf("%s, room for %d", got, b.session.Room())
	}
	s, _ := b.ask()
	b.ask()
	if b.session.Room() != 0 || b.session.Open(nil) != nil {
		t.Errorf("room for %d", b.session.Room())
	}
	s.Release()
	if b.session.Room() != 1 {
		t.Errorf("room for %d", b.session.Room())
	}
}

// TestUnsendable: a request that cannot be said in HTTP/2 fails, and nothing of it is sent.
func TestUnsendable(t *testing.T) {
	b := newBed(t, client, testConfig)
	s, _ := b.ask()
	h := request(codec.MethodGet, "/", -1)
	h.Authority = []byte("a b")
	s.Head(h, true)
	b.pass()
	if got := b.events.told() + b.sent(); got != "0 failed internal syntax never" {
		t.Error(got)
	}
	if s.Release(); b.session.Streams() != 0 {
		t.Errorf("%d streams", b.session.Streams())
	}
}

// TestTunnel: an extended CONNECT from end to end, in its neutral form in the middle (RFC 8441).
func TestTunnel(t *testing.T) {
	b := newBed(t, server, testConfig)
	b.headers(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/c", ":authority", "a",
		"sec-websocket-version", "13")
	b.must(b.framer.WriteData(1, false, []byte("early")))
	want := `1 request GET https a /c no content options 4 [sec-websocket-version: 13] [Upgrade: websocket] end; 1 data "early"`
	if got := b.did(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	s := b.events.streams[1].stream
	h := response(101, -1, codec.NewField(codec.FieldUpgrade, []byte("websocket")),
		codec.Field{Name: []byte("Sec-WebSocket-Accept"), Value: []byte("x")},
		codec.Field{Name: []byte("Sec-WebSocket-Protocol"), Value: []byte("chat")})
	s.Head(h, false)
	s.Data([]byte("hello"), false)
	b.must(b.framer.WriteData(1, true, nil))
	if got, want := b.did(), `1 data "" end > 1 HEADERS [:status: 200] [sec-websocket-protocol: chat]; 1 DATA "hello"`; got != want || !s.Tunnel() {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	s.Data(nil, true)
	s.Release()
	if got := b.sent(); got != `1 DATA "" end` || b.session.Streams() != 0 {
		t.Error(got)
	}

	b = newBed(t, client, testConfig)
	s, r := b.ask()
	q := request(codec.MethodGet, "/c", -1, codec.NewField(codec.FieldUpgrade, []byte("websocket")),
		codec.NewField(codec.FieldConnection, []byte("upgrade")),
		codec.Field{Name: []byte("Sec-WebSocket-Key"), Value: []byte("dGhlIHNhbXBsZSBub25jZQ==")})
	q.Options = codec.OptUpgrade
	s.Head(q, true)
	r.id = s.ID()
	s.Data([]byte("hi"), false)
	if got, want := b.sent(), `1 HEADERS [:method: CONNECT] [:scheme: http] [:path: /c] [:authority: a.example] [:protocol: websocket]; 1 DATA "hi"`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	b.headers(1, false, ":status", "200", "sec-websocket-protocol", "chat")
	b.must(b.framer.WriteData(1, true, []byte("ho")))
	want = `1 head 101 no content options 4 [sec-websocket-protocol: chat] [Upgrade: websocket] [Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=]; 1 data "ho" end`
	if got := b.did(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	s.Data(nil, true)
	s.Release()
	if got := b.sent(); got != `1 DATA "" end` || b.session.Streams() != 0 {
		t.Errorf("%s, %d streams", got, b.session.Streams())
	}
}

// TestGoAwayNeverGrows: the last stream that a client is told of is not a later one afterwards, for it may have asked
// elsewhere for what it was told was not taken.
func TestGoAwayNeverGrows(t *testing.T) {
	b, _ := opened(t, testConfig)
	b.session.Finish()
	b.get(3, true)
	b.must(b.framer.WriteData(0, false, nil))
	want := "1 failed client closed never > GOAWAY 1 NO_ERROR ; GOAWAY 1 PROTOCOL_ERROR stream_id ! PROTOCOL_ERROR: stream_id"
	if got := b.did(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestLateTrailers: trailer sections that were under way when many streams were reset, one after the other, are decoded and
// dropped; a stream that was skipped is still an error.
func TestLateTrailers(t *testing.T) {
	b := newBed(t, server, testConfig)
	var reset []uint32
	for id := uint32(3); len(reset) < 180; id += 2 {
		b.get(id, false)
		b.did()
		s := b.events.streams[id].stream
		s.Reset(&codec.Error{Side: codec.Upstream})
		s.Release()
		reset = append(reset, id)
	}
	b.sent()
	for _, id := range reset {
		b.headers(id, true, "a", "b") // in the table from the first on
	}
	b.get(1001, true, "a", "b")
	if got, want := b.did(), "1001 request GET https a.example /x?y no content [a: b] end"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if kept := len(b.session.stopped.ids) + len(b.session.ended.ids); kept > 2*testConfig.MaxStreams+200+endedKept {
		t.Errorf("%d streams are remembered", kept)
	}
	b.headers(1, true, "a", "b")
	if err := b.pass(); err != errStreamID {
		t.Errorf("a stream that was skipped: %v", err)
	}
}
