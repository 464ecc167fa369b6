package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"traffic_management/perf/socket"
)

// errWait says that nothing more has come. It is temporary, so that a tls.Conn goes on at the next read.
var errWait error = wait{}

type wait struct{}

func (wait) Error() string   { return "nothing more has come" }
func (wait) Timeout() bool   { return true }
func (wait) Temporary() bool { return true }

// reading is what a wire does when there is nothing to read.
type reading uint8

const (
	waits   reading = iota // until something comes: a handshake runs
	returns                // errWait, also behind a read that took less than there was room for
	drains                 // errWait, but only when the kernel says so: the end of the stream may be next
)

func (r reading) String() string { return [...]string{"waits", "returns", "drains"}[r] }

// wire is a socket as crypto/tls wants it, without the runtime's poller. The loop owns it.
type wire struct {
	net.Conn // nil: crypto/tls calls no other methods than these
	fd       int
	reading  reading
	dry      bool // the last read took all there was; the next event ends it
}

// handshakeTimeout bounds how long a handshake may wait for the server each time, in milliseconds.
const handshakeTimeout = 10_000

// Read reads what the kernel has.
func (w *wire) Read(b []byte) (int, error) {
	for !w.dry {
		n, errno := socket.Recv(w.fd, b)
		switch {
		case errno == unix.EAGAIN && w.reading == waits:
			if err := w.poll(unix.POLLIN); err != nil {
				return 0, err
			}
			continue
		case errno == unix.EAGAIN:
			return 0, errWait
		case errno != 0:
			return 0, os.NewSyscallError("recvfrom", errno)
		case n == 0:
			return 0, io.EOF
		}
		w.dry = w.reading == returns && n < len(b)
		return n, nil
	}
	return 0, errWait
}

// Write writes all of b. It waits when the kernel's buffer is full, which requests of this size do not bring about.
func (w *wire) Write(b []byte) (int, error) {
	for sent := 0; ; {
		n, errno := socket.Send(w.fd, b[sent:])
		sent += n
		switch {
		case sent == len(b):
			return sent, nil
		case errno == unix.EAGAIN:
			if err := w.poll(unix.POLLOUT); err != nil {
				return sent, err
			}
		case errno != 0:
			return sent, os.NewSyscallError("sendto", errno)
		}
	}
}

func (w *wire) poll(events int16) error {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: events}}, handshakeTimeout)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return os.NewSyscallError("poll", err)
		case n == 0:
			return os.ErrDeadlineExceeded
		default:
			return nil
		}
	}
}

func (w *wire) Close() error                     { return unix.Close(w.fd) }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// told takes note of an event of the socket.
func (w *wire) told(events uint32) {
	w.dry = false
	if events&socket.Ended != 0 {
		w.reading = drains
	}
}

// shake shakes hands over a wire that was just connected. What is returned is w with TLS over it.
func shake(w *wire, c *tls.Config) (*tls.Conn, error) {
	w.reading = waits
	t := tls.Client(w, c)
	if err := t.Handshake(); err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	w.reading = returns
	return t, agreed(t.ConnectionState(), c)
}

// clientConfig is what every connection offers: the same to all servers, so that all do the same work. protocol is the
// one of ALPN.
func clientConfig(protocol string) *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, // made for this run by the bed
		ServerName:         "bench.test",
		NextProtos:         []string{protocol},
		MinVersion:         tls.VersionTLS13,
		CurvePreferences:   []tls.CurveID{tls.X25519}, // what every server here knows
	}
}

// errTerms is a handshake that agreed on something else than what all servers are compared with.
var errTerms = errors.New("another TLS session than asked for")

// agreed checks what a handshake led to.
func agreed(s tls.ConnectionState, c *tls.Config) error {
	if s.CipherSuite != tls.TLS_AES_128_GCM_SHA256 || s.NegotiatedProtocol != c.NextProtos[0] {
		return fmt.Errorf("%w: %s, protocol %q", errTerms, tls.CipherSuiteName(s.CipherSuite), s.NegotiatedProtocol)
	}
	return nil
}
