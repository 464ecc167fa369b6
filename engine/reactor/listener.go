package reactor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// backlog is how many connections the kernel queues for us, bounded by net.core.somaxconn.
const backlog = 4096

// Listener is the listening sockets of one address: one a loop for TCP, so that the kernel spreads connections over
// the loops, and one that all share for a unix socket. Immutable; its sockets are watched by loops (AddListener) and
// closed by Close, after every Acceptor of them was closed or its loop has stopped.
type Listener struct {
	addr   Addr
	loops  int
	shared bool
	kept   bool // the path of a unix socket stays at Close
	fds    []int
}

// Socket is a listening socket as one loop watches it.
type Socket struct {
	FD     int
	Shared bool // other loops watch it too
}

// Listen opens listening sockets for this many loops. addr is "host:port", ":port" (IPv4 and IPv6), "[v6]:port" or
// "unix:/path"; port 0 chooses a free one, the same for all loops. A unix socket nobody listens on any more is
// replaced. Another process at the address is an error, and so is another listener of this one unless it is among ours:
// then the two may overlap, as ":80" and "127.0.0.1:80" do.
func Listen(addr string, loops int, ours ...*Listener) (*Listener, error) {
	l := &Listener{loops: loops}
	var err error
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		err = l.listenUnix(path)
	} else {
		err = l.listenTCP(addr, ours)
	}
	if err != nil {
		l.closeSockets()
		return nil, fmt.Errorf("reactor: listen %s: %w", addr, err)
	}
	return l, nil
}

// Addr is where the listener can be dialled; with the port that was chosen.
func (l *Listener) Addr() Addr { return l.addr }

// Sockets are those that the loop of this index is to watch.
func (l *Listener) Sockets(loop int) (sockets []Socket) {
	for i, fd := range l.fds {
		if l.shared || i%l.loops == loop {
			sockets = append(sockets, Socket{fd, l.shared})
		}
	}
	return sockets
}

// Descriptors are those of the sockets, in the order of the loops, for another process that is to listen on them.
func (l *Listener) Descriptors() []int { return l.fds }

// Keep makes Close leave the path of a unix socket where it is, because it is not this process's alone. Not while
// another goroutine may call Close.
func (l *Listener) Keep() { l.kept = true }

// Kept reports whether Keep was called.
func (l *Listener) Kept() bool { return l.kept }

// Close closes the listening sockets; connections they still queue are reset, unless another process has them too. A
// unix socket's path is removed.
func (l *Listener) Close() {
	l.closeSockets()
	if l.addr.Path != "" && !l.kept {
		os.Remove(l.addr.Path)
	}
}

func (l *Listener) closeSockets() {
	for _, fd := range l.fds {
		unix.Close(fd)
	}
	l.fds = nil
}

// open opens, binds and starts one listening socket.
func (l *Listener) open(at unix.Sockaddr, family int, options ...[3]int) error {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	for _, o := range options {
		if err == nil {
			err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, o[0], o[1], o[2]))
		}
	}
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, at))
	}
	if err == nil {
		err = os.NewSyscallError("listen", unix.Listen(fd, backlog))
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	l.fds = append(l.fds, fd)
	return nil
}

func (l *Listener) listenTCP(addr string, ours []*Listener) error {
	at, err := resolve(addr)
	if err != nil {
		return err
	}
	onOurPort := func(o *Listener) bool { return o.addr.TCP.Port() == at.Port() }
	if !slices.ContainsFunc(ours, onOurPort) {
		if err := claim(at); err != nil {
			return err
		}
	}
	for range l.loops {
		err := l.openTCP(at)
		if errors.Is(err, unix.EAFNOSUPPORT) && at.Addr() == netip.IPv6Unspecified() {
			at = netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port()) // a host without IPv6
			err = l.openTCP(at)
		}
		if err != nil {
			return err
		}
		var name unix.RawSockaddrAny
		if errno := nameOf(unix.SYS_GETSOCKNAME, int32(l.fds[0]), &name); errno != 0 {
			return os.NewSyscallError("getsockname", errno)
		}
		at = netip.AddrPortFrom(at.Addr(), decodeName(&name).Port())
	}
	l.addr.TCP = at
	return nil
}

// claim fails when another process listens at the address: with SO_REUSEPORT the kernel would share its connections
// between the two, to the surprise of who started a second one.
func claim(at netip.AddrPort) error {
	if at.Port() == 0 {
		return nil
	}
	probe := new(Listener)
	defer probe.closeSockets()
	err := probe.openTCP(at, [3]int{unix.SOL_SOCKET, unix.SO_REUSEPORT, 0})
	if errors.Is(err, unix.EAFNOSUPPORT) {
		return nil
	}
	return err
}

// openTCP opens one of the sockets that share an address. Accepted connections inherit TCP_NODELAY.
func (l *Listener) openTCP(at netip.AddrPort, further ...[3]int) error {
	options := [][3]int{
		{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
		{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	}
	options = append(options, further...)
	if at.Addr().Is4() {
		return l.open(&unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}, unix.AF_INET, options...)
	}
	only := 1
	if at.Addr().IsUnspecified() {
		only = 0
	}
	options = append(options, [3]int{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only})
	return l.open(&unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}, unix.AF_INET6, options...)
}

// resolve turns the address of a listener into an IP address and port; no host means every address, of both families.
func resolve(addr string) (netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := net.LookupPort("tcp", service)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ip := netip.IPv6Unspecified()
	if host != "" {
		ips, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip", host)
		if err != nil {
			return netip.AddrPort{}, err
		}
		ip = ips[0].Unmap().WithZone("")
		for _, other := range ips {
			if other.Unmap().Is4() && !ip.Is4() {
				ip = other.Unmap() // a name with both means IPv4, as elsewhere in Go
			}
		}
	}
	return netip.AddrPortFrom(ip, uint16(port)), nil
}

func (l *Listener) listenUnix(path string) error {
	if path == "" || path[0] == '@' {
		return errors.New("no path of a unix socket") // the kernel would take it for an abstract name
	}
	at := &unix.SockaddrUnix{Name: path}
	err := l.open(at, unix.AF_UNIX)
	if errors.Is(err, unix.EADDRINUSE) && abandoned(path) {
		if err := os.Remove(path); err != nil {
			return err
		}
		err = l.open(at, unix.AF_UNIX)
	}
	if err != nil {
		return err
	}
	l.addr.Path, l.shared = path, true
	return nil
}

// abandoned reports whether the path is a socket that nobody listens on, left by a process that ended.
func abandoned(path string) bool {
	if info, err := os.Lstat(path); err != nil || info.Mode().Type() != os.ModeSocket {
		return false
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return errors.Is(unix.Connect(fd, &unix.SockaddrUnix{Name: path}), syscall.ECONNREFUSED)
}
