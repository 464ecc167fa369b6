package socket

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Both is the interest of a connection: input, output and the peer's end of stream, each told once per change.
const Both = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

// Ended are the events after which nothing more than what is buffered will be received.
const Ended = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR

// Set is an epoll set. Its one loop owns it.
type Set struct {
	fd     int
	events [512]unix.EpollEvent
}

// NewSet opens an empty set.
func NewSet() (*Set, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	return &Set{fd: fd}, nil
}

// FD is the set's own descriptor, which another set can watch.
func (s *Set) FD() int { return s.fd }

// Add begins to watch fd for the given events. Closing fd ends it.
func (s *Set) Add(fd int, events uint32) error {
	if err := unix.EpollCtl(s.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Fd: int32(fd), Events: events}); err != nil {
		return fmt.Errorf("epoll_ctl add: %w", err)
	}
	return nil
}

// Poll returns the events there are, without waiting. The slice is valid until the next call.
func (s *Set) Poll() ([]unix.EpollEvent, error) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(s.fd), uintptr(unsafe.Pointer(&s.events[0])),
		uintptr(len(s.events)), 0, 0, 0)
	return s.ready(int(n), errno)
}

// Wait waits at most msec milliseconds, for ever when negative, and returns the events there are, none when it was
// interrupted. The slice is valid until the next call. It may block, so the runtime is told.
func (s *Set) Wait(msec int) ([]unix.EpollEvent, error) {
	n, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(s.fd), uintptr(unsafe.Pointer(&s.events[0])),
		uintptr(len(s.events)), uintptr(msec), 0, 0)
	return s.ready(int(n), errno)
}

func (s *Set) ready(n int, errno syscall.Errno) ([]unix.EpollEvent, error) {
	if errno == unix.EINTR {
		return nil, nil
	}
	if errno != 0 {
		return nil, fmt.Errorf("epoll_pwait: %w", errno)
	}
	return s.events[:n], nil
}

// WaitFor is Wait with a timeout finer than a millisecond (epoll_pwait2, Linux 5.11). A timeout of nothing or less does
// not wait.
func (s *Set) WaitFor(d time.Duration) ([]unix.EpollEvent, error) {
	if d <= 0 {
		return s.Poll()
	}
	ts := unix.NsecToTimespec(int64(d))
	n, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(s.fd), uintptr(unsafe.Pointer(&s.events[0])),
		uintptr(len(s.events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	return s.ready(int(n), errno)
}
