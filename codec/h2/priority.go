package h2

import "traffic_management/codec"

// priority is that of a response (RFC 9218 section 4): urgency, 0 the most, times two, plus one when it is incremental.
//
// A client that says nothing about a stream is not one that wants its responses one after the other, as section 4.2
// would have it: it may know no priorities, as those of gRPC. Such streams share what there is.
type priority uint8

const (
	priorityUnknown = 3<<1 | 1
	priorityDefault = 3 << 1 // of a field that is there and says nothing
)

func (p priority) incremental() bool { return p&1 != 0 }

// parsePriority reads a priority field value (RFC 9218 section 5), a dictionary of RFC 8941 of which "u" and "i" are
// known. What is not understood is left out.
func parsePriority(v []byte) priority {
	p := priority(priorityDefault)
	for list := v; list != nil; {
		var member []byte
		member, list = codec.NextElement(list)
		for i, c := range member {
			if c == ';' {
				member = codec.TrimOWS(member[:i])
				break
			}
		}
		switch {
		case len(member) == 3 && string(member[:2]) == "u=" && '0' <= member[2] && member[2] <= '7':
			p = p&1 | priority(member[2]-'0')<<1
		case string(member) == "i" || string(member) == "i=?1":
			p |= 1
		case string(member) == "i=?0":
			p &^= 1
		}
	}
	return p
}
