package engine_test

import (
	"fmt"
	"testing"
)

// TestConnectionsGoToTheLoopWithFewer has clients come to two loops of which one has its hands full: the other one gets
// every connection, also those that the kernel gave to the first, and no client notices.
func TestConnectionsGoToTheLoopWithFewer(t *testing.T) {
	const clients, burden = 40, 1000
	for busy := range 2 {
		t.Run(fmt.Sprintf("loop %d is busy", busy), func(t *testing.T) {
			b := listen(t)
			b.serve("x")
			p := site{servers: []string{b.address}, loops: 2, entry: fmt.Sprintf("max_connections: %d", clients)}.start(t)
			p.Burden(busy, burden)
			all := make([]*peer, clients)
			for i := range all {
				all[i] = p.dial(t)
				all[i].say(get)
			}
			for range 2 {
				for _, c := range all {
					c.hear(response("x"))
					c.say(get)
				}
			}
			for _, c := range all {
				c.hear(response("x"))
			}
			if n, m := p.Clients(busy), p.Clients(1-busy); n != burden || m != clients {
				t.Errorf("the busy loop got %d clients, the other one %d", n-burden, m)
			}
			for _, c := range all {
				c.close()
			}
			p.Burden(busy, -burden)
			last := p.dial(t) // for whom there is room again
			last.say(get)
			last.hear(response("x"))
		})
	}
}
