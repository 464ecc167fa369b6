package mw

import (
	"slices"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// FieldOption is a field to set in requests or responses.
type FieldOption struct {
	Name  string
	Value string // a Template; empty: all fields of the name are removed
}

// HeadersOptions says which fields Headers changes.
type HeadersOptions struct {
	Request        []FieldOption // "Host" sets the authority that the server is asked for
	RequestAppend  []FieldOption // further field lines, beside what is there and what Request sets
	Response       []FieldOption
	ResponseAppend []FieldOption    // as RequestAppend
	Security       *SecurityOptions // nil: none
	CORS           *CORSOptions     // nil: none
}

// Headers sets, adds and removes fields of requests and responses. Immutable.
type Headers struct {
	host           *fieldSetter // nil: stays
	request        []fieldSetter
	requestAppend  []fieldSetter
	response       []fieldSetter
	responseAppend []fieldSetter
	security       []securityField
	cors           *cors // nil: none
}

// fieldSetter sets one field.
type fieldSetter struct {
	field    codec.Field // the value is nil for removal, and with a template
	template *Template   // nil: the value is constant
}

// NewHeaders makes the filter. The error is of OptionError.
func NewHeaders(o HeadersOptions) (*Headers, error) {
	f := new(Headers)
	for i := range o.Request {
		s, err := newFieldSetter("request_headers", &o.Request[i])
		switch {
		case err != nil:
			return nil, err
		case s.field.ID != codec.FieldHost:
			f.request = append(f.request, s)
		case !s.hasAuthority():
			return nil, wrong("request_headers."+o.Request[i].Name, "expected a host with or without a port")
		default:
			f.host = &s
		}
	}
	for i := range o.Response {
		s, err := newFieldSetter("response_headers", &o.Response[i])
		if err != nil {
			return nil, err
		}
		f.response = append(f.response, s)
	}
	var err error
	if f.requestAppend, err = newFieldLines("request_headers_append", o.RequestAppend); err != nil {
		return nil, err
	}
	if f.responseAppend, err = newFieldLines("response_headers_append", o.ResponseAppend); err != nil {
		return nil, err
	}
	if o.Security != nil {
		if f.security, err = newSecurity(o.Security); err != nil {
			return nil, err
		}
	}
	if o.CORS != nil {
		if f.cors, err = newCORS(o.CORS); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// unsettable are further fields of one hop.
var unsettable = []codec.FieldID{codec.FieldUpgrade, codec.FieldTrailer, codec.FieldExpect}

// newFieldSetter compiles an option. Fields of one hop and those that frame a message are not to be set: the proxy writes
// them itself.
func newFieldSetter(key string, o *FieldOption) (s fieldSetter, err error) {
	key += "." + o.Name
	id := codec.LookupFieldID([]byte(o.Name))
	switch own := codec.Traits[id]&(codec.TraitNotInRequest|codec.TraitNotInResponse) != 0 || slices.Contains(unsettable, id); {
	case !codec.IsToken([]byte(o.Name)):
		return s, wrong(key, "expected a field name")
	case own && (id != codec.FieldHost || key[:3] != "req"):
		return s, wrong(key, "the proxy sets this field itself")
	}
	s.field = codec.Field{Name: []byte(o.Name), ID: id}
	if o.Value == "" {
		return s, nil
	}
	t, err := NewTemplate(o.Value)
	if err != nil {
		return s, &OptionError{Key: key, Err: err}
	}
	for _, p := range t.parts {
		if codec.NextNotValue(p.text, 0) < len(p.text) {
			return s, wrong(key, "expected a field's value, without control characters")
		}
	}
	if text, ok := t.constant(); ok {
		s.field.Value = text
	} else {
		s.template = t
	}
	return s, nil
}

// hasAuthority reports whether the value is one that requests can be sent with, as far as that is known.
func (s *fieldSetter) hasAuthority() bool {
	return s.template != nil || codec.ValidAuthority(s.field.Value)
}

// of is the field for one exchange: with a nil value its name is to be removed.
func (s *fieldSetter) of(x *exchange.Exchange) codec.Field {
	f := s.field
	if s.template != nil {
		f.Value = s.template.Value(x)
	}
	return f
}

// Request implements exchange.Filter.
func (f *Headers) Request(x *exchange.Exchange) exchange.Verdict {
	if f.cors != nil && f.cors.request(x) == exchange.Answered {
		return exchange.Answered
	}
	for i := range f.request {
		x.SetField(f.request[i].of(x))
	}
	if f.host != nil {
		if host := f.host.of(x).Value; codec.ValidAuthority(host) {
			x.RequestHead.Authority = host
		}
	}
	appendLines(&x.RequestHead, f.requestAppend, x)
	return exchange.Next
}

// Response implements exchange.ResponseFilter.
func (f *Headers) Response(x *exchange.Exchange, h *codec.Head, _ bool) exchange.Verdict {
	if f.cors != nil {
		f.cors.response(x, h)
	}
	for i := range f.security {
		f.security[i].add(x, h)
	}
	for i := range f.response {
		setField(h, f.response[i].of(x))
	}
	appendLines(h, f.responseAppend, x)
	return exchange.Next
}

// setField makes f the only field of its name, or removes all of the name when the value is nil. f is lent as long as the
// head.
func setField(h *codec.Head, f codec.Field) {
	h.RemoveName(f.Name)
	if f.Value != nil {
		h.Fields = append(h.Fields, f)
	}
}
