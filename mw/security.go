package mw

import (
	"strconv"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// SecurityOptions are fields that tell browsers to be careful. A response that has the field already keeps its own.
type SecurityOptions struct {
	HSTSMaxAge            time.Duration // of Strict-Transport-Security; 0: no such field
	HSTSIncludeSubdomains bool
	HSTSPreload           bool
	FrameOptions          string // X-Frame-Options; empty: none, as with the others
	NoSniff               bool   // X-Content-Type-Options
	ReferrerPolicy        string
	PermissionsPolicy     string
}

// securityField is one of those fields.
type securityField struct {
	field codec.Field
	when  transport
}

// transport is how the client must be connected for a field.
type transport uint8

const (
	overAny transport = iota
	overTLS           // RFC 6797 section 7.2: others could be forged
)

func (t transport) String() string { return [...]string{"any", "TLS"}[t] }

func newSecurity(o *SecurityOptions) (fields []securityField, err error) {
	add := func(key, name, value string, when transport) {
		if value == "" {
			return
		}
		if b := []byte(value); codec.NextNotValue(b, 0) < len(b) {
			err = wrong("security."+key, "expected a field's value, without control characters")
		}
		fields = append(fields, securityField{codec.Field{Name: []byte(name), Value: []byte(value)}, when})
	}
	if o.HSTSMaxAge > 0 {
		value := "max-age=" + strconv.Itoa(int(o.HSTSMaxAge/time.Second))
		if o.HSTSIncludeSubdomains {
			value += "; includeSubDomains"
		}
		if o.HSTSPreload {
			value += "; preload"
		}
		add("hsts_max_age_seconds", "Strict-Transport-Security", value, overTLS)
	}
	add("frame_options", "X-Frame-Options", o.FrameOptions, overAny)
	if o.NoSniff {
		add("content_type_nosniff", "X-Content-Type-Options", "nosniff", overAny)
	}
	add("referrer_policy", "Referrer-Policy", o.ReferrerPolicy, overAny)
	add("permissions_policy", "Permissions-Policy", o.PermissionsPolicy, overAny)
	return fields, err
}

// add adds the field to a response that has none of its name.
func (s *securityField) add(x *exchange.Exchange, h *codec.Head) {
	if s.when == overTLS && !isHTTPS(x) {
		return
	}
	for i := range h.Fields {
		if f := &h.Fields[i]; f.ID == codec.FieldOther && codec.EqualFold(f.Name, s.field.Name) {
			return
		}
	}
	h.Fields = append(h.Fields, s.field)
}
