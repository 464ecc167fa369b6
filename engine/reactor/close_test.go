package reactor

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestHalfCloseBothWays(t *testing.T) {
	l := startLoop(t, Config{})
	ended := make(chan string, 1)
	var got []byte
	out, fd := tcpPair(t)
	s := attach(t, l, fd, func(s *sink) {
		s.data = func() {
			if s.take(&got); s.conn.EOF() {
				ended <- string(got)
			}
		}
	})
	// Ours first: the peer sees our end, and can still send.
	on(t, l, func() {
		s.conn.Write([]byte("bye"))
		s.conn.CloseWrite()
		s.conn.Write([]byte("not sent"))
	})
	if b, err := io.ReadAll(out); err != nil || string(b) != "bye" {
		t.Errorf("peer read %q, %v", b, err)
	}
	out.Write([]byte("still here"))
	out.CloseWrite()
	if got := await(t, ended); got != "still here" {
		t.Errorf("we read %q", got)
	}
	on(t, l, func() { s.conn.Close(true) })
}

func TestCloseSendsWhatIsQueued(t *testing.T) {
	l := startLoop(t, Config{})
	out, fd := tcpPair(t)
	sent := pattern(20 << 20) // more than the kernel takes
	s := attach(t, l, fd, func(*sink) {})
	on(t, l, func() {
		s.conn.Write([]byte("head"))
		s.conn.Write(sent)
		s.conn.Close(false)
		s.conn.Write([]byte("not sent"))
	})
	if got, err := io.ReadAll(out); err != nil || !bytes.Equal(got, append([]byte("head"), sent...)) {
		t.Errorf("%d of %d bytes, %v", len(got), len(sent)+4, err)
	}
}

// TestLingerSparesTheLastBytes: the peer goes on sending, which would turn a plain close into a reset.
func TestLingerSparesTheLastBytes(t *testing.T) {
	l := startLoop(t, Config{})
	out, fd := tcpPair(t)
	s := attach(t, l, fd, func(s *sink) {
		s.data = func() { s.conn.Hold(true) } // what the peer sends is left unread
	})
	upload := make([]byte, 1<<20)
	for range 3 {
		out.Write(upload[:1000])
	}
	on(t, l, func() {
		s.conn.Write([]byte("413"))
		s.conn.Close(true)
	})
	if _, err := out.Write(upload); err != nil {
		t.Errorf("sending to a lingering peer: %v", err)
	}
	if got, err := io.ReadAll(out); err != nil || string(got) != "413" {
		t.Errorf("read %q, %v", got, err)
	}
	if n := l.Stats().Open.Load(); n != 1 {
		t.Errorf("%d open while it lingers", n)
	}
	out.Close()
	waitOpen(t, l, 0)
}

func TestLingerIsBounded(t *testing.T) {
	l := startLoop(t, Config{})
	out, fd := tcpPair(t)
	s := attach(t, l, fd, func(*sink) {})
	var began Instant
	on(t, l, func() {
		began = l.Now()
		s.conn.Close(true)
	})
	if _, err := out.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %v", err)
	}
	waitOpen(t, l, 0) // the peer never closes
	if took := l.Clock().Sub(began); took < LingerTime {
		t.Errorf("lingered for %v only", took)
	}
}

func TestAbortIsAReset(t *testing.T) {
	l := startLoop(t, Config{})
	out, fd := tcpPair(t)
	s := attach(t, l, fd, func(s *sink) {
		s.closed = func(error) { t.Error("OnClosed after Abort") }
	})
	on(t, l, func() {
		s.conn.Write([]byte("lost"))
		s.conn.Abort()
		s.conn.Abort()
		s.conn.Write([]byte("x"))
		s.conn.Consume(0)
		s.conn.Hold(true)
		s.conn.Hold(false)
		s.conn.Wake()
		s.conn.CloseWrite()
		s.conn.Close(true)
	})
	if b, err := io.ReadAll(out); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestResetIsTold(t *testing.T) {
	l := startLoop(t, Config{})
	closed := make(chan error, 1)
	var got []byte
	told := make(chan struct{}, 1)
	out := pair(t, l, func(s *sink) {
		s.data = func() { s.take(&got); told <- struct{}{} }
		s.closed = func(err error) { closed <- err }
	})
	out.Write([]byte("some"))
	await(t, told)
	out.SetLinger(0)
	out.Close()
	if err := await(t, closed); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("closed with %v", err)
	}
}

