package reactor

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Inherit makes a Listener for this many loops of sockets that listen at one address already: another process opened
// them. There are never fewer of them than there were, since the kernel has connections waiting on each: a loop takes
// several if need be. With fewer sockets than loops more are opened, or else all loops share them. The sockets belong
// to the Listener from here on, with an error, too.
func Inherit(fds []int, loops int) (*Listener, error) {
	l := &Listener{loops: loops, fds: fds}
	for _, fd := range fds {
		if err := adopt(fd); err != nil {
			l.closeSockets()
			return nil, fmt.Errorf("reactor: descriptor %d: %w", fd, err)
		}
	}
	var err error
	if l.addr, err = BoundTo(fds[0]); err != nil {
		l.closeSockets()
		return nil, err
	}
	l.shared = l.addr.Path != "" || !l.spread()
	return l, nil
}

// adopt makes a descriptor of another process's ours, if it is a listening socket.
func adopt(fd int) error {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if listens == 0 || kind != unix.SOCK_STREAM {
		return errors.New("not a socket that listens for connections")
	}
	unix.CloseOnExec(fd)
	return os.NewSyscallError("fcntl", unix.SetNonblock(fd, true))
}

// spread sees to it that there is a socket for each loop. It reports whether there is.
func (l *Listener) spread() bool {
	for _, fd := range l.fds {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // only a matter of speed
	}
	for n := len(l.fds); n < l.loops; n++ {
		// The kernel refuses a socket beside one that does not share its address, or that is another user's.
		if l.openTCP(l.addr.TCP) != nil {
			return false
		}
	}
	return true
}

// BoundTo is the address a socket is bound to.
func BoundTo(fd int) (Addr, error) {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return Addr{}, fmt.Errorf("reactor: descriptor %d: %w", fd, os.NewSyscallError("getsockname", err))
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return Addr{TCP: netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))}, nil
	case *unix.SockaddrInet6:
		return Addr{TCP: netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))}, nil
	case *unix.SockaddrUnix:
		if a.Name != "" && a.Name[0] != '@' {
			return Addr{Path: a.Name}, nil
		}
	}
	return Addr{}, fmt.Errorf("reactor: descriptor %d: neither a TCP socket nor a unix socket with a path", fd)
}

// Matches reports whether a socket that is bound there is what Listen would open for addr. A name is looked up.
func Matches(addr string, bound Addr) bool {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return bound.Path == path
	}
	at, err := resolve(addr)
	if err != nil || bound.Path != "" || at.Port() != bound.TCP.Port() {
		return false
	}
	return at.Addr() == bound.TCP.Addr().Unmap() || at.Addr().IsUnspecified() && bound.TCP.Addr().IsUnspecified()
}
