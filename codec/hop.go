package codec

// LookupConnOption is the option of this name; other tokens nominate fields. What is no token can name no field.
func LookupConnOption(option []byte) ConnOption {
	switch {
	case EqualFold(option, "keep-alive"):
		return OptKeepAlive
	case EqualFold(option, "close"):
		return OptClose
	case EqualFold(option, "upgrade"):
		return OptUpgrade
	case EqualFold(option, "te"):
		return OptTE
	case IsToken(option):
		return OptNames
	}
	return 0
}

// RemoveHopByHop marks the fields that Connection nominates as not to be sent (RFC 9110 section 7.6.1), but for those
// that tell a server whom it serves and what it gets, which a client must not be able to take away. The hop-by-hop
// fields that have a meaning of their own stay: no version's Append functions send them.
func RemoveHopByHop(h *Head) {
	if h.Options&OptNames == 0 {
		return
	}
	for i := range h.Fields {
		if h.Fields[i].ID != FieldConnection {
			continue
		}
		for list := h.Fields[i].Value; list != nil; {
			var option []byte
			option, list = NextElement(list)
			if LookupConnOption(option) == OptNames && Traits[LookupFieldID(option)]&(TraitProtected|TraitInterpreted) == 0 {
				h.RemoveName(option)
			}
		}
	}
}
