package frontend_test

import "testing"

// gauge is a Meter of tunnels.
type gauge struct {
	nothing
	tunnels int
}

func (g *gauge) TunnelOpened() { g.tunnels++ }
func (g *gauge) TunnelClosed() { g.tunnels-- }

// A reload may give an entry point another meter. A tunnel is taken off the one it was put on.
func TestTunnelEndsWhereItWasCounted(t *testing.T) {
	s := newStall(t)
	before, after := &gauge{}, &gauge{}
	s.entry.Meter = before
	tunnel, late := s.client(), s.client()
	tunnel.sends(upgrade)
	s.servers[0].sends(switched)
	s.entry.Meter = after
	late.sends(upgrade)
	s.servers[1].sends(switched)
	if before.tunnels+after.tunnels != 2 {
		t.Fatalf("%d and %d tunnels are counted, want 2 in all", before.tunnels, after.tunnels)
	}
	tunnel.conn.Abort()
	late.conn.Abort()
	s.loop.Run()
	if before.tunnels != 0 || after.tunnels != 0 {
		t.Errorf("%d and %d tunnels are counted when all have ended", before.tunnels, after.tunnels)
	}
}
