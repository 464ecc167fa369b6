package h2

import (
	"io"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
)

// clientTunnel opens a tunnel of a client's session.
func clientTunnel(t *testing.T, c Config) (*bed, *Stream) {
	b := newBed(t, client, c)
	s, _ := b.ask()
	h := request(codec.MethodGet, "/c", -1, codec.NewField(codec.FieldUpgrade, []byte("websocket")))
	h.Options = codec.OptUpgrade
	s.Head(h, true)
	b.headers(1, false, ":status", "200")
	b.did()
	return b, s
}

// lapse ticks for a while, and returns what was sent meanwhile.
func (b *bed) lapse(d time.Duration) string {
	for range d / time.Second {
		b.now += time.Second
		b.session.Tick(b.now)
	}
	return b.sent()
}

// TestReleasedTunnel: a tunnel that a client's owner gives back when its own side has ended is not cut off: what is
// queued leaves, and the server may end its side. Both have their time.
func TestReleasedTunnel(t *testing.T) {
	c := testConfig
	c.Linger = 3 * time.Second
	const much = firstWindow + 10000
	for _, x := range []struct {
		name string
		play func(b *bed, s *Stream)
		want string // frames from the release on
	}{
		{"not ended", func(b *bed, s *Stream) { s.Release() }, "1 RST CANCEL"},
		{"the server ends, too", func(b *bed, s *Stream) {
			s.Data([]byte("bye"), true)
			s.Release()
			b.must(b.framer.WriteData(1, false, []byte("late")))
			b.must(b.framer.WriteData(1, true, nil))
			b.pass()
		}, `1 DATA "bye" end`},
		{"the server ended first", func(b *bed, s *Stream) {
			b.must(b.framer.WriteData(1, true, []byte("late")))
			b.pass()
			s.Data(make([]byte, much), true)
			b.sent()
			s.Release()
			b.must(b.framer.WriteWindowUpdate(0, much))
			b.must(b.framer.WriteWindowUpdate(1, much))
			b.pass()
		}, "1 DATA 10000 end"},
		{"the server resets", func(b *bed, s *Stream) {
			s.Data(make([]byte, much), true)
			b.sent()
			s.Release()
			b.must(b.framer.WriteRSTStream(1, 0))
			b.pass()
		}, ""},
		{"the server does not end", func(b *bed, s *Stream) {
			b.now = time.Hour // nothing was heard for so long
			s.Data([]byte("bye"), true)
			s.Release()
			if got := b.lapse(3 * time.Second); strings.Contains(got, "RST") {
				b.t.Error(got)
			}
			b.lapse(time.Second)
		}, ""},
		{"the server opens its window late", func(b *bed, s *Stream) {
			b.now = time.Hour
			s.Data(make([]byte, much), true)
			b.sent()
			s.Release()
			if got := b.lapse(9 * time.Second); got != "" {
				b.t.Error(got)
			}
			b.must(b.framer.WriteWindowUpdate(0, much))
			b.must(b.framer.WriteWindowUpdate(1, much))
			b.pass()
			if got := b.lapse(3 * time.Second); got != "1 DATA 10000 end" {
				b.t.Error(got)
			}
			b.session.Tick(b.now + time.Second)
		}, "1 RST CANCEL"},
		{"the server opens no window", func(b *bed, s *Stream) {
			s.Data(make([]byte, much), true)
			b.sent()
			s.Release()
			if got := b.lapse(10 * time.Second); got != "" {
				b.t.Error(got)
			}
			b.session.Tick(b.now + time.Second)
		}, "1 RST CANCEL"},
	} {
		t.Run(x.name, func(t *testing.T) {
			b, s := clientTunnel(t, c)
			x.play(b, s)
			if got := b.sent(); got != x.want {
				t.Errorf("sent %s, want %s", got, x.want)
			}
			if b.session.Streams() != 0 || b.session.queued != 0 {
				t.Errorf("%d streams, %d queued", b.session.Streams(), b.session.queued)
			}
			if got := b.events.told(); strings.Contains(got, "failed") {
				t.Error(got)
			}
		})
	}
}

// TestReleasedRequest: of a request that was answered early, and that the server does not read, nothing is left after a
// while; a request that somebody waits for is left to whoever does.
func TestReleasedRequest(t *testing.T) {
	b := newBed(t, client, testConfig)
	var all []*Stream
	for range 2 {
		s, _ := b.ask()
		s.Head(request(codec.MethodPost, "/", -1), false)
		s.Data(make([]byte, 2*firstWindow), true)
		all = append(all, s)
	}
	b.headers(1, true, ":status", "204")
	b.did()
	all[0].Release()
	if got := b.lapse(10 * time.Second); got != "" {
		t.Error(got)
	}
	if got := b.lapse(time.Second); got != "1 RST CANCEL" {
		t.Error(got)
	}
	if got := b.lapse(time.Hour) + b.events.told(); got != "" || b.session.Streams() != 1 {
		t.Errorf("%s; %d streams", got, b.session.Streams())
	}
	all[1].Release()
	if b.session.Streams() != 0 || b.session.queued != 0 {
		t.Errorf("%d streams, %d queued", b.session.Streams(), b.session.queued)
	}
}

// TestWholeResponseOutlivesConnection: a response that came whole is delivered to a receiver that took its time, also
// when the connection is lost before the rest of the request was sent.
func TestWholeResponseOutlivesConnection(t *testing.T) {
	for name, lose := range map[string]func(b *bed){
		"lost": func(b *bed) {
			b.session.Fail(&codec.Error{Side: codec.Upstream, Kind: codec.KindClosed, Cause: io.EOF})
		},
		"broken": func(b *bed) {
			b.must(b.framer.WriteWindowUpdate(0, 0))
			if b.pass() == nil {
				b.t.Error("the session goes on")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, client, testConfig)
			s, r := b.ask()
			s.Head(request(codec.MethodPost, "/", -1), false)
			b.headers(1, false, ":status", "200")
			b.did()
			s.Hold(true)
			b.must(b.framer.WriteData(1, true, []byte("whole")))
			b.pass()
			lose(b)
			if b.session.phase != phaseFailed || r.ended != 0 {
				t.Fatalf("the session is %v, %q was heard", b.session.phase, b.events.told())
			}
			s.Hold(false)
			b.session.Deliver()
			if r.body.String() != "whole" || r.ended != 1 || r.failed != nil {
				t.Errorf("heard %q, %d ends, %v", r.body.String(), r.ended, r.failed)
			}
			if s.Release(); b.session.Streams() != 0 {
				t.Errorf("%d streams", b.session.Streams())
			}
		})
	}
}
