package mw

import (
	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// denial is how requests are refused for one reason: with a status, what goes into the log, and further fields. It is made
// once and shared.
type denial struct {
	err    *codec.Error
	fields []codec.Field
}

func (d *denial) refuse(x *exchange.Exchange) exchange.Verdict {
	x.Refuse(d.err, d.fields...)
	return exchange.Answered
}

// challenge is a field that says how to authenticate (RFC 9110 section 11.6.1).
func challenge(text string) codec.Field {
	return codec.Field{Name: []byte("WWW-Authenticate"), Value: []byte(text)}
}

// tooManyChecks is the answer while more checks wait than may.
var tooManyChecks = &denial{err: &codec.Error{Side: codec.Internal, Kind: codec.KindOverload, Status: 503, Cause: errBusy}}

// credentialState is what the Authorization field of a request was found to be.
type credentialState uint8

const (
	authNone      credentialState = iota // there is no field
	authTwice                            // there is more than one (RFC 9110 section 5.3)
	authOther                            // it is of another scheme
	authMalformed                        // it is of the scheme, with something else than one word of token68
	authGiven                            // it is of the scheme
)

func (a credentialState) String() string {
	return [...]string{"none", "twice", "other scheme", "malformed", "given"}[a]
}

// credentials are those of the Authorization field for a scheme, as token68 (RFC 9110 section 11.4), lent like the head.
func credentials(h *codec.Head, scheme string) ([]byte, credentialState) {
	var value []byte
	for i := range h.Fields {
		if h.Fields[i].ID != codec.FieldAuthorization {
			continue
		}
		if value != nil {
			return nil, authTwice
		}
		value = h.Fields[i].Value
		if value == nil {
			value = []byte{}
		}
	}
	switch n := len(scheme); {
	case value == nil:
		return nil, authNone
	case len(value) < n || !codec.EqualFold(value[:n], scheme) || len(value) > n && value[n] != ' ':
		return nil, authOther
	default:
		for value = value[n:]; len(value) > 0 && value[0] == ' '; {
			value = value[1:]
		}
	}
	if !isToken68(value) {
		return nil, authMalformed
	}
	return value, authGiven
}

func isToken68(b []byte) bool {
	for len(b) > 1 && b[len(b)-1] == '=' {
		b = b[:len(b)-1]
	}
	for _, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '/':
		default:
			return false
		}
	}
	return len(b) > 0
}
