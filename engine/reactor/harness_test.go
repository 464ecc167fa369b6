package reactor

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds waiting for what must happen; a test that reaches it fails.
const patience = 20 * time.Second

// plain is whether the loops of the tests make every call by itself; else their sockets share a ring. TestMain runs
// everything once so and once so.
var plain bool

func TestMain(m *testing.M) {
	flag.Parse()
	code := 0
	if r, err := openRing(); err != nil {
		fmt.Println("not tested: the way with a ring;", err)
	} else {
		r.close()
		fmt.Println("with a ring:")
		code = m.Run()
	}
	plain = true
	fmt.Println("every call by itself:")
	os.Exit(max(code, m.Run()))
}

// newLoop makes a loop in the mode that is being tested; it is the caller's to run.
func newLoop(t testing.TB, c Config) *EventLoop {
	t.Helper()
	c.Plain = plain
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if (l.ring == nil) != plain {
		t.Fatalf("ring %v, plain %v", l.ring, plain)
	}
	return l
}

// stepper makes a loop that is not running, to be driven by turns on the test's goroutine.
func stepper(t testing.TB) *EventLoop {
	t.Helper()
	l := newLoop(t, Config{})
	t.Cleanup(l.end)
	return l
}

// startLoop runs a loop until the test ends.
func startLoop(t testing.TB, c Config) *EventLoop {
	t.Helper()
	l := newLoop(t, c)
	runLoop(t, l)
	return l
}

func runLoop(t testing.TB, l *EventLoop) {
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	t.Cleanup(func() {
		l.Shutdown()
		if err := await(t, ended); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// on runs f on the loop and waits for it.
func on(t testing.TB, l *EventLoop, f func()) {
	t.Helper()
	done := make(chan struct{})
	if !l.Post(func() { defer close(done); f() }) {
		t.Fatal("Post on a stopped loop")
	}
	await(t, done)
}

// await receives from c, or fails the test.
func await[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing happened")
		panic("unreachable")
	}
}

// sink is a Sink made of functions; those that are nil do nothing.
type sink struct {
	conn    Conn
	data    func()
	drained func()
	closed  func(error)
}

func (s *sink) OnData() {
	if s.data != nil {
		s.data()
	}
}

func (s *sink) OnDrained() {
	if s.drained != nil {
		s.drained()
	}
}

func (s *sink) OnClosed(err error) {
	if s.closed != nil {
		s.closed(err)
	}
}

// echo makes the sink send back what it receives, and close when the peer does.
func (s *sink) echo() {
	s.data = func() {
		s.conn.Write(s.conn.In())
		s.conn.Consume(len(s.conn.In()))
		if s.conn.EOF() {
			s.conn.Close(false)
		}
	}
}

// take appends everything received to into and consumes it.
func (s *sink) take(into *[]byte) {
	*into = append(*into, s.conn.In()...)
	s.conn.Consume(len(s.conn.In()))
}

// pair is a TCP connection over loopback: ours is on the loop, with the sink made by hear, the other end is returned.
func pair(t testing.TB, l *EventLoop, hear func(*sink)) *net.TCPConn {
	t.Helper()
	outside, fd := tcpPair(t)
	attach(t, l, fd, hear)
	return outside
}

func attach(t testing.TB, l *EventLoop, fd int, hear func(*sink)) *sink {
	s := new(sink)
	on(t, l, func() {
		s.conn = l.Attach(fd, s)
		hear(s)
	})
	return s
}

// tcpPair is a connected pair: the test's end, and a non-blocking descriptor for a loop.
func tcpPair(t testing.TB) (*net.TCPConn, int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	outside, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	inside, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	t.Cleanup(func() { outside.Close() })
	outside.SetDeadline(time.Now().Add(patience))
	return outside.(*net.TCPConn), duplicate(t, inside.(*net.TCPConn))
}

func duplicate(t testing.TB, c *net.TCPConn) (fd int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	raw.Control(func(old uintptr) { fd, failed = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	if failed != nil {
		t.Fatal(failed)
	}
	return fd
}

// unixPair is a connected pair of unix sockets, both non-blocking.
func unixPair(t testing.TB) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fds[0], fds[1]
}

// outsideOf makes a net.Conn of a descriptor.
func outsideOf(t testing.TB, fd int) net.Conn {
	t.Helper()
	f := os.NewFile(uintptr(fd), "test")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// serve listens on addr with these loops and accepts with accept.
func serve(t testing.TB, addr string, accept func(*EventLoop, Conn) Sink, loops ...*EventLoop) (*Listener, []*Acceptor) {
	t.Helper()
	listener, err := Listen(addr, len(loops))
	if err != nil {
		t.Fatal(err)
	}
	var acceptors []*Acceptor
	for i, l := range loops {
		on(t, l, func() {
			a := l.AddListener(listener.Sockets(i)[0], func(c Conn) Sink { return accept(l, c) })
			acceptors = append(acceptors, a)
		})
	}
	t.Cleanup(func() {
		for i, l := range loops {
			done := make(chan struct{})
			if l.Post(func() { defer close(done); acceptors[i].Close() }) {
				await(t, done)
			}
		}
		listener.Close()
	})
	return listener, acceptors
}

// acceptEcho accepts with echoing sinks.
func acceptEcho(_ *EventLoop, c Conn) Sink {
	s := &sink{conn: c}
	s.echo()
	return s
}

// dial connects from outside.
func dial(t testing.TB, a Addr) net.Conn {
	t.Helper()
	network, address := "tcp", a.TCP.String()
	if a.Path != "" {
		network, address = "unix", a.Path
	}
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// socketPath is a path for a unix socket.
func socketPath(t testing.TB) string { return filepath.Join(t.TempDir(), "s") }

// pattern is n bytes, random and repeated at a period that no buffer size divides.
func pattern(n int) []byte {
	period := make([]byte, 65_537)
	rand.NewChaCha8([32]byte{}).Read(period)
	b := make([]byte, n)
	for at := 0; at < n; at += len(period) {
		copy(b[at:], period)
	}
	return b
}

// waitOpen waits until the loop has n sockets open.
func waitOpen(t testing.TB, l *EventLoop, n int64) {
	t.Helper()
	reached := make(chan struct{}, 1)
	on(t, l, func() {
		l.OnTurnEnd(func() {
			if l.Stats().Open.Load() == n && len(reached) == 0 {
				reached <- struct{}{}
			}
		})
	})
	await(t, reached)
}
