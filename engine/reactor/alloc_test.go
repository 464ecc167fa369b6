package reactor

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// relayed is a client's and a server's connection of one loop, each handing its input to the other, with an idle
// timer that is moved on at each message: what a proxy does, without the protocol.
type relayed struct {
	loop  *EventLoop
	conn  Conn
	other *relayed
	idle  Timer
	parts [2][]byte
}

func (r *relayed) OnData() {
	in := r.conn.In()
	r.parts = [2][]byte{in[:len(in)/2], in[len(in)/2:]}
	r.other.conn.Writev(r.parts[:])
	r.conn.Consume(len(in))
	r.loop.Arm(&r.idle, time.Minute)
	if r.conn.EOF() {
		r.conn.Close(false)
	}
}
func (r *relayed) OnDrained()     {}
func (r *relayed) OnClosed(error) {}

// relayThrough makes such a pair over unix sockets and returns the outer ends.
func relayThrough(t testing.TB, l *EventLoop) (client, server int) {
	client, a := unixPair(t)
	server, b := unixPair(t)
	t.Cleanup(func() { unix.Close(client); unix.Close(server) })
	x, y := &relayed{loop: l}, &relayed{loop: l}
	x.other, y.other = y, x
	x.idle.Fire, y.idle.Fire = func() {}, func() {}
	x.conn, y.conn = l.Attach(a, x), l.Attach(b, y)
	return client, server
}

// pass sends message in at one end and takes it out at the other.
func pass(t testing.TB, l *EventLoop, from, to int, message, buf []byte) {
	if n, err := unix.Write(from, message); n != len(message) {
		t.Fatal(n, err)
	}
	for got := 0; got < len(message); {
		if worked, _ := l.turn(); !worked {
			t.Fatalf("%d of %d bytes came through", got, len(message))
		}
		for {
			n, errno := recv(int32(to), buf)
			if errno != 0 {
				break
			}
			got += n
		}
	}
}

func TestRelayingAllocatesNothing(t *testing.T) {
	l := stepper(t)
	client, server := relayThrough(t, l)
	buf := make([]byte, ReadSize)
	for _, size := range []int{100, 5000, 15_000, 60_000} {
		message := pattern(size)
		if n := testing.AllocsPerRun(200, func() {
			pass(t, l, client, server, message, buf)
			pass(t, l, server, client, message, buf)
		}); n != 0 {
			t.Errorf("%d bytes: %v allocations", size, n)
		}
	}
}

// TestWaitingAllocatesNothing covers what is off the straight path: kept input, refused output, hold, wake, defer, post.
func TestWaitingAllocatesNothing(t *testing.T) {
	l := stepper(t)
	us, them := unixPair(t)
	t.Cleanup(func() { unix.Close(them) })
	s := new(sink)
	s.conn = l.Attach(us, s)
	out := make([]byte, 50_000)
	in := make([]byte, 3000)
	nop := func() {}
	buf := make([]byte, ReadSize)
	if n := testing.AllocsPerRun(200, func() {
		for s.conn.Queued() < 200_000 {
			s.conn.Write(out)
			l.turn()
		}
		unix.Write(them, in)
		l.turn() // input is kept
		s.conn.Hold(true)
		s.conn.Hold(false)
		s.conn.Wake()
		l.Defer(nop)
		l.Post(nop)
		l.turn()
		s.conn.Consume(len(s.conn.In()))
		for s.conn.Queued() > 0 {
			recv(int32(them), buf)
			l.turn()
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkRelay is a message of 300 bytes there and one back, over unix sockets: 4 system calls of ours, 4 of the
// test's, and one or two waits for each direction.
func BenchmarkRelay(b *testing.B) {
	l := stepper(b)
	client, server := relayThrough(b, l)
	buf := make([]byte, ReadSize)
	message := pattern(300)
	for b.Loop() {
		pass(b, l, client, server, message, buf)
		pass(b, l, server, client, message, buf)
	}
}
