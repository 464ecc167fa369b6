package mw

import (
	"traffic_management/codec"
)

// maxCodings is how many elements of Accept-Encoding are read. Browsers send four.
const maxCodings = 32

// weights are what a client says of each coding, in thousandths; -1: nothing.
type weights struct {
	of       [codings]int
	wildcard int
}

// choose picks the coding for the response to this request (RFC 9110 section 12.5.3): the one with the highest weight,
// of several the first by preference. It is CodingIdentity when none is acceptable, when that is what the client would
// rather have, when it forbids transformation (RFC 9111 section 5.2.1.6), and when the list is longer than can be meant.
func (c *Compress) choose(h *codec.Head) Coding {
	w := weights{wildcard: -1}
	for i := range w.of {
		w.of[i] = -1
	}
	n := 0
	for i := range h.Fields {
		f := &h.Fields[i]
		switch f.ID {
		case codec.FieldCacheControl:
			if hasElement(f.Value, "no-transform") {
				return CodingIdentity
			}
		case codec.FieldAcceptEncoding:
			for list := f.Value; list != nil; n++ {
				if n == maxCodings {
					return CodingIdentity
				}
				var element []byte
				element, list = codec.NextElement(list)
				w.note(element)
			}
		}
	}
	best, highest := CodingIdentity, max(w.of[CodingIdentity], 1)
	for _, k := range c.kinds {
		weight := w.of[k.Coding]
		if weight < 0 {
			weight = w.wildcard
		}
		if weight > highest || weight == highest && best == CodingIdentity {
			best, highest = k.Coding, weight
		}
	}
	return best
}

// note takes one element. Of contradictory ones the lowest weight holds, and one that cannot be read is a refusal.
func (w *weights) note(element []byte) {
	name, weight := splitWeight(element)
	at := &w.wildcard
	if len(name) != 1 || name[0] != '*' {
		coding, ok := lookupCoding(name)
		if !ok {
			return
		}
		at = &w.of[coding]
	}
	if *at < 0 || weight < *at {
		*at = weight
	}
}

// splitWeight splits `name;q=0.5` (RFC 9110 section 12.4.2); the weight is in thousandths, 1000 without one and 0 when
// it cannot be read.
func splitWeight(element []byte) (name []byte, weight int) {
	for i, c := range element {
		if c == ';' {
			return codec.TrimOWS(element[:i]), parseWeight(codec.TrimOWS(element[i+1:]))
		}
	}
	return element, 1000
}

// parseWeight is the value of "q=" qvalue in thousandths, 0 for anything else.
func parseWeight(b []byte) int {
	if len(b) < 3 || len(b) > len("q=0.000") || codec.Lower(b[0]) != 'q' || b[1] != '=' {
		return 0
	}
	b = b[2:]
	if b[0] != '0' && b[0] != '1' || len(b) > 1 && b[1] != '.' {
		return 0
	}
	weight, unit := int(b[0]-'0')*1000, 100
	for _, c := range b[min(2, len(b)):] {
		if c < '0' || c > '9' {
			return 0
		}
		weight += int(c-'0') * unit
		unit /= 10
	}
	if weight > 1000 {
		return 0
	}
	return weight
}