func TestDetachAndAttachUnderTraffic(t *testing.T) {
	loops := []*EventLoop{startLoop(t, Config{}), startLoop(t, Config{Index: 1})}
	out, fd := tcpPair(t)
	sent := pattern(8 << 20)
	var got []byte
	moves := 0
	done := make(chan struct{})
	var hear func(l *EventLoop, fd int)
	hear = func(l *EventLoop, fd int) {
		s := new(sink)
		s.data = func() {
			if s.take(&got); s.conn.EOF() {
				s.conn.Close(false)
				close(done)
			} else if fd, ok := s.conn.Detach(); ok {
				moves++
				next := loops[1-l.Index()]
				next.Post(func() { hear(next, fd) })
			}
		}
		s.conn = l.Attach(fd, s)
	}
	on(t, loops[0], func() { hear(loops[0], fd) })
	go func() {
		out.Write(sent)
		out.CloseWrite()
	}()
	await(t, done)
	if !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes, or others", len(got), len(sent))
	}
	if moves < 10 {
		t.Errorf("moved only %d times", moves)
	}
}

func TestDetachRefused(t *testing.T) {
	l := startLoop(t, Config{})
	told := make(chan struct{}, 1)
	out, fd := tcpPair(t)
	s := attach(t, l, fd, func(s *sink) { s.data = func() { told <- struct{}{} } })
	out.Write([]byte("x"))
	await(t, told)
	on(t, l, func() {
		if _, ok := s.conn.Detach(); ok {
			t.Error("detached with input")
		}
		s.conn.Consume(1)
		s.conn.Write([]byte("y"))
		if _, ok := s.conn.Detach(); ok {
			t.Error("detached with output")
		}
	})
	on(t, l, func() {
		fd, ok := s.conn.Detach()
		if !ok {
			t.Error("not detached")
		}
		unix.Close(fd)
	})
}

// TestEventOfAClosedConnectionReachesNobody: two connections are ready in one batch, and the first to be told closes
// the other and opens a new one, which gets the same place. The descriptor number is free only behind the batch.
func TestEventOfAClosedConnectionReachesNobody(t *testing.T) {
	l := stepper(t)
	var sinks, peers [2]int
	var conns [2]Conn
	told := 0
	var heir *socket
	for i := range conns {
		sinks[i], peers[i] = unixPair(t)
		s := new(sink)
		s.data = func() {
			told++
			s.conn.Consume(1)
			other := conns[1-i].(*socket)
			fd, place := other.fd, other.place
			other.Abort()
			us, them := unixPair(t)
			t.Cleanup(func() { unix.Close(them) })
			heir = l.Attach(us, &sink{
				data:   func() { t.Error("heard of another's data") },
				closed: func(err error) { t.Errorf("heard of another's end: %v", err) },
			}).(*socket)
			if heir.fd == fd || heir.place != place {
				t.Errorf("descriptor %d, place %d; freed were %d, %d", heir.fd, heir.place, fd, place)
			}
			unix.Close(peers[1-i])
		}
		s.conn = l.Attach(sinks[i], s)
		conns[i] = s.conn
	}
	l.turn() // what Attach itself reports
	unix.Write(peers[0], []byte("x"))
	unix.Write(peers[1], []byte("x"))
	l.turn()
	if told != 1 || l.ready != 2 {
		t.Errorf("%d told of %d events", told, l.ready)
	}
	l.turn()
	heir.Abort()
	unix.Close(peers[0])
}

// TestCloseGivesUpOnAPeerThatReadsNothing moves the wheel's time, not the clock's.
func TestCloseGivesUpOnAPeerThatReadsNothing(t *testing.T) {
	l := stepper(t)
	us, them := unixPair(t)
	defer unix.Close(them)
	s := new(sink)
	s.conn = l.Attach(us, s)
	s.conn.Write(make([]byte, 1<<20))
	if s.conn.Queued() == 0 {
		t.Fatal("the kernel took everything")
	}
	s.conn.Close(true)
	if l.wheel.Expire(l.now.Add(WriteOutTime-1)) != nil {
		t.Fatal("given up early")
	}
	limit := l.wheel.Expire(l.now.Add(WriteOutTime + Tick))
	if limit == nil || l.stats.Open.Load() != 1 {
		t.Fatalf("timer %v, %d open", limit, l.stats.Open.Load())
	}
	s.conn.(*socket).departure.queued++ // as if the peer had taken a byte since
	limit.Fire()
	if l.stats.Open.Load() != 1 || !limit.Armed() {
		t.Fatal("given up on a peer that reads")
	}
	l.Stop(limit)
	limit.Fire()
	if n := l.stats.Open.Load(); n != 0 {
		t.Errorf("%d open after the limit", n)
	}
}
