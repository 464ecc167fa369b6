package exchange

import (
	"traffic_management/codec"
)

// SetField makes f the only field of its name in the request, or removes all of that name when the value is nil. What a
// server could take for one of them goes, too, unless the entry point keeps aliases. f is lent as long as the exchange.
// Trailers of the client's do not bring that name back. For filters; the host is RequestHead.Authority.
func (x *Exchange) SetField(f codec.Field) {
	fields := x.RequestHead.Fields
	x.ruled = append(x.ruled, f.Name)
	for i := range fields {
		other := &fields[i]
		switch {
		case other.ID == codec.FieldRemoved:
		case other.ID != codec.FieldOther:
			if other.ID == f.ID {
				other.ID = codec.FieldRemoved
			}
		case x.env.Alias == AliasKeep:
			if codec.EqualFold(other.Name, f.Name) {
				other.ID = codec.FieldRemoved
			}
		case aliasOf(other.Name, f.Name):
			other.ID = codec.FieldRemoved
		}
	}
	if f.Value != nil {
		x.RequestHead.Fields = append(fields, f)
	}
}

// isRuled reports whether a filter has decided on the field of this name.
func (x *Exchange) isRuled(name []byte) bool {
	for _, n := range x.ruled {
		if x.env.Alias == AliasKeep && codec.EqualFold(name, n) || x.env.Alias != AliasKeep && aliasOf(name, n) {
			return true
		}
	}
	return false
}

// aliasOf reports whether two names are the same where case does not count and "_" and "." are read as "-".
func aliasOf(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if c != b[i] && unaliased(c) != unaliased(b[i]) {
			return false
		}
	}
	return true
}

func unaliased(c byte) byte {
	if c == '_' || c == '.' {
		return '-'
	}
	return codec.Lower(c)
}

// Text is written anew for each exchange.
type Text interface {
	// AppendTo appends the text to dst. It keeps nothing with the exchange meanwhile.
	AppendTo(dst []byte, x *Exchange) []byte
}

// KeepText is a text that lives as long as the exchange.
func (x *Exchange) KeepText(t Text) []byte {
	n := len(x.arena)
	x.arena = t.AppendTo(x.arena, x)
	return x.arena[n:len(x.arena):len(x.arena)]
}

// asked is what a request was for, before filters changed it.
type asked struct{ authority, path, query []byte }

// Asked is the authority, path and query that the rules saw, whatever filters made of them.
func (x *Exchange) Asked() (authority, path, query []byte) {
	if h := &x.RequestHead; x.Route == nil || x.Route.Chain == nil {
		return h.Authority, h.Path, h.Query
	}
	return x.asked.authority, x.asked.path, x.asked.query
}
