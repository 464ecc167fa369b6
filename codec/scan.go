package codec

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// The scans below read eight bytes at a time. A test of a word sets the high bit of every byte that is looked for, and
// seldom that of a byte above such a one, or above 0xff: what it finds first is looked at again where that matters.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// word is b[i:i+8], the first byte lowest. The caller has made sure that i+8 <= len(b): the compiler cannot see it, and
// its checks would cost as much as the scans.
func word(b []byte, i int) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), i))[:])
}

// putWord stores w at b[i:i+8], as word reads it.
func putWord(b []byte, i int, w uint64) {
	binary.LittleEndian.PutUint64((*[8]byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), i))[:], w)
}

// half is b[i:i+4], as word is b[i:i+8].
func half(b []byte, i int) uint64 {
	return uint64(binary.LittleEndian.Uint32((*[4]byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), i))[:]))
}

// putHalf stores the lower half of w at b[i:i+4].
func putHalf(b []byte, i int, w uint64) {
	binary.LittleEndian.PutUint32((*[4]byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), i))[:], uint32(w))
}

// notValue sets the high bit of the bytes of w that are not of a field value; also of HTAB.
func notValue(w uint64) uint64 { return ((w - 0x20*ones) | (w + ones)) &^ w & highs }

// NextColon is the index of the first ":" of b from i on, or len(b).
func NextColon(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		d := word(b, i) ^ ':'*ones
		if m := (d - ones) &^ d & highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(b) && b[i] != ':' {
		i++
	}
	return i
}

// NextNotValue is the index of the first byte of b from i on that is not of a field value, or len(b).
func NextNotValue(b []byte, i int) int {
	for i+8 <= len(b) {
		m := notValue(word(b, i))
		if m == 0 {
			i += 8
			if i+8 > len(b) {
				break
			}
			if m = notValue(word(b, i)); m == 0 {
				i += 8
				continue
			}
		}
		i += bits.TrailingZeros64(m) >> 3
		if Classes[b[i]]&ClassValue == 0 {
			return i
		}
		i++ // HTAB, or above 0xff
	}
	for i < len(b) && Classes[b[i]]&ClassValue != 0 {
		i++
	}
	return i
}

// CopyValue copies v to the start of dst, which has room for it, and reports whether every byte is of a field value.
func CopyValue(dst, v []byte) bool {
	last, odd := len(v)-8, uint64(0)
	switch {
	case last >= 0:
		for i := 0; i < last; i += 8 {
			w := word(v, i)
			putWord(dst, i, w)
			odd |= notValue(w)
		}
		w := word(v, last)
		putWord(dst, last, w)
		odd |= notValue(w)
	case last >= -4:
		w := half(v, 0) | half(v, last+4)<<32
		putHalf(dst, 0, w)
		putHalf(dst, last+4, w>>32)
		odd = notValue(w)
	default:
		copy(dst, v)
		odd = 1
	}
	return odd == 0 || All(v, ClassValue)
}

// CopyName copies name to the start of dst, which has room for it. It is faster than copy for as few bytes as names have.
func CopyName(dst, name []byte) {
	last := len(name) - 8
	if last >= 0 {
		for i := 0; i < last; i += 8 {
			putWord(dst, i, word(name, i))
		}
		putWord(dst, last, word(name, last))
		return
	}
	if last >= -4 {
		putHalf(dst, 0, half(name, 0))
		putHalf(dst, last+4, half(name, last+4))
		return
	}
	copy(dst, name)
}

// NextNotTarget is the index of the first byte of b from i on that a request target cannot hold, or len(b).
func NextNotTarget(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		w := word(b, i)
		f := w ^ '#'*ones
		if m := ((w - 0x21*ones) | (w + ones) | w | (f-ones)&^f) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(b) && b[i] > 0x20 && b[i] < 0x7f && b[i] != '#' {
		i++
	}
	return i
}

// NextNotToken is the index of the first byte of b from i on that is no tchar, or len(b).
func NextNotToken(b []byte, i int) int {
	for i < len(b) && Classes[b[i]]&ClassToken != 0 {
		i++
	}
	return i
}
