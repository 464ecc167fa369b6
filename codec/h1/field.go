package h1

import (
	"slices"

	"traffic_management/codec"
)

// badName is the fault of the first byte of b that a name cannot hold, or faultNone.
func badName(b []byte) fault {
	i := codec.NextNotToken(b, 0)
	switch {
	case i == len(b):
		return faultNone
	case !isOWS(b[i]):
		return faultName
	case i > 0:
		return faultNameSpace
	}
	return faultFold
}

// lineEnd takes the CR LF at b[i:] and returns the index behind it, or 0 when more is needed. A byte other than CR and
// LF where the CR should be is the fault other.
func lineEnd(b []byte, i int, other fault) (next int, bad fault) {
	switch {
	case i == len(b):
		return 0, faultNone
	case b[i] != '\r' && b[i] != '\n':
		return 0, other
	case b[i] == '\n':
		return 0, faultLineEnd
	case i+1 == len(b):
		return 0, faultNone
	case b[i+1] != '\n':
		return 0, faultLineEnd
	}
	return i + 2, faultNone
}

func isOWS(c byte) bool { return c == ' ' || c == '\t' }

// section is a field section being parsed, and what is known of the fields that frame and address its message.
type section struct {
	head        *codec.Head // takes the fields and their meaning
	limits      *Limits
	interpreted codec.Trait // the trait of the fields that have a meaning here; 0 for trailers

	hosts, lengths, codings int // lines seen
	options                 int // connection options seen
}

// parse parses the field lines at b[i:] and the empty line behind them (RFC 9112 section 5). next is the index behind
// it, or 0 when more is needed. Most of a head's time is spent here: the parts of a line are not functions of their own.
func (s *section) parse(b []byte, i int) (next int, bad fault) {
	fields := s.head.Fields[:0]
	for {
		if i >= len(b) {
			return 0, faultNone
		}
		if b[i] == '\r' {
			s.head.Fields = fields
			return lineEnd(b, i, faultLineEnd)
		}
		n := len(fields)
		if n == s.limits.Fields {
			return 0, faultFields
		}
		colon := codec.NextColon(b, i)
		name := b[i:colon:colon]
		if colon == len(b) {
			return 0, badName(name)
		}
		id := codec.LookupFieldID(name)
		if id == codec.FieldOther && !codec.IsToken(name) {
			return 0, max(badName(name), faultName) // an empty name has no bad byte
		}
		start := colon + 1
		for start < len(b) && b[start] <= ' ' && isOWS(b[start]) {
			start++
		}
		end := codec.NextNotValue(b, start)
		if end+1 >= len(b) || b[end] != '\r' || b[end+1] != '\n' {
			return lineEnd(b, end, faultValue)
		}
		i = end + 2
		for end > start && b[end-1] <= ' ' {
			end-- // white space: nothing else this low is of a value
		}
		if n == cap(fields) {
			fields = slices.Grow(fields, max(n, 16))
			s.head.Fields = fields
		}
		fields = fields[:n+1]
		f := &fields[n]
		f.Name, f.Value, f.ID = name, b[start:end:end], id
		if codec.Traits[id]&s.interpreted != 0 {
			if bad = s.interpret(f); bad != faultNone {
				return 0, bad
			}
		}
	}
}

// interpret takes the meaning of one field line with codec.TraitInterpreted into the head.
func (s *section) interpret(f *codec.Field) fault {
	switch f.ID {
	case codec.FieldConnection:
		return s.connection(f.Value)
	case codec.FieldContentLength:
		s.lengths++
		switch {
		case s.codings > 0:
			return faultLengthAndCoding
		case s.lengths > 1:
			return faultLengthTwice
		}
		length, ok := codec.ParseLength(f.Value)
		if !ok {
			return faultLength
		}
		s.head.Length = length
	case codec.FieldTransferEncoding:
		s.codings++
		switch {
		case s.lengths > 0:
			return faultLengthAndCoding
		case s.head.Version == codec.HTTP10:
			return faultCodingOld
		case s.codings > 1:
			return faultCoding
		}
		return badCoding(f.Value)
	case codec.FieldHost:
		if s.head.Status == 0 {
			return s.host(f.Value)
		}
	}
	return faultNone
}

// connection takes the options of a Connection field line (RFC 9110 section 7.6.1).
func (s *section) connection(list []byte) fault {
	for list != nil {
		var option []byte
		option, list = codec.NextElement(list)
		if s.options++; s.options > s.limits.Fields {
			return faultOptions
		}
		s.head.Options |= codec.LookupConnOption(option)
	}
	return faultNone
}

// host takes a request's Host field (RFC 9112 section 3.2). It must not contradict the request target's authority; the
// port may be left out beside CONNECT's, as that section's example does.
func (s *section) host(value []byte) fault {
	if s.hosts++; s.hosts > 1 {
		return faultHostTwice
	}
	if len(value) > 0 && !codec.ValidAuthority(value) {
		return faultHost
	}
	h := s.head
	switch h.Form {
	case codec.AbsoluteForm:
		if !codec.EqualFold(h.Authority, value) {
			return faultHostDiffers
		}
	case codec.AuthorityForm:
		if !codec.EqualFold(h.Authority, value) && !codec.EqualFold(h.Authority[:codec.PortColon(h.Authority)], value) {
			return faultHostDiffers
		}
	default:
		h.Authority = value
	}
	return faultNone
}
