// Package frame reads and writes as much of HTTP/2 framing (RFC 9113) as the programs of the benchmark bed need: the
// peers they speak to are proxies under test on the same machine. It is no codec for anything else.
package frame

import (
	"encoding/binary"
	"errors"
	"slices"
)

// Preface is what a client sends first (RFC 9113 section 3.4).
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Type of a frame (RFC 9113 section 6).
type Type uint8

// The types that the bed knows.
const (
	Data         Type = 0x0
	Headers      Type = 0x1
	Reset        Type = 0x3
	Settings     Type = 0x4
	Ping         Type = 0x6
	GoAway       Type = 0x7
	WindowUpdate Type = 0x8
	Continuation Type = 0x9
)

// Flags of a frame, and what they say in frames that have them.
type Flags uint8

// The flags.
const (
	EndStream   Flags = 0x1  // DATA, HEADERS
	Ack         Flags = 0x1  // SETTINGS, PING
	EndHeaders  Flags = 0x4  // HEADERS
	Padded      Flags = 0x8  // DATA, HEADERS
	Prioritised Flags = 0x20 // HEADERS
)

// Setting is the identifier of a parameter (RFC 9113 section 6.5.2).
type Setting uint16

// The settings that the bed heeds or sends.
const (
	HeaderTableSize   Setting = 0x1
	EnablePush        Setting = 0x2
	InitialWindowSize Setting = 0x4
)

// Sizes.
const (
	HeaderLen     = 9
	MaxPayload    = 16384 // unless a setting says otherwise
	DefaultWindow = 65535 // of a stream and of a connection
	MaxWindow     = 1<<31 - 1
)

// What a peer can be refused for.
var (
	ErrSyntax   = errors.New("frame is not understood")
	ErrTooLarge = errors.New("frame is larger than it may be")
)

// Frame is one of them. Payload points into the bytes it was parsed from; padding and priority are cut off.
type Frame struct {
	Type    Type
	Flags   Flags
	Stream  uint32
	Payload []byte
	Charged int // bytes of a DATA frame that count against the windows, padding included
}

// Has reports whether all the given flags are set.
func (f *Frame) Has(flags Flags) bool { return f.Flags&flags == flags }

// Parse reads one frame; n is its size, 0 when it is not whole.
func Parse(b []byte) (f Frame, n int, err error) {
	if len(b) < HeaderLen {
		return f, 0, nil
	}
	size := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	if size > MaxPayload {
		return f, 0, ErrTooLarge
	}
	if len(b) < HeaderLen+size {
		return f, 0, nil
	}
	f = Frame{Type: Type(b[3]), Flags: Flags(b[4]), Stream: binary.BigEndian.Uint32(b[5:]) & MaxWindow,
		Payload: b[HeaderLen : HeaderLen+size], Charged: size}
	return f, HeaderLen + size, f.strip()
}

// strip cuts padding and priority off.
func (f *Frame) strip() error {
	if f.Type != Data && f.Type != Headers {
		return nil
	}
	if f.Has(Padded) {
		if len(f.Payload) == 0 || int(f.Payload[0]) >= len(f.Payload) {
			return ErrSyntax
		}
		f.Payload = f.Payload[1 : len(f.Payload)-int(f.Payload[0])]
	}
	if f.Type == Headers && f.Has(Prioritised) {
		if len(f.Payload) < 5 {
			return ErrSyntax
		}
		f.Payload = f.Payload[5:]
	}
	return nil
}

// Append appends the header of a frame whose payload of the given size follows.
func Append(dst []byte, t Type, flags Flags, stream uint32, size int) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(size>>16), byte(size>>8), byte(size), byte(t), byte(flags)), stream)
}

// Parameter is one setting and its value.
type Parameter struct {
	Setting Setting
	Value   uint32
}

// AppendSettings appends a SETTINGS frame.
func AppendSettings(dst []byte, parameters ...Parameter) []byte {
	dst = Append(dst, Settings, 0, 0, 6*len(parameters))
	for _, p := range parameters {
		dst = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(dst, uint16(p.Setting)), p.Value)
	}
	return dst
}

// EachSetting calls f for the settings of a SETTINGS frame, in their order.
func (f *Frame) EachSetting(each func(Parameter)) error {
	if len(f.Payload)%6 != 0 {
		return ErrSyntax
	}
	for p := range slices.Chunk(f.Payload, 6) {
		each(Parameter{Setting(binary.BigEndian.Uint16(p)), binary.BigEndian.Uint32(p[2:])})
	}
	return nil
}

// AppendAck appends what acknowledges a SETTINGS or a PING frame.
func AppendAck(dst []byte, f *Frame) []byte {
	if f.Type == Settings {
		return Append(dst, Settings, Ack, 0, 0)
	}
	return append(Append(dst, f.Type, Ack, 0, len(f.Payload)), f.Payload...)
}

// AppendWindowUpdate appends a WINDOW_UPDATE frame; stream 0 is the connection.
func AppendWindowUpdate(dst []byte, stream uint32, n int) []byte {
	return binary.BigEndian.AppendUint32(Append(dst, WindowUpdate, 0, stream, 4), uint32(n))
}

// Increment is the number of a WINDOW_UPDATE frame.
func (f *Frame) Increment() (int, error) {
	if len(f.Payload) != 4 {
		return 0, ErrSyntax
	}
	return int(binary.BigEndian.Uint32(f.Payload) & MaxWindow), nil
}
