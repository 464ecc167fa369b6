// Backend is the cheapest web server there can be: one epoll loop that answers every request with a fixed body whose
// size is in the path. It stands behind the proxies that are compared, so that their cost is what is measured.
//
//	backend -listen 127.0.0.1:8080
//
// /128, /16k, /1m and /bytes/N answer that many bytes with Content-Length, /json/20k such that look like JSON, /keys/20 that
// many public keys as a JSON Web Key Set; request content is read and dropped, in HTTP/1.1 only with Content-Length. HTTP/2 is spoken to clients that begin with its preface. /served answers how many
// requests there were so far. It prints the address it listens on; SIGTERM and SIGINT end it.
package main

import (
	"flag"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"traffic_management/perf/socket"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "`address` to accept connections on")
	flag.Parse()
	if err := run(*listen); err != nil {
		fmt.Fprintln(os.Stderr, "backend:", err)
		os.Exit(1)
	}
}

func run(listen string) error {
	at, err := netip.ParseAddrPort(listen)
	if err != nil {
		return err
	}
	s, err := newServer(at)
	if err != nil {
		return err
	}
	fmt.Println("listening on", at)
	for {
		ready, err := s.set.Wait(-1)
		if err != nil {
			return err
		}
		for i := range ready {
			s.handle(int(ready[i].Fd), ready[i].Events)
		}
	}
}

func newServer(at netip.AddrPort) (*server, error) {
	set, err := socket.NewSet()
	if err != nil {
		return nil, err
	}
	fd, err := socket.Listen(at)
	if err != nil {
		return nil, err
	}
	return &server{set: set, listener: fd, answers: map[resource]*answer{}, buf: make([]byte, 256<<10)}, set.Add(fd, unix.EPOLLIN)
}
