package h2

import (
	"encoding/binary"
	"strings"

	"golang.org/x/net/http2/hpack"
)

const (
	shortCode   = 9  // bits looked up at once: the codes of all that is frequent
	longestCode = 30 // bits
)

// huffman decodes the code of RFC 7541 appendix B. That code is canonical: written as fractions, longer codes are larger
// ones, and codes of one length follow each other in the order of their symbols.
type huffman struct {
	short   [1 << shortCode]huffmanShort
	ends    [longestCode + 1]uint64 // by length: where its codes end, as a fraction of 2^64
	places  [longestCode + 1]uint64 // by length: index into symbols of its first code, minus that code
	symbols [256]byte               // in the order of their codes
}

// huffmanShort is what a short code at the start of some bits stands for; length 0: the code is a longer one.
type huffmanShort struct{ symbol, length uint8 }

var huffmanTable = makeHuffman()

// makeHuffman takes the code from the library's encoder.
func makeHuffman() *huffman {
	t := &huffman{}
	n, end := 0, uint64(0)
	for length := 1; length <= longestCode; length++ {
		for symbol := range 256 {
			s := string([]byte{byte(symbol)})
			if hpack.HuffmanEncodeLength(strings.Repeat(s, 8)) != uint64(length) { // in bytes, for eight: bits, for one
				continue
			}
			var encoded [8]byte
			copy(encoded[:], hpack.AppendHuffmanString(nil, s))
			code := binary.BigEndian.Uint64(encoded[:]) >> (64 - length)
			if end>>(64-length) != code {
				panic("h2: the Huffman code is not canonical")
			}
			t.places[length] = uint64(n) - code
			t.symbols[n] = byte(symbol)
			n++
			end += 1 << (64 - length)
			if length <= shortCode {
				first := code << (shortCode - length)
				for k := range uint64(1) << (shortCode - length) {
					t.short[first+k] = huffmanShort{byte(symbol), uint8(length)}
				}
			}
		}
		t.ends[length] = end
	}
	return t
}

// verdict is what became of a string of a field block.
type verdict uint8

const (
	stringWhole verdict = iota
	stringLong          // more than there is room for: it was not decoded
	stringBad           // not what RFC 7541 allows
)

// decode appends to dst what src encodes (RFC 7541 section 5.2), as far as dst has capacity.
func (t *huffman) decode(dst, src []byte) ([]byte, verdict) {
	var (
		acc  uint64 // bits to decode, the first one highest; behind those that count, zeros or what follows in src
		have uint   // bits of acc that count
		out  = dst[len(dst):cap(dst)]
		n    = 0
	)
	for {
		if len(src) >= 8 {
			acc |= binary.BigEndian.Uint64(src) >> have
			k := (63 - have) >> 3
			src = src[k:]
			have += 8 * k
		} else {
			for have <= 56 && len(src) > 0 {
				acc |= uint64(src[0]) << (56 - have)
				have += 8
				src = src[1:]
			}
		}
		for {
			s := t.short[acc>>(64-shortCode)]
			if s.length == 0 {
				s = t.long(acc)
			}
			if uint(s.length) > have || s.length == 0 {
				break
			}
			if n == len(out) {
				return dst, stringLong
			}
			out[n] = s.symbol
			n++
			acc <<= s.length
			if have -= uint(s.length); have < longestCode && len(src) > 0 {
				break
			}
		}
		if have >= longestCode || len(src) == 0 {
			break
		}
	}
	// What is left must be padding: the start of the code of ones, less than a byte of it.
	if have > 7 || acc != ^uint64(0)<<(64-have) {
		return dst, stringBad
	}
	return dst[:len(dst)+n], stringWhole
}

// long finds the long code at the start of acc; length 0: there is none, as in the code that ends a string.
func (t *huffman) long(acc uint64) huffmanShort {
	for length := shortCode + 1; length <= longestCode; length++ {
		if acc < t.ends[length] {
			return huffmanShort{t.symbols[t.places[length]+acc>>(64-length)], uint8(length)}
		}
	}
	return huffmanShort{}
}
