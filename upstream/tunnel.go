package upstream

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"

	"traffic_management/codec"
)

var (
	errSwitch = &codec.Error{Side: codec.Upstream, Kind: codec.KindSyntax, Retry: codec.RetryNever, Status: 502,
		Cause: errText("the server switched protocols without being asked")}
	errSwitchOther = &codec.Error{Side: codec.Upstream, Kind: codec.KindSyntax, Retry: codec.RetryNever, Status: 502,
		Cause: errText("the server switched to another protocol than it was offered")}
	errSwitchProof = &codec.Error{Side: codec.Upstream, Kind: codec.KindSyntax, Retry: codec.RetryNever, Status: 502,
		Cause: errText("the server's Sec-WebSocket-Accept does not answer the key it was sent")}
	errTunnelLost = &codec.Error{Side: codec.Upstream, Kind: codec.KindClosed, Retry: codec.RetryNever, Status: 502,
		Cause: errText("the server reset the tunnel")}
)

// offer is what a request offers its server (RFC 9110 section 7.8).
type offer struct {
	protocol []byte
	key      []byte // the Sec-WebSocket-Key that is ours: the client's version has none; nil when the client sent one
}

const (
	webSocket       = "websocket"
	webSocketKey    = "Sec-WebSocket-Key"
	webSocketAccept = "Sec-WebSocket-Accept"
)

// offers notes which protocol a request offers the server. Whatever the server makes of that, its connection is not used
// for another request. An offer of WebSocket that came over HTTP/2, where it has no key, gets one (RFC 8441 section 5).
func (c *h1conn) offers(h *codec.Head) {
	protocol := h.Get(codec.FieldUpgrade)
	if protocol == nil {
		return
	}
	c.keep |= codec.OptUpgrade
	c.offer = &offer{protocol: bytes.Clone(protocol)}
	if h.Version != codec.HTTP2 || !codec.EqualFold(protocol, webSocket) {
		return
	}
	rnd := c.pool.pools.rnd
	nonce := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, rnd.Uint64()), rnd.Uint64())
	c.offer.key = base64.StdEncoding.AppendEncode(nil, nonce)
	h.Fields = append(h.Fields, codec.Field{Name: []byte(webSocketKey), Value: c.offer.key})
}

// proves reports whether a 101 response answers the key that is ours, and takes the answer out, which the client does not
// expect.
func (o *offer) proves(h *codec.Head) bool {
	if o.key == nil {
		return true
	}
	accept, ok := h.Lookup(webSocketAccept)
	h.RemoveName([]byte(webSocketAccept))
	return ok && string(accept) == string(codec.AppendWebSocketAccept(nil, o.key))
}

// switched handles a 101 response of n bytes; false: the attempt is over.
func (c *h1conn) switched(a *Attempt, h *codec.Head, n int) bool {
	switch {
	case c.keep&codec.OptUpgrade == 0:
		c.broken(a, errSwitch)
		return false
	case h.Options&codec.OptUpgrade == 0 || !bytes.EqualFold(h.Get(codec.FieldUpgrade), c.offer.protocol):
		c.broken(a, errSwitchOther)
		return false
	case !c.offer.proves(h):
		c.broken(a, errSwitchProof)
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
