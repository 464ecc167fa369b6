package reactor

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestListenSharesOnePort(t *testing.T) {
	loops := []*EventLoop{startLoop(t, Config{}), startLoop(t, Config{Index: 1})}
	accepted := make(chan int, 1000)
	listener, _ := serve(t, ":0", func(l *EventLoop, c Conn) Sink {
		accepted <- l.Index()
		return acceptEcho(l, c)
	}, loops...)
	if listener.Addr().TCP.Port() == 0 {
		t.Fatal("no port")
	}
	perLoop := map[int]int{}
	for range 200 {
		dial(t, Addr{TCP: loopbackOf(listener)}).Close()
		perLoop[await(t, accepted)]++
	}
	if perLoop[0] == 0 || perLoop[1] == 0 {
		t.Errorf("connections per loop: %v", perLoop)
	}
}

func TestUnixListenerIsShared(t *testing.T) {
	loops := []*EventLoop{startLoop(t, Config{}), startLoop(t, Config{Index: 1})}
	listener, _ := serve(t, "unix:"+socketPath(t), acceptEcho, loops...)
	if listener.Sockets(0)[0] != listener.Sockets(1)[0] {
		t.Error("two sockets")
	}
	for range 50 {
		c := dial(t, listener.Addr())
		c.Write([]byte("x"))
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
}

func TestListenErrors(t *testing.T) {
	path := socketPath(t)
	for _, addr := range []string{"", "nonsense", "127.0.0.1:http-no-such", "127.0.0.1:70000", "unix:", "unix:/no/such/dir/s",
		"unix:" + strings.Repeat("x", 200)} {
		if l, err := Listen(addr, 1); err == nil {
			l.Close()
			t.Errorf("%q: no error", addr)
		}
	}
	// A path somebody listens on stays his; one nobody listens on any more is taken over.
	first, err := Listen("unix:"+path, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix:"+path, 1); err == nil {
		t.Error("took over a living socket")
	}
	first.closeSockets() // as a process that was killed: the path stays
	second, err := Listen("unix:"+path, 1)
	if err != nil {
		t.Fatalf("abandoned socket: %v", err)
	}
	second.Close()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("the path is still there after Close")
	}
	// A plain file is nobody's socket.
	os.WriteFile(path, nil, 0o600)
	if _, err := Listen("unix:"+path, 1); err == nil {
		t.Error("replaced a file")
	}
}

func TestAcceptedSocketsSendAtOnce(t *testing.T) {
	l := startLoop(t, Config{})
	delay := make(chan int, 1)
	listener, _ := serve(t, "127.0.0.1:0", func(_ *EventLoop, c Conn) Sink {
		v, err := unix.GetsockoptInt(int(c.(*socket).fd), unix.IPPROTO_TCP, unix.TCP_NODELAY)
		if err != nil {
			t.Error(err)
		}
		delay <- v
		return nil
	}, l)
	go net.Dial("tcp", listener.Addr().String()) // may see the reset already
	if await(t, delay) == 0 {
		t.Error("TCP_NODELAY is not set")
	}
	waitOpen(t, l, 0)
}

// TestAcceptMayAnswerAndClose: accept may use the connection, and close it, before anybody hears it.
func TestAcceptMayAnswerAndClose(t *testing.T) {
	l := startLoop(t, Config{})
	listener, _ := serve(t, "127.0.0.1:0", func(_ *EventLoop, c Conn) Sink {
		c.Write([]byte("busy"))
		c.Close(true)
		return nil
	}, l)
	if got, err := io.ReadAll(dial(t, listener.Addr())); err != nil || string(got) != "busy" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestPauseLeavesConnectionsInTheKernel(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "unix:" + socketPath(t)} {
		l := startLoop(t, Config{})
		accepted := make(chan struct{}, 10)
		listener, acceptors := serve(t, addr, func(l *EventLoop, c Conn) Sink {
			accepted <- struct{}{}
			return acceptEcho(l, c)
		}, l)
		on(t, l, acceptors[0].Pause)
		c := dial(t, listener.Addr()) // the kernel completes it
		c.Write([]byte("x"))
		on(t, l, func() {})
		if len(accepted) > 0 {
			t.Errorf("%s: accepted while paused", addr)
		}
		on(t, l, acceptors[0].Resume)
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Errorf("%s: after Resume: %v", addr, err)
		}
		await(t, accepted)
	}
}

// TestOldestIsShedForDescriptors: with room for 5 connections, each further one costs the oldest.
func TestOldestIsShedForDescriptors(t *testing.T) {
	const room = 5
	var open []Conn
	d := NewDescriptors(room+3, 3)
	l := startLoop(t, Config{Descriptors: d, Shed: func() bool {
		open[0].Abort()
		open = open[1:]
		return true
	}})
	accepted := make(chan struct{}, 100)
	listener, _ := serve(t, "127.0.0.1:0", func(l *EventLoop, c Conn) Sink {
		open = append(open, c)
		accepted <- struct{}{}
		return acceptEcho(l, c)
	}, l)
	var clients []net.Conn
	for i := range 3 * room {
		clients = append(clients, dial(t, listener.Addr()))
		await(t, accepted)
		if n := d.InUse(); n > room {
			t.Fatalf("%d in use after %d connections", n, i+1)
		}
	}
	for i, c := range clients {
		c.Write([]byte("x"))
		_, err := io.ReadFull(c, make([]byte, 1))
		if alive := i >= 2*room; alive != (err == nil) {
			t.Errorf("client %d: alive %v, %v", i, alive, err)
		}
	}
	if n := l.Stats().Shed.Load(); n != 2*room {
		t.Errorf("%d shed", n)
	}
}

