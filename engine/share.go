package engine

import (
	"golang.org/x/sys/unix"

	"traffic_management/engine/reactor"
)

// The kernel spreads new connections over the loops' sockets by a hash, whatever the loops have to do. Connections that
// last, of which one loop has many more than another, would leave cores idle beside a busy one; so a loop that has clearly
// more than the loop with the fewest passes a new connection on, before anything of it was read.

// passes decides whether a loop with this many client connections passes the next one on to a loop with so many: chance
// alone makes differences that are not worth it.
func passes(mine, least int64) bool { return mine > least+least/4+8 }

// relief is the keeper on the loop with the fewest client connections, when this one has many more; nil otherwise, and
// while the door opens or closes.
func (k *doorkeeper) relief() *doorkeeper {
	workers := k.clients.workers
	if int(k.accepting.Load()) < len(k.keepers) {
		return nil
	}
	best, least := -1, int64(0)
	for i, w := range workers {
		if n := w.clients.Load(); best < 0 || n < least {
			best, least = i, n
		}
	}
	if !passes(workers[k.loop.Index()].clients.Load(), least) {
		return nil
	}
	return k.keepers[best]
}

// passOn gives a connection that was just accepted to another loop's keeper of the same door. It reports false when it has
// to stay.
func (k *doorkeeper) passOn(to *doorkeeper, c reactor.Conn) bool {
	fd, ok := c.Detach()
	if !ok {
		return false
	}
	k.worker().clients.Add(-1)
	to.worker().clients.Add(1)
	if !to.loop.Post(func() { to.receive(fd) }) {
		_ = unix.Close(fd) // that loop has ended, and so does the process
		to.left()
	}
	return true
}

// receive takes a connection from another loop, which has counted it.
func (k *doorkeeper) receive(fd int) {
	c := k.loop.Attach(fd, nil)
	c.SetSink(k.entry.Accept(c))
}

func (k *doorkeeper) worker() *worker { return k.clients.workers[k.loop.Index()] }
