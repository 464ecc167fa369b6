package mw

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// Template is a text with variables of the exchange in it, written ${name}. It is immutable.
type Template struct {
	parts []templatePart
}

// templatePart is a text, or a variable.
type templatePart struct {
	text     []byte
	variable variable
}

// variable is what a template can have in it.
type variable uint8

// Variables.
const (
	varNone       variable = iota
	varClientCert          // subject of the client's verified certificate, as RFC 2253 writes it
	varClientIP            // ClientIP
	varHost                // the Host field, with its port
	varMethod              // the method
	varPath                // the escaped path, without the query
	varRequestID           // X-Request-Id
	varTimestamp           // the time in UTC, to the millisecond, as RFC 3339 writes it
	varUUID                // a random UUID, another each time (RFC 9562 section 5.4)
	variableCount
)

func (v variable) String() string {
	return [...]string{"", "client_cert_subject", "client_ip", "host", "method", "path", "request_id", "timestamp",
		"uuid"}[v]
}

// Variables are the names that a template may have in it.
func Variables() []string {
	var names []string
	for v := varNone + 1; v < variableCount; v++ {
		names = append(names, v.String())
	}
	return names
}

// NewTemplate compiles a text.
func NewTemplate(text string) (*Template, error) {
	t := new(Template)
	for {
		before, rest, found := strings.Cut(text, "${")
		if before != "" {
			t.parts = append(t.parts, templatePart{text: []byte(before)})
		}
		if !found {
			return t, nil
		}
		name, after, closed := strings.Cut(rest, "}")
		v := lookupVariable(name)
		if !closed || v == varNone {
			return nil, fmt.Errorf("%q is no variable, expected ${name} with one of %s", "${"+rest, strings.Join(Variables(), ", "))
		}
		t.parts = append(t.parts, templatePart{variable: v})
		text = after
	}
}

func lookupVariable(name string) variable {
	for v := varNone + 1; v < variableCount; v++ {
		if v.String() == name {
			return v
		}
	}
	return varNone
}

// constant is the text of a template without variables.
func (t *Template) constant() (text []byte, ok bool) {
	switch {
	case len(t.parts) == 0:
		return []byte{}, true
	case len(t.parts) == 1 && t.parts[0].variable == varNone:
		return t.parts[0].text, true
	}
	return nil, false
}

// AppendTo appends the text with the variables put in, on the exchange's loop. It allocates nothing while dst has room.
// What a variable puts in may be anything that a client can say: only Value is fit for a field.
func (t *Template) AppendTo(dst []byte, x *exchange.Exchange) []byte {
	for i := range t.parts {
		if p := &t.parts[i]; p.variable == varNone {
			dst = append(dst, p.text...)
		} else {
			dst = p.variable.appendTo(dst, x)
		}
	}
	return dst
}

// Value is the text as a field's value, kept with the exchange; nil when it has a byte in it that no value can have.
func (t *Template) Value(x *exchange.Exchange) []byte {
	v := codec.TrimOWS(x.KeepText(t))
	if codec.NextNotValue(v, 0) < len(v) {
		return nil
	}
	return v
}

const timestamp = "2006-01-02T15:04:05.000Z"

func (v variable) appendTo(dst []byte, x *exchange.Exchange) []byte {
	h := &x.RequestHead
	switch v {
	case varClientCert:
		return append(dst, x.Peer.Subject...)
	case varClientIP:
		if a := ClientIP(x, 0); a.IsValid() {
			return a.AppendTo(dst)
		}
	case varHost:
		return append(dst, h.Authority...)
	case varMethod:
		return append(dst, h.MethodName...)
	case varPath:
		return append(dst, h.Path...)
	case varRequestID:
		return append(dst, x.RequestID...)
	case varTimestamp:
		return time.Now().UTC().AppendFormat(dst, timestamp)
	case varUUID:
		return appendUUID(dst)
	}
	return dst
}

// appendUUID appends a random UUID.
func appendUUID(dst []byte) []byte {
	var id [16]byte
	binary.LittleEndian.PutUint64(id[:], rand.Uint64())
	binary.LittleEndian.PutUint64(id[8:], rand.Uint64())
	id[6] = id[6]&0x0f | 0x40 // version 4
	id[8] = id[8]&0x3f | 0x80 // of RFC 9562
	dst = hex.AppendEncode(dst, id[:4])
	for _, group := range [...][]byte{id[4:6], id[6:8], id[8:10], id[10:]} {
		dst = hex.AppendEncode(append(dst, '-'), group)
	}
	return dst
}
