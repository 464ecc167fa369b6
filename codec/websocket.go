package codec

import (
	"crypto/sha1"
	"encoding/base64"
)

// webSocketID is what RFC 6455 section 1.3 has appended to a client's key.
const webSocketID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// AppendWebSocketAccept appends the Sec-WebSocket-Accept that answers a Sec-WebSocket-Key (RFC 6455 section 4.2.2).
func AppendWebSocketAccept(dst, key []byte) []byte {
	var buf [64]byte // a valid key has 24 bytes
	sum := sha1.Sum(append(append(buf[:0], key...), webSocketID...))
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}
