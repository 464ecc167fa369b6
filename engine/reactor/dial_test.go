package reactor

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
)

// loopbackOf is where to reach a listener on this machine.
func loopbackOf(l *Listener) netip.AddrPort {
	at := l.Addr().TCP
	if at.Addr().IsUnspecified() {
		at = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), at.Port())
	}
	return at
}

func TestDial(t *testing.T) {
	l := startLoop(t, Config{})
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", "unix:" + socketPath(t)} {
		listener, _ := serve(t, addr, acceptEcho, l)
		opened, answer := make(chan struct{}, 2), make(chan string, 1)
		s := new(sink)
		var got []byte
		s.drained = func() { opened <- struct{}{} }
		s.closed = func(err error) { t.Errorf("%s: %v", addr, err) }
		s.data = func() {
			if s.take(&got); s.conn.EOF() {
				answer <- string(got)
				s.conn.Close(false)
			}
		}
		on(t, l, func() {
			s.conn = l.Dial(listener.Addr(), s)
			s.conn.Write([]byte("written before it is open"))
			s.conn.CloseWrite()
			if len(opened) > 0 {
				t.Errorf("%s: the sink was called inside Dial", addr)
			}
		})
		await(t, opened)
		if got := await(t, answer); got != "written before it is open" {
			t.Errorf("%s: answer %q", addr, got)
		}
		if len(opened) > 0 {
			t.Errorf("%s: opened twice", addr)
		}
	}
}

func TestDialFails(t *testing.T) {
	l := startLoop(t, Config{})
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().(*net.TCPAddr).AddrPort()
	free.Close()
	for _, test := range []struct {
		addr Addr
		want syscall.Errno
	}{
		{Addr{TCP: nobody}, syscall.ECONNREFUSED},
		{Addr{Path: socketPath(t)}, syscall.ENOENT},
		{Addr{}, syscall.EINVAL},
		{Addr{Path: string(make([]byte, 300))}, syscall.EINVAL},
	} {
		closed := make(chan error, 1)
		s := &sink{closed: func(err error) { closed <- err }}
		s.drained = func() { t.Errorf("%v: open", test.addr) }
		on(t, l, func() {
			s.conn = l.Dial(test.addr, s)
			s.conn.Write([]byte("x"))
			if len(closed) > 0 {
				t.Errorf("%v: the sink was called inside Dial", test.addr)
			}
		})
		if err := await(t, closed); !errors.Is(err, test.want) {
			t.Errorf("%v: %v, want %v", test.addr, err, test.want)
		}
	}
	waitOpen(t, l, 0)
}

func TestDialGivenUp(t *testing.T) {
	l := startLoop(t, Config{})
	listener, _ := serve(t, "127.0.0.1:0", acceptEcho, l)
	on(t, l, func() {
		s := &sink{closed: func(err error) { t.Error("OnClosed after Abort") }, drained: func() { t.Error("open") }}
		l.Dial(listener.Addr(), s).Abort()
		l.Dial(listener.Addr(), s).Close(true)
	})
	waitOpen(t, l, 0)
}
