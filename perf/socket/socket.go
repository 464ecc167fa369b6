// Package socket is the few system calls that the programs of the benchmark bed live on: non-blocking TCP and an epoll
// set, called so that the Go runtime notices nothing. Only Set.Wait with a timeout may block.
//
// Nothing here is safe for use by several goroutines at the same time: each program has one loop.
package socket

import (
	"fmt"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Recv reads what the kernel has for fd, without blocking. It returns 0 and no error at the end of the stream.
func Recv(fd int, b []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
			uintptr(len(b)), 0, 0, 0)
		if errno != unix.EINTR {
			return count(n, errno), errno
		}
	}
}

// Send writes as much of b as the kernel takes, without blocking and without SIGPIPE.
func Send(fd int, b []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
			uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
		if errno != unix.EINTR {
			return count(n, errno), errno
		}
	}
}

func count(n uintptr, errno syscall.Errno) int {
	if errno != 0 {
		return 0
	}
	return int(n)
}

// Listen opens a non-blocking listening socket on a, an IPv4 or IPv6 address with a port; port 0 picks a free one.
func Listen(a netip.AddrPort) (int, error) {
	fd, err := open(a)
	if err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("reuse address: %w", err)
	}
	if err := unix.Bind(fd, sockaddr(a)); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("bind %s: %w", a, err)
	}
	if err := unix.Listen(fd, 4096); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("listen %s: %w", a, err)
	}
	return fd, nil
}

// Dial connects to a and returns a non-blocking socket. It blocks until the connection is open, which over loopback is
// no longer than the listener's queue is full.
func Dial(a netip.AddrPort) (int, error) {
	fd, err := open(a)
	if err != nil {
		return -1, err
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("dial %s: %w", a, err)
	}
	for err = unix.Connect(fd, sockaddr(a)); err == unix.EINTR; {
		err = unix.Connect(fd, sockaddr(a))
	}
	if err == nil || err == unix.EISCONN {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("dial %s: %w", a, err)
	}
	noDelay(fd)
	return fd, nil
}

// Accept takes one connection from a listening socket; it is non-blocking. No connection waiting is EAGAIN.
func Accept(listener int) (int, error) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err == unix.EINTR || err == unix.ECONNABORTED {
			continue
		}
		if err == nil {
			noDelay(fd)
		}
		return fd, err
	}
}

// noDelay turns Nagle's algorithm off. A socket that refuses is already broken, which its next call will tell.
func noDelay(fd int) { _ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }

func open(a netip.AddrPort) (int, error) {
	family := unix.AF_INET
	if a.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	return fd, nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is6() {
		return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	}
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

// Gather is one writev-like call for a list of buffers; its room is kept between calls.
type Gather struct {
	vec [64]unix.Iovec
	msg unix.Msghdr
}

// Send writes as much of bufs as one system call takes, without blocking and without SIGPIPE: at most 64 of them.
func (g *Gather) Send(fd int, bufs [][]byte) (int, syscall.Errno) {
	k := 0
	for _, b := range bufs[:min(len(bufs), len(g.vec))] {
		if len(b) > 0 {
			g.vec[k].Base = unsafe.SliceData(b)
			g.vec[k].SetLen(len(b))
			k++
		}
	}
	g.msg.Iov = &g.vec[0]
	g.msg.SetIovlen(k)
	for {
		n, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&g.msg)), unix.MSG_NOSIGNAL)
		if errno != unix.EINTR {
			return count(n, errno), errno
		}
	}
}
