package h2

import "traffic_management/codec"

// protocolOffer is what a client's session keeps of a request that offers a protocol, to answer as HTTP/1.1 would.
type protocolOffer struct {
	protocol, key []byte
}

// accept gives the response that accepts an extended CONNECT its neutral form, 101 (RFC 8441 section 5).
func (t *Stream) accept(x *section) {
	t.tunnel, t.length = tunnelOpen, -1
	h := &x.head
	h.Status, h.Framing, h.Length = 101, codec.NoContent, -1
	h.Options |= codec.OptUpgrade
	h.Remove(codec.FieldContentLength)
	h.Set(codec.FieldUpgrade, t.offer.protocol)
	if len(t.offer.key) > 0 {
		h.Fields = append(h.Fields, codec.Field{Name: acceptName, Value: codec.AppendWebSocketAccept(nil, t.offer.key)})
	}
}

var acceptName = []byte("Sec-WebSocket-Accept")
