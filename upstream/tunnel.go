package upstream

import (
	"bytes"

	"traffic_management/codec"
)

var (
	errSwitch = &codec.Error{Side: codec.Upstream, Kind: codec.KindSyntax, Retry: codec.RetryNever, Status: 502,
		Cause: errText("the server switched protocols without being asked")}
	errSwitchOther = &codec.Error{Side: codec.Upstream, Kind: codec.KindSyntax, Retry: codec.RetryNever, Status: 502,
		Cause: errText("the server switched to another protocol than it was offered")}
	errTunnelLost = &codec.Error{Side: codec.Upstream, Kind: codec.KindClosed, Retry: codec.RetryNever, Status: 502,
		Cause: errText("the server reset the tunnel")}
)

// offer notes which protocol a request offers the server (RFC 9110 section 7.8). Whatever the server makes of that, its
// connection is not used for another request.
func (c *h1conn) offer(h *codec.Head) {
	if protocol := h.Get(codec.FieldUpgrade); protocol != nil {
		c.keep |= codec.OptUpgrade
		c.offered = bytes.Clone(protocol)
	}
}

// switched handles a 101 response of n bytes; false: the attempt is over.
func (c *h1conn) switched(a *Attempt, h *codec.Head, n int) bool {
	switch {
	case c.keep&codec.OptUpgrade == 0:
		c.broken(a, errSwitch)
		return false
	case h.Options&codec.OptUpgrade == 0 || !bytes.EqualFold(h.Get(codec.FieldUpgrade), c.offered):
		c.broken(a, errSwitchOther)
		return false
	}
	a.heard(h.Status)
	c.send, c.recv = partTunnel, partTunnel
	c.pool.pools.loop.Stop(&a.timer) // silence in a tunnel is the frontend's to judge
	a.receiver.Head(h, false)
	c.consume(n)
	return true
}

// sendTunnel sends bytes of the other protocol; end closes our direction behind them.
func (c *h1conn) sendTunnel(p []byte, end bool) {
	if len(p) > 0 {
		c.conn.Write(p)
	}
	if !end {
		return
	}
	c.send = partWhole
	if c.recv == partWhole {
		c.detach()
		c.close()
		return
	}
	c.conn.CloseWrite()
}

// tunnelEnded handles the end of the server's direction: the tunnel goes on until ours ends, too.
func (c *h1conn) tunnelEnded(a *Attempt) {
	switch {
	case c.recv == partWhole: // told before
	case c.send == partTunnel:
		c.recv = partWhole
		a.receiver.Data(nil, true)
	default:
		c.detach().Data(nil, true)
		c.close()
	}
}
