package h2

import "encoding/binary"

// setting is the identifier of a setting (RFC 9113 section 6.5.2, RFC 8441, RFC 9218).
type setting uint16

const (
	settingTableSize       setting = 0x1
	settingPush            setting = 0x2
	settingMaxStreams      setting = 0x3
	settingWindow          setting = 0x4
	settingFrameSize       setting = 0x5
	settingHeadBytes       setting = 0x6
	settingExtendedConnect setting = 0x8
	settingNoPriorities    setting = 0x9
)

const (
	assumedStreams = 100 // how many streams a server takes until it says so
	maxUint32      = 1<<32 - 1
)

// settings are what matters to us of those that the peer has announced.
type settings struct {
	maxStreams      int64
	window          int64
	extendedConnect bool
}

func appendSetting(dst []byte, id setting, value int64) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(dst, uint16(id)), uint32(min(value, maxUint32)))
}

// appendSettings appends our SETTINGS, and the update of the connection's window.
func appendSettings(dst []byte, c *Config, r role) []byte {
	start := len(dst)
	dst = appendFrame(dst, 0, frameSettings, 0, 0)
	if r == client {
		dst = appendSetting(dst, settingPush, 0)
	} else {
		dst = appendSetting(dst, settingMaxStreams, int64(c.MaxStreams))
		dst = appendSetting(dst, settingNoPriorities, 1)
		if c.ExtendedConnect {
			dst = appendSetting(dst, settingExtendedConnect, 1)
		}
	}
	dst = appendSetting(dst, settingWindow, c.StreamWindow)
	dst = appendSetting(dst, settingHeadBytes, int64(c.MaxHeadBytes))
	dst[start+2] = byte(len(dst) - start - headerSize)
	if c.ConnWindow > firstWindow {
		dst = appendWindowUpdate(dst, 0, c.ConnWindow-firstWindow)
	}
	return dst
}

// apply takes one setting of the peer (RFC 9113 section 6.5.2). Those that limit what we never send are only checked:
// no table, no push, no frame over the least that all must take.
func (p *settings) apply(id setting, value uint32, from role) *Error {
	switch id {
	case settingPush:
		if value > 1 || from == server && value == 1 {
			return errSettings
		}
	case settingMaxStreams:
		p.maxStreams = int64(value)
	case settingWindow:
		if value > maxWindow {
			return errWindow
		}
		p.window = int64(value)
	case settingFrameSize:
		if value < maxFrameSize || value >= 1<<24 {
			return errSettings
		}
	case settingExtendedConnect:
		if value > 1 || p.extendedConnect && value == 0 {
			return errSettings
		}
		p.extendedConnect = value == 1
	case settingNoPriorities:
		if value > 1 {
			return errSettings
		}
	}
	return nil
}
