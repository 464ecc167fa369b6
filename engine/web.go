package engine

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"traffic_management/config"
)

// web is a listener that answers operators and their machines, off the loops.
type web struct {
	address  config.Address
	listener net.Listener
	server   *http.Server // nil until serve
}

// openWeb listens; what comes waits until serve.
func openWeb(address config.Address) (*web, error) {
	network, at := "tcp", address.String()
	if address.Path != "" {
		network, at = "unix", address.Path
	}
	l, err := net.Listen(network, at)
	if err != nil {
		return nil, err
	}
	return &web{address: address, listener: l}, nil
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

func (w *web) close() {
	if w.server != nil {
		_ = w.server.Close()
	} else {
		_ = w.listener.Close()
	}
}
