package engine

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"traffic_management/config"
	"traffic_management/engine/reactor"
)

// web is a listener that answers operators and their machines, off the loops.
type web struct {
	address  config.Address
	listener net.Listener
	kept     bool         // a unix socket's path is not ours to remove
	server   *http.Server // nil until serve
	// inherited says that another process listens here, too, and goes on to when this one does not come to serve.
	inherited bool
}

// at is w when it listens at this address, and otherwise a new one, which the caller closes. w may be nil. given are
// sockets that listen there already; nil is none.
func (w *web) at(address config.Address, given *handed) (*web, error) {
	if w != nil && w.address == address {
		return w, nil
	}
	return openWeb(address, given)
}

// openWeb listens; what comes waits until serve.
func openWeb(address config.Address, given *handed) (*web, error) {
	inherited := given != nil
	if !inherited && address.Path != "" { // package net would not replace a socket that a process which was killed left
		opened, err := reactor.Listen(address.String(), 1)
		if err != nil {
			return nil, err
		}
		given = &handed{Address: address.String(), Descriptors: opened.Descriptors()}
	}
	var l net.Listener
	var err error
	if given != nil {
		l, err = given.listenOn()
	} else {
		l, err = net.Listen("tcp", address.String())
	}
	if err != nil {
		return nil, err
	}
	return &web{address: address, listener: l, kept: inherited && given.Kept, inherited: inherited}, nil
}

// descriptor is a copy of the listening socket's, for another process; the caller closes it.
func (w *web) descriptor() (fd int, err error) {
	raw, err := w.listener.(syscall.Conn).SyscallConn()
	if err != nil {
		return -1, err
	}
	failed := raw.Control(func(of uintptr) { fd, err = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(failed, err)
}

// keep makes the path of a unix socket stay when it is closed, because another process listens there too. w may be nil.
func (w *web) keep() {
	if w == nil {
		return
	}
	if u, ok := w.listener.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
}

// serve answers with h, on a goroutine of running, until close. what is its name in the log.
func (w *web) serve(what string, h http.Handler, logger *slog.Logger, running *sync.WaitGroup) {
	w.server = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	logger.Info("serving "+what, "address", w.listener.Addr().String())
	running.Go(func() {
		if err := w.server.Serve(w.listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error(what+" can no longer be served", "error", err)
		}
	})
}

// webPatience is how long answers that were begun may take to end.
const webPatience = 10 * time.Second

// leave listens no more and lets answers that were begun end, on a goroutine of running: one of them may be to the
// request that caused it. w may be nil.
func (w *web) leave(running *sync.WaitGroup) {
	if w == nil {
		return
	}
	running.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), webPatience)
		defer cancel()
		_ = w.server.Shutdown(ctx)
		_ = w.server.Close()
	})
}

// discard closes what never served. The path of a unix socket that was inherited stays for who has it. w may be nil.
func (w *web) discard() {
	if w != nil && w.inherited {
		w.keep()
	}
	w.close()
}

// close ends everything at once. w may be nil.
func (w *web) close() {
	switch {
	case w == nil:
	case w.server != nil:
		_ = w.server.Close()
	default:
		_ = w.listener.Close()
	}
}
