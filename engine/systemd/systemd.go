// Package systemd speaks with a service manager: it takes the sockets that were opened for the process
// (sd_listen_fds(3)) and says what state it is in (sd_notify(3)). Without a service manager all of it does nothing.
package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// firstSocket is the descriptor of the first socket that is passed.
const firstSocket = 3

// Variables that are about one process and must not reach those it starts.
var own = []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "WATCHDOG_PID"}

// Getenv is os.Getenv, or another environment.
type Getenv func(string) string

// Sockets are the descriptors that were passed to this process; they are its own from now on.
func Sockets(getenv Getenv) (fds []int) {
	if getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil {
		return nil
	}
	for fd := firstSocket; fd < firstSocket+n; fd++ {
		unix.CloseOnExec(fd)
		fds = append(fds, fd)
	}
	return fds
}

// Environment is env without what is about this process alone.
func Environment(env []string) (kept []string) {
next:
	for _, e := range env {
		for _, name := range own {
			if strings.HasPrefix(e, name+"=") {
				continue next
			}
		}
		kept = append(kept, e)
	}
	return kept
}

// Watchdog is within which time the service manager wants to hear Alive again and again; 0: it does not.
func Watchdog(getenv Getenv) time.Duration {
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	n, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}

// Notifier tells a service manager about the process. nil, and one without a manager, tells nobody. Any goroutine.
type Notifier struct{ address *net.UnixAddr }

// NewNotifier makes the notifier of this process.
func NewNotifier(getenv Getenv) *Notifier {
	path := getenv("NOTIFY_SOCKET")
	if !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "@") {
		return nil
	}
	return &Notifier{&net.UnixAddr{Name: path, Net: "unixgram"}}
}

// States of the process, for Tell.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
	Alive    = "WATCHDOG=1"
)

// Reloading says that the configuration is being loaded; Ready follows.
func Reloading() string {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // fails for no clock of this name only
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000)
}

// MainProcess says which process is the service from now on.
func MainProcess(pid int) string { return "MAINPID=" + strconv.Itoa(pid) }

// Status is a line for people.
func Status(format string, args ...any) string {
	return "STATUS=" + strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " ")
}

// Tell sends states, all in one message. The error says why the manager did not get it.
func (n *Notifier) Tell(states ...string) error {
	if n == nil {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, n.address)
	if err != nil {
		return fmt.Errorf("systemd: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(strings.Join(states, "\n"))); err != nil {
		return fmt.Errorf("systemd: %w", err)
	}
	return nil
}
