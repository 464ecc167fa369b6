package h2

import "encoding/binary"

// frameType is the type of a frame (RFC 9113 section 6, RFC 9218 section 7.1).
type frameType uint8

const (
	frameData           frameType = 0x0
	frameHeaders        frameType = 0x1
	framePriority       frameType = 0x2
	frameReset          frameType = 0x3
	frameSettings       frameType = 0x4
	framePush           frameType = 0x5
	framePing           frameType = 0x6
	frameGoAway         frameType = 0x7
	frameWindowUpdate   frameType = 0x8
	frameContinuation   frameType = 0x9
	framePriorityUpdate frameType = 0x10
)

// Flags of frames.
const (
	flagAck        = 0x1
	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

const (
	headerSize   = 9         // of a frame's header
	maxFrameSize = 16384     // of a frame's payload, ours and what we send (RFC 9113 section 4.2)
	maxWindow    = 1<<31 - 1 // RFC 9113 section 6.9.1
	firstWindow  = 65535     // before anybody says otherwise (section 6.9.2)
	streamBits   = 1<<31 - 1
)

// preface begins what a client sends (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// frame is the header of a frame (RFC 9113 section 4.1).
type frame struct {
	length int
	typ    frameType
	flags  uint8
	stream uint32
}

// parseFrame reads the header at the start of b, which has headerSize bytes at least.
func parseFrame(b []byte) frame {
	w := binary.BigEndian.Uint64(b)
	return frame{length: int(w >> 40), typ: frameType(w >> 32), flags: uint8(w >> 24),
		stream: (uint32(w)<<8 | uint32(b[8])) & streamBits}
}

func (f *frame) has(flag uint8) bool { return f.flags&flag != 0 }

func appendFrame(dst []byte, length int, t frameType, flags uint8, stream uint32) []byte {
	return append(dst, byte(length>>16), byte(length>>8), byte(length), byte(t), flags,
		byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
}

// putFrame writes a header to b, which has room.
func putFrame(b []byte, length int, t frameType, flags uint8, stream uint32) {
	binary.BigEndian.PutUint64(b, uint64(length)<<40|uint64(t)<<32|uint64(flags)<<24|uint64(stream>>8))
	b[8] = byte(stream)
}

func appendReset(dst []byte, stream uint32, c ErrCode) []byte {
	return binary.BigEndian.AppendUint32(appendFrame(dst, 4, frameReset, 0, stream), uint32(c))
}

func appendWindowUpdate(dst []byte, stream uint32, n int64) []byte {
	return binary.BigEndian.AppendUint32(appendFrame(dst, 4, frameWindowUpdate, 0, stream), uint32(n))
}

// appendGoAway appends a GOAWAY frame whose debug data is the reason.
func appendGoAway(dst []byte, last uint32, c ErrCode, reason string) []byte {
	dst = appendFrame(dst, 8+len(reason), frameGoAway, 0, 0)
	dst = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(dst, last), uint32(c))
	return append(dst, reason...)
}

func appendPing(dst []byte, flags uint8, data uint64) []byte {
	return binary.BigEndian.AppendUint64(appendFrame(dst, 8, framePing, flags, 0), data)
}

// unpad takes the padding off a payload (RFC 9113 section 6.1).
func (f *frame) unpad(p []byte) ([]byte, *Error) {
	if !f.has(flagPadded) {
		return p, nil
	}
	if len(p) == 0 {
		return nil, errFrameSize
	}
	pad := int(p[0])
	if pad >= len(p) {
		return nil, errPadding
	}
	return p[1 : len(p)-pad], nil
}
