package engine

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"traffic_management/config"
	"traffic_management/engine/reactor"
	"traffic_management/engine/systemd"
)

// handoverVariable names the environment variable that tells a new process what it takes over: a handover in JSON.
const handoverVariable = "TRAFFIC_MANAGEMENT_HANDOVER"

// handover is what one process passes to the one that replaces it.
type handover struct {
	Ready   int      `json:"ready"`   // a pipe: the new process writes handoverReady when it serves
	Secrets int      `json:"secrets"` // a pipe with those of session tickets in it, which have no place in an environment
	Sockets []handed `json:"sockets"`
}

const handoverReady = "ready\n"

// handed is the listening sockets of one address.
type handed struct {
	Key         string `json:"key"`     // of the configuration: "entrypoints.web", "metrics" or "admin"
	Address     string `json:"address"` // as the configuration has it
	Descriptors []int  `json:"descriptors"`
	Kept        bool   `json:"kept"` // a unix socket's path is not ours to remove

	bound reactor.Addr // of sockets that a service manager opened; they have no key
}

// Inheritance is what a process was started with: listening sockets, and whom to tell how it is. The zero value is
// nothing of it. It belongs to the engine it is given to.
type Inheritance struct {
	sockets  []handed
	ready    *os.File // nil: nobody waits
	tickets  []byte   // secrets of session tickets; nil: none were passed
	notifier *systemd.Notifier
	watchdog time.Duration // within which the service manager wants to hear of the process; 0: never
}

// Inherit takes what the environment says was passed to this process. Once a process.
func Inherit() (*Inheritance, error) {
	in := &Inheritance{notifier: systemd.NewNotifier(os.Getenv), watchdog: systemd.Watchdog(os.Getenv)}
	if text, ok := os.LookupEnv(handoverVariable); ok {
		_ = os.Unsetenv(handoverVariable) // fails for no name such as this
		var h handover
		if err := json.Unmarshal([]byte(text), &h); err != nil {
			return nil, fmt.Errorf("%s: %w", handoverVariable, err)
		}
		in.sockets = h.Sockets
		unix.CloseOnExec(h.Ready)
		in.ready = os.NewFile(uintptr(h.Ready), "ready")
		if h.Secrets == 0 { // of a program from before there was TLS
			return in, nil
		}
		secrets := os.NewFile(uintptr(h.Secrets), "secrets")
		defer secrets.Close()
		var err error
		if in.tickets, err = io.ReadAll(secrets); err != nil {
			return nil, fmt.Errorf("%s: %w", handoverVariable, err)
		}
		return in, nil
	}
	for _, fd := range systemd.Sockets(os.Getenv) {
		bound, err := reactor.BoundTo(fd)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(in.sockets, func(h handed) bool { return h.bound == bound })
		if at < 0 {
			at = len(in.sockets)
			in.sockets = append(in.sockets, handed{Kept: true, bound: bound})
		}
		in.sockets[at].Descriptors = append(in.sockets[at].Descriptors, fd)
	}
	return in, nil
}

// secrets are those of session tickets of the process before, nil when there was none.
func (in *Inheritance) secrets() []byte {
	if in == nil {
		return nil
	}
	return in.tickets
}

// take gives out the sockets that were passed for an address, nil when there are none: those that had the same key, or,
// with renamed, any of the address.
func (in *Inheritance) take(key string, address config.Address, renamed bool) *handed {
	if in == nil {
		return nil
	}
	at := slices.IndexFunc(in.sockets, func(h handed) bool {
		if h.bound != (reactor.Addr{}) {
			return reactor.Matches(address.String(), h.bound)
		}
		return h.Address == address.String() && (h.Key == key || renamed)
	})
	if at < 0 {
		return nil
	}
	h := in.sockets[at]
	in.sockets = slices.Delete(in.sockets, at, at+1)
	return &h
}

// drop closes what nothing in the configuration has a use for.
func (in *Inheritance) drop(logger *slog.Logger) {
	if in == nil {
		return
	}
	for _, h := range in.sockets {
		at := h.Address
		if at == "" {
			at = h.bound.String()
		}
		logger.Warn("a listening socket that was passed to this process is not used", "address", at)
		for _, fd := range h.Descriptors {
			_ = unix.Close(fd)
		}
	}
	in.sockets = nil
}

// parentage is the flag of clone(2) that makes the new process a child of the service manager, not of this one: at a stop
// systemd waits for its own children only, and kills any other main process before it has drained. The first process of
// a container has no parent to share.
func (in *Inheritance) parentage() uintptr {
	if in == nil || in.notifier == nil || os.Getpid() == 1 {
		return 0
	}
	return unix.CLONE_PARENT
}

// tellReady says to the process before that this one serves.
func (in *Inheritance) tellReady() error {
	if in == nil || in.ready == nil {
		return nil
	}
	defer in.ready.Close()
	_, err := in.ready.WriteString(handoverReady)
	return err
}

// tell says to the service manager how the process is.
func (in *Inheritance) tell(logger *slog.Logger, states ...string) {
	if in == nil {
		return
	}
	if err := in.notifier.Tell(states...); err != nil {
		logger.Warn("the service manager cannot be told", "error", err)
	}
}

// listenOn makes a net.Listener of the sockets of one address, of which it takes the first.
func (h *handed) listenOn() (net.Listener, error) {
	for _, fd := range h.Descriptors[1:] {
		_ = unix.Close(fd)
	}
	f := os.NewFile(uintptr(h.Descriptors[0]), h.Address)
	defer f.Close() // the listener has a descriptor of its own
	l, err := net.FileListener(f)
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(!h.Kept)
	}
	return l, err
}
