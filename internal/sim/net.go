package sim

import (
	"container/heap"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"traffic_management/engine/reactor"
)

// Net is how connections behave.
type Net struct {
	Window int           // most bytes under way to a peer or arrived there and not read; at least 1
	Piece  int           // most bytes that arrive at once; at least 1
	Delay  time.Duration // longest time one piece travels; 0: none takes any
	Short  int           // one in Short times the kernel takes less than there is room for; 0: never
	Reset  int           // one in Reset pieces does not arrive but resets its connection; 0: none
}

func drawNet(rnd *rand.Rand) Net {
	return Net{
		Window: 4 << 10 << rnd.IntN(7),
		Piece:  16 << rnd.IntN(13),
		Delay:  []time.Duration{0, 100 * time.Microsecond, 2 * time.Millisecond}[rnd.IntN(3)],
		Short:  []int{0, 8, 2}[rnd.IntN(3)],
	}
}

// delay draws how long a packet travels.
func (l *Loop) delay() time.Duration {
	if l.Net.Delay <= 0 {
		return 0
	}
	return time.Duration(l.rnd.Int64N(int64(l.Net.Delay) + 1))
}

// oneIn reports true once in n times on average, never when n is 0.
func (l *Loop) oneIn(n int) bool { return n > 0 && l.rnd.IntN(n) == 0 }

// pieceOf draws how many of n bytes arrive together: any order of size is as likely as any other.
func (l *Loop) pieceOf(n int) int {
	n = min(n, max(l.Net.Piece, 1))
	least := 1 << l.rnd.IntN(bits.Len(uint(n)))
	return least + l.rnd.IntN(min(least, n-least+1))
}

// packet is something that happens at a later time: bytes arrive, the kernel takes output again, a dial is answered.
type packet struct {
	at     reactor.Instant
	lot    uint64 // draws the order among packets of the same time
	arrive func()
}

// packets is a heap: the first is the next.
type packets []packet

func (p packets) Len() int { return len(p) }
func (p packets) Less(i, j int) bool {
	return p[i].at < p[j].at || p[i].at == p[j].at && p[i].lot < p[j].lot
}
func (p packets) Swap(i, j int) { p[i], p[j] = p[j], p[i] }
func (p *packets) Push(x any)   { *p = append(*p, x.(packet)) }
func (p *packets) Pop() any {
	last := (*p)[len(*p)-1]
	(*p)[len(*p)-1] = packet{}
	*p = (*p)[:len(*p)-1]
	return last
}

func (l *Loop) schedule(at reactor.Instant, arrive func()) {
	heap.Push(&l.packets, packet{at, l.rnd.Uint64(), arrive})
}

// listener is what answers dials to an address. Without accept they hang.
type listener struct {
	accept func(reactor.Conn) reactor.Sink
}

// Listen makes dials to a reach accept, which is called on the loop with the new connection and returns who hears
// it, nil to turn it away. An address nobody listens on refuses. Listening again replaces accept.
func (l *Loop) Listen(a reactor.Addr, accept func(reactor.Conn) reactor.Sink) {
	l.listeners[a] = listener{accept}
}

// Hang makes dials to a neither succeed nor fail, as those to a host that is gone.
func (l *Loop) Hang(a reactor.Addr) { l.listeners[a] = listener{} }

// Unlisten makes dials to a be refused again. Connections that are open stay.
func (l *Loop) Unlisten(a reactor.Addr) { delete(l.listeners, a) }

// Pipe connects a and b, which hear nothing of it. A nil sink hears nothing, and nothing is read, until SetSink.
func (l *Loop) Pipe(a, b reactor.Sink) (reactor.Conn, reactor.Conn) {
	here, there := l.sockets(l.ownAddress(), l.ownAddress())
	return l.newConn(here, a, outputReady), l.newConn(there, b, outputReady)
}

// Dial begins a connection to a; what Listen, Hang or neither said about a when the dial arrives decides on it.
func (l *Loop) Dial(a reactor.Addr, s reactor.Sink) reactor.Conn {
	var local netip.AddrPort
	if a.Path == "" {
		local = l.ownAddress()
	}
	here, there := l.sockets(local, a.TCP)
	c := l.newConn(here, s, outputOpening)
	if l.stage == stageStopped {
		c.fail(reactor.ErrStopped)
		return c
	}
	l.schedule(l.now.Add(l.delay()), func() { here.knock(there, a) })
	return c
}

// Attach makes a socket that Detach gave up a connection again. What came meanwhile is announced.
func (l *Loop) Attach(fd int, s reactor.Sink) reactor.Conn {
	k := l.detached[fd]
	if k == nil {
		k, _ = l.sockets(netip.AddrPort{}, netip.AddrPort{})
		c := l.newConn(k, s, outputReady)
		c.fail(os.NewSyscallError("epoll_ctl", unix.EBADF))
		return c
	}
	delete(l.detached, fd)
	c := l.newConn(k, s, outputReady)
	if k.state == socketReset {
		c.fail(errReset)
	} else {
		c.visitLater()
	}
	return c
}

// ownAddress draws up the next address of this machine.
func (l *Loop) ownAddress() netip.AddrPort {
	l.lastPort++
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 32768+l.lastPort%28232)
}
