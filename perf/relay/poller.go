package main

import (
	"fmt"

	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"

	"traffic_management/perf/socket"
)

// poller is one of the ways to hear of ready sockets that the relay compares.
type poller interface {
	add(fd int, events uint32) error
	run(r *relay) error
}

func openPoller(kind string) (poller, error) {
	switch kind {
	case "gnet":
		p, err := netpoll.OpenPoller()
		return gnetPoller{p}, err
	case "nested":
		p, err := netpoll.OpenPoller()
		if err != nil {
			return nil, err
		}
		s, err := socket.NewSet()
		return nestedPoller{s, p}, err
	case "own", "spin":
		s, err := socket.NewSet()
		if kind == "spin" {
			return spinPoller{s}, err
		}
		return ownPoller{s}, err
	}
	return nil, fmt.Errorf("unknown poller %q", kind)
}

// ownPoller is bare epoll_pwait, each call through the runtime's blocking-call bookkeeping.
type ownPoller struct{ *socket.Set }

func (p ownPoller) add(fd int, events uint32) error { return p.Add(fd, events) }

func (p ownPoller) run(r *relay) error {
	for {
		ready, err := p.Wait(-1)
		if err != nil {
			return err
		}
		for i := range ready {
			r.handle(int(ready[i].Fd), ready[i].Events)
		}
	}
}

// spinPoller asks without waiting first, behind the runtime's back, and waits only when there was nothing.
type spinPoller struct{ *socket.Set }

func (p spinPoller) add(fd int, events uint32) error { return p.Add(fd, events) }

func (p spinPoller) run(r *relay) error {
	for {
		ready, err := p.Poll()
		if err == nil && len(ready) == 0 {
			ready, err = p.Wait(-1)
		}
		if err != nil {
			return err
		}
		for i := range ready {
			r.handle(int(ready[i].Fd), ready[i].Events)
		}
	}
}

// gnetPoller is gnet's poller alone.
type gnetPoller struct{ *netpoll.Poller }

func (p gnetPoller) add(fd int, events uint32) error {
	if events&unix.EPOLLOUT != 0 {
		return p.AddReadWrite(&netpoll.PollAttachment{FD: fd}, true)
	}
	return p.AddRead(&netpoll.PollAttachment{FD: fd}, false)
}

func (p gnetPoller) run(r *relay) error {
	return p.Polling(func(fd int, events netpoll.IOEvent, _ netpoll.IOFlags) error {
		r.handle(fd, events)
		return nil
	})
}

// nestedPoller lets gnet's poller wait for one inner set, which holds the sockets and is emptied without waiting.
type nestedPoller struct {
	*socket.Set
	outer *netpoll.Poller
}

func (p nestedPoller) add(fd int, events uint32) error { return p.Add(fd, events) }

func (p nestedPoller) run(r *relay) error {
	if err := p.outer.AddRead(&netpoll.PollAttachment{FD: p.FD()}, true); err != nil {
		return err
	}
	return p.outer.Polling(func(int, netpoll.IOEvent, netpoll.IOFlags) error {
		for {
			ready, err := p.Poll()
			if err != nil || len(ready) == 0 {
				return err
			}
			for i := range ready {
				r.handle(int(ready[i].Fd), ready[i].Events)
			}
		}
	})
}
