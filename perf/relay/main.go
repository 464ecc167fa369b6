// Relay is the physical limit of a proxy on this machine: it moves the bytes of each client connection to one backend
// connection and back, with one recvfrom and one sendto per message and direction, and looks at none of them.
//
//	relay -listen 127.0.0.1:8081 -backend 127.0.0.1:8080 -poller own
//
// SIGUSR1 prints its counters as one line of JSON on standard output; SIGTERM and SIGINT end it.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
)

// messages counts what was received from clients; written by the loop, read by the goroutine of the signals.
var messages atomic.Int64

func main() {
	listen := flag.String("listen", "127.0.0.1:8081", "`address` to accept clients on")
	backend := flag.String("backend", "127.0.0.1:8080", "`address` of the backend")
	kind := flag.String("poller", "own", "own, spin, gnet or nested")
	flag.Parse()
	if err := run(*listen, *backend, *kind); err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

func run(listen, backend, kind string) error {
	at, err := netip.ParseAddrPort(listen)
	if err != nil {
		return err
	}
	to, err := netip.ParseAddrPort(backend)
	if err != nil {
		return err
	}
	go report()
	p, err := openPoller(kind)
	if err != nil {
		return err
	}
	r, err := newRelay(at, to, p)
	if err != nil {
		return err
	}
	return p.run(r)
}

// report answers signals. It is the only goroutine beside the loop.
func report() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGTERM, syscall.SIGINT)
	for s := range signals {
		if s != syscall.SIGUSR1 {
			os.Exit(0)
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		_ = json.NewEncoder(os.Stdout).Encode(map[string]int64{
			"messages": messages.Load(), "mallocs": int64(m.Mallocs), "bytes": int64(m.TotalAlloc), "gc": int64(m.NumGC),
		})
	}
}
