package reactor

import (
	"crypto/tls"
	"math"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPortion: a read takes no more than its owner has use for, but for a sip.
func TestPortion(t *testing.T) {
	l := stepper(t)
	us, peer := unixPair(t)
	t.Cleanup(func() { unix.Close(peer) })
	portion := 0
	var reads []int
	s := new(sink)
	s.data = func() {
		reads = append(reads, len(s.conn.In()))
		s.conn.Consume(len(s.conn.In()))
		s.conn.Hold(true)
	}
	s.conn = l.Attach(us, s)
	s.conn.Portion(func() int { return portion })
	s.conn.Hold(true)
	if n, err := unix.Write(peer, pattern(100_000)); n != 100_000 {
		t.Fatal(n, err)
	}
	settleTurns(l)
	for _, portion = range []int{0, -1, SipSize + 1, 10_000, math.MaxInt} {
		s.conn.Hold(false)
		settleTurns(l)
	}
	if want := []int{SipSize, SipSize, SipSize + 1, 10_000, ReadSize}; !slices.Equal(reads, want) {
		t.Errorf("read %v, want %v", reads, want)
	}
}

// TestPortionOfRecords: with TLS a record comes whole, however little there is use for.
func TestPortionOfRecords(t *testing.T) {
	eachVersion(t, func(t *testing.T, server, client *tls.Config) {
		l := startLoop(t, Config{})
		sent := pattern(200_000)
		var got []byte
		most := 0
		whole := make(chan struct{})
		c, _ := tlsPair(t, l, server, client, func(s *sink) {
			s.conn.Portion(func() int { return 0 })
			s.data = func() {
				most = max(most, len(s.conn.In()))
				if s.take(&got); len(got) == len(sent) {
					close(whole)
				}
			}
		})
		c.Write(sent)
		await(t, whole)
		on(t, l, func() {
			if !slices.Equal(got, sent) || most > maxPlaintext+SipSize {
				t.Errorf("%d bytes, %d of them at a time", len(got), most)
			}
		})
	})
}
