package h1

import "traffic_management/codec"

// badCoding is the fault of a Transfer-Encoding value, faultNone when it is "chunked" (RFC 9112 sections 6.1 and 7).
// Codings that we do not know are another fault than a list that no recipient can frame.
func badCoding(value []byte) fault {
	if codec.EqualFold(value, "chunked") {
		return faultNone
	}
	for list := value; list != nil; {
		var coding []byte
		coding, list = codec.NextElement(list)
		name := coding
		for i, c := range coding {
			if c == ';' {
				name = codec.TrimOWS(coding[:i])
				break
			}
		}
		if !codec.IsToken(name) {
			return faultCoding
		}
		if codec.EqualFold(name, "chunked") && (list != nil || len(name) != len(coding)) {
			return faultCoding // not the last one, or with a parameter
		}
	}
	return faultCodingUnknown
}

// frameRequest sets the framing of a request whose field section is parsed (RFC 9112 section 6.3).
func (s *section) frameRequest() {
	switch {
	case s.codings > 0:
		s.head.Framing = codec.ByChunks
	case s.head.Length > 0:
		s.head.Framing = codec.ByLength
	default:
		s.head.Framing = codec.NoContent
	}
}

// frameResponse sets the framing of a response to a request of this method (RFC 9112 section 6.3). Length stays as
// stated where the response has no content whatever it says.
func (s *section) frameResponse(request codec.Method) {
	h := s.head
	switch {
	case codec.Contentless(request, h.Status):
		h.Framing = codec.NoContent
	case s.codings > 0:
		h.Framing = codec.ByChunks
	case h.Length > 0:
		h.Framing = codec.ByLength
	case h.Length == 0:
		h.Framing = codec.NoContent
	default:
		h.Framing = codec.ByClose
	}
}