// TestAnswersGoBeforeNewAndOldConnections: in one turn a client wants an answer, one has gone, and another one comes.
func TestAnswersGoBeforeNewAndOldConnections(t *testing.T) {
	l := stepper(t)
	listener, err := Listen("unix:"+socketPath(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	us, them := unixPair(t)
	defer unix.Close(them)
	s := new(sink)
	s.conn = l.Attach(us, s)
	s.echo()
	ours, theirs := unixPair(t)
	gone := new(sink)
	gone.conn = l.Attach(ours, gone)
	l.turn() // what Attach itself reports
	order := ""
	note := func(what string) {
		if n, _ := recv(int32(them), make([]byte, 8)); n > 0 {
			order += "answer "
		}
		order += what
	}
	gone.data = func() {
		note("end ")
		gone.conn.Close(false)
	}
	accepted := 0
	a := l.AddListener(listener.Sockets(0)[0], func(Conn) Sink {
		accepted++
		note("accept ")
		return nil
	})
	defer a.Close()
	unix.Close(theirs)
	dial(t, listener.Addr())
	unix.Write(them, []byte("x"))
	l.turn()
	if order != "end answer accept " {
		t.Errorf("order %q", order)
	}
	l.turn()
	if accepted != 1 {
		t.Errorf("%d accepted", accepted)
	}
	if n := l.config.Descriptors.InUse(); n != 1 {
		t.Errorf("%d descriptors in use", n)
	}
}

func TestAcceptWaitsForDescriptors(t *testing.T) {
	d := NewDescriptors(3, 2) // one for accepting, one more for dialling
	l := startLoop(t, Config{Descriptors: d})
	accepted := make(chan Conn, 10)
	listener, _ := serve(t, "127.0.0.1:0", func(l *EventLoop, c Conn) Sink {
		accepted <- c
		return acceptEcho(l, c)
	}, l)
	dial(t, listener.Addr())
	first := await(t, accepted)
	second := dial(t, listener.Addr())
	for l.Stats().Pauses.Load() == 0 {
		on(t, l, func() {})
	}
	refused := make(chan error, 1)
	on(t, l, func() {
		one := l.Dial(Addr{TCP: loopbackOf(listener)}, new(sink)) // may use the reserve
		l.Dial(Addr{TCP: loopbackOf(listener)}, &sink{closed: func(err error) { refused <- err }})
		one.Abort()
	})
	if err := await(t, refused); err != ErrDescriptors {
		t.Errorf("dialling over the limit: %v", err)
	}
	turns := l.Stats().Turns.Load()
	on(t, l, first.Abort)
	second.Write([]byte("x"))
	if _, err := io.ReadFull(second, make([]byte, 1)); err != nil {
		t.Errorf("the second connection: %v", err)
	}
	if n := l.Stats().Turns.Load() - turns; n > 100 {
		t.Errorf("%d turns while waiting: it spins", n)
	}
}

// TestKernelRefusesDescriptors: the limit is really reached, which our count did not expect.
func TestKernelRefusesDescriptors(t *testing.T) {
	l := startLoop(t, Config{})
	listener, _ := serve(t, "127.0.0.1:0", acceptEcho, l)
	c := dial(t, listener.Addr()) // opened before the limit falls
	c.Write([]byte("x"))
	io.ReadFull(c, make([]byte, 1))
	second, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(second)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	low := unix.Rlimit{Cur: 3, Max: old.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	at := listener.Addr().TCP
	if err := unix.Connect(second, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err != nil {
		t.Fatal(err)
	}
	for l.Stats().Pauses.Load() == 0 {
		on(t, l, func() {})
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	unix.Write(second, []byte("y"))
	b := make([]byte, 1)
	if n, err := unix.Read(second, b); n != 1 || b[0] != 'y' {
		t.Errorf("after the shortage: %d, %v", n, err)
	}
}

func TestProcessDescriptors(t *testing.T) {
	d, err := ProcessDescriptors()
	if err != nil {
		t.Fatal(err)
	}
	var r unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_NOFILE, &r)
	if r.Cur != r.Max {
		t.Errorf("the limit was not raised: %d of %d", r.Cur, r.Max)
	}
	if d.forAccept >= d.forDial || d.forDial >= int64(r.Max) || d.forAccept <= 0 {
		t.Errorf("limit %d: %d for accepting, %d for dialling", r.Max, d.forAccept, d.forDial)
	}
}
