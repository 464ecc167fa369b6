package reactor

import (
	"net/netip"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Calls on non-blocking descriptors never park, so they skip the runtime's blocking-call bookkeeping, which costs as
// much as the rest of our work on a request.

// recv reads into b. n is 0 with no error at the end of input.
func recv(fd int32, b []byte) (n int, errno syscall.Errno) { return recvWith(fd, b, 0) }

// recvAway receives what nobody wants. Of TCP it is not copied (tcp(7), MSG_TRUNC); of other sockets b is overwritten.
func recvAway(fd int32, b []byte) (n int, errno syscall.Errno) {
	return recvWith(fd, b, unix.MSG_TRUNC)
}

func recvWith(fd int32, b []byte, flags uintptr) (n int, errno syscall.Errno) {
	for {
		r, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
			uintptr(len(b)), flags, 0, 0)
		if e == 0 {
			return int(r), 0
		}
		if e != unix.EINTR {
			return 0, e
		}
	}
}

// sendv sends the parts in one call and never raises SIGPIPE. msg is scratch.
func sendv(fd int32, parts []unix.Iovec, msg *unix.Msghdr) (n int, errno syscall.Errno) {
	for {
		var r uintptr
		var e syscall.Errno
		if len(parts) == 1 {
			r, _, e = syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(parts[0].Base)),
				uintptr(parts[0].Len), unix.MSG_NOSIGNAL, 0, 0)
		} else {
			msg.Iov = &parts[0]
			msg.SetIovlen(len(parts))
			r, _, e = syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(msg)), unix.MSG_NOSIGNAL)
		}
		if e == 0 {
			return int(r), 0
		}
		if e != unix.EINTR {
			return 0, e
		}
	}
}

// acceptSocket takes one connection from a listening socket; from receives the peer's address.
func acceptSocket(fd int32, from *unix.RawSockaddrAny) (int32, syscall.Errno) {
	size := uint32(unix.SizeofSockaddrAny)
	r, _, e := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(from)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, e
	}
	return int32(r), 0
}

func openSocket(family int) (int32, syscall.Errno) {
	r, _, e := syscall.RawSyscall(unix.SYS_SOCKET, uintptr(family),
		unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if e != 0 {
		return -1, e
	}
	return int32(r), 0
}

func connect(fd int32, to *unix.RawSockaddrAny, size uint32) syscall.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(to)), uintptr(size))
	return e
}

func setOption(fd int32, level, name, value int32) syscall.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(&value)), unsafe.Sizeof(value), 0)
	return e
}

// socketError takes the pending error of a socket: reading it clears it.
func socketError(fd int32) syscall.Errno {
	var value int32
	size := uint32(unsafe.Sizeof(value))
	_, _, e := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ERROR,
		uintptr(unsafe.Pointer(&value)), uintptr(unsafe.Pointer(&size)), 0)
	if e != 0 {
		return e
	}
	return syscall.Errno(value)
}

// resetOnClose makes the closing of a TCP socket a reset.
func resetOnClose(fd int32) {
	value := unix.Linger{Onoff: 1}
	syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER,
		uintptr(unsafe.Pointer(&value)), unsafe.Sizeof(value), 0)
}

func shutdownWrite(fd int32) syscall.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
	return e
}

func closeDescriptor(fd int32) { syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// nameOf asks for the local (SYS_GETSOCKNAME) or peer (SYS_GETPEERNAME) address of a socket.
func nameOf(call uintptr, fd int32, name *unix.RawSockaddrAny) syscall.Errno {
	size := uint32(unix.SizeofSockaddrAny)
	_, _, e := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&size)))
	return e
}

// decodeName is the address in a socket name; the zero value unless it is IPv4 or IPv6. An IPv4 address that came
// over a dual-stack socket is an IPv4 address here.
func decodeName(name *unix.RawSockaddrAny) netip.AddrPort {
	switch name.Addr.Family {
	case unix.AF_INET:
		a := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), swapPort(a.Port))
	case unix.AF_INET6:
		a := (*unix.RawSockaddrInet6)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), swapPort(a.Port))
	}
	return netip.AddrPort{}
}

// encodeName writes a as a socket name and returns its size, or EINVAL when it is no address one can dial.
func encodeName(a Addr, name *unix.RawSockaddrAny) (uint32, syscall.Errno) {
	*name = unix.RawSockaddrAny{}
	ip := a.TCP.Addr()
	switch {
	case a.Path != "":
		n := (*unix.RawSockaddrUnix)(unsafe.Pointer(name))
		if len(a.Path) >= len(n.Path) || strings.IndexByte(a.Path, 0) >= 0 {
			return 0, unix.EINVAL
		}
		n.Family = unix.AF_UNIX
		for i := range len(a.Path) {
			n.Path[i] = int8(a.Path[i])
		}
		return uint32(unsafe.Offsetof(n.Path)) + uint32(len(a.Path)) + 1, 0
	case ip.Is4() || ip.Is4In6():
		n := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		n.Family, n.Port, n.Addr = unix.AF_INET, swapPort(a.TCP.Port()), ip.Unmap().As4()
		return unix.SizeofSockaddrInet4, 0
	case ip.Is6():
		n := (*unix.RawSockaddrInet6)(unsafe.Pointer(name))
		n.Family, n.Port, n.Addr = unix.AF_INET6, swapPort(a.TCP.Port()), ip.As16()
		return unix.SizeofSockaddrInet6, 0
	}
	return 0, unix.EINVAL
}

// swapPort turns a port from host to network byte order, or back.
func swapPort(p uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&p))
	return uint16(b[0])<<8 | uint16(b[1])
}
