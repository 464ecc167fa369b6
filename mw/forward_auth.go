package mw

import (
	"errors"
	"strings"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/upstream"
)

// ForwardAuthOptions is the settings of a server that decides which requests may pass.
type ForwardAuthOptions struct {
	Service            *upstream.Service // the server
	Authority          string            // it is asked for, as a Host field has it
	Path               string            // escaped
	Query              string            // without "?"; empty for none
	Timeout            time.Duration     // for its answer's head, waiting and connecting included
	RequestHeaders     []string          // fields of the client's that it is shown; nil: ForwardAuthHeaders
	ResponseHeaders    []string          // fields of its answer that the request gets, in place of the client's
	TrustForwardHeader bool              // it is told what a trusted peer said about where the request came from
}

// ForwardAuthHeaders are the fields of a client that the server is shown where nothing else is said.
var ForwardAuthHeaders = []string{"Accept", "Authorization", "Cookie", "User-Agent", "X-Requested-With"}

// ForwardAuth asks a server about every request: a GET with the client's credentials, and with X-Forwarded-Method, -Proto,
// -Host, -Uri and -For, which say what the request is. With 2xx it passes; any other answer is the client's. Without an
// answer the client gets 503: no request passes that was not allowed. Immutable.
type ForwardAuth struct {
	o        ForwardAuthOptions
	head     codec.Head // of all requests to the server
	shown    fieldNames
	returned fieldNames
}

// NewForwardAuth makes one.
func NewForwardAuth(o ForwardAuthOptions) (*ForwardAuth, error) {
	if !strings.HasPrefix(o.Path, "/") {
		return nil, errors.New("the path does not begin with a slash")
	}
	if o.RequestHeaders == nil {
		o.RequestHeaders = ForwardAuthHeaders
	}
	f := &ForwardAuth{o: o, head: getRequest(o.Authority, o.Path, o.Query)}
	var err error
	if f.shown, err = newFieldNames(o.RequestHeaders...); err != nil {
		return nil, err
	}
	if f.returned, err = newFieldNames(o.ResponseHeaders...); err != nil {
		return nil, err
	}
	for i := range f.shown {
		if codec.EqualFold(f.shown[i].name[:min(len(f.shown[i].name), len(forwardedPrefix))], forwardedPrefix) {
			return nil, errors.New(string(f.shown[i].name) + ": the fields X-Forwarded-* are shown in any case")
		}
	}
	return f, nil
}

const forwardedPrefix = "X-Forwarded-"

// getRequest is the head of a GET without fields; an empty query is none.
func getRequest(authority, path, query string) codec.Head {
	h := codec.Head{Version: codec.HTTP11, Method: codec.MethodGet, MethodName: []byte("GET"), Length: -1,
		Authority: []byte(authority), Path: []byte(path), Target: []byte(path)}
	if query != "" {
		h.Query = []byte(query)
	}
	return h
}

// Request implements exchange.Filter.
func (f *ForwardAuth) Request(x *exchange.Exchange) exchange.Verdict {
	a := &authorization{filter: f, x: x, head: f.head}
	a.head.Fields = f.describe(make([]codec.Field, 0, len(f.shown)+8), x)
	x.SetState(a)
	a.asked = x.Local().Subrequest(f.o.Service, &a.head, f.o.Timeout, nil, a)
	return exchange.Wait
}

// Done implements exchange.Ender.
func (f *ForwardAuth) Done(x *exchange.Exchange) {
	if a, ok := x.State().(*authorization); ok {
		a.asked.Cancel()
	}
}

// describe appends what the server is told about a request. What it is told of where the request came from is what the
// exchange checked already: of peers that are not trusted nothing else is left.
func (f *ForwardAuth) describe(fields []codec.Field, x *exchange.Exchange) []codec.Field {
	h := &x.RequestHead
	fields = f.shown.appendFrom(fields, h.Fields)
	method, uri := []byte(h.Method.String()), h.Path
	if h.Method == codec.MethodOther {
		method = h.MethodName
	}
	if h.Query != nil {
		uri = x.Keep(h.Path, question, h.Query)
	}
	var peer []byte
	if addr := x.Peer.Addr.Addr(); addr.IsValid() {
		peer = addr.AppendTo(nil)
	}
	scheme := schemeHTTP
	if x.Peer.TLS != nil {
		scheme = schemeHTTPS
	}
	for _, told := range []codec.Field{
		codec.NewField(codec.FieldXForwardedFor, peer),
		codec.NewField(codec.FieldXForwardedProto, scheme),
		codec.NewField(codec.FieldXForwardedHost, h.Authority),
		{Name: nameForwardedMethod, Value: method},
		{Name: nameForwardedURI, Value: uri},
	} {
		if said, ok := h.Lookup(string(told.Name)); ok && f.o.TrustForwardHeader {
			told.Value = said
		}
		if len(told.Value) > 0 {
			fields = append(fields, told)
		}
	}
	return fields
}

var (
	question            = []byte("?")
	schemeHTTP          = []byte("http")
	schemeHTTPS         = []byte("https")
	nameForwardedMethod = []byte("X-Forwarded-Method")
	nameForwardedURI    = []byte("X-Forwarded-Uri")
)

// authorization is the question about one request, and the exchange.Answer to it. It belongs to the loop.
type authorization struct {
	filter *ForwardAuth
	x      *exchange.Exchange
	head   codec.Head
	asked  *exchange.Subrequest
	passed bool // the request may pass
	rest   drain
}

// Head is the exchange.Answer's: the decision.
func (a *authorization) Head(h *codec.Head, end bool) {
	if h.Status/100 != 2 {
		a.x.Relay(a.asked, h, end)
		a.x.Resume(exchange.Answered)
		return
	}
	a.passed = true
	for _, n := range a.filter.returned {
		a.x.SetField(codec.Field{Name: n.name, ID: n.id})
	}
	r := &a.x.RequestHead
	for i := range h.Fields {
		if f := &h.Fields[i]; a.filter.returned.has(f) {
			r.Fields = append(r.Fields, codec.Field{Name: a.x.Keep(f.Name), Value: a.x.Keep(f.Value), ID: f.ID})
		}
	}
	a.x.Resume(exchange.Next)
}

// Data takes the rest of an answer that nobody needs.
func (a *authorization) Data(p []byte, _ bool) {
	if !a.rest.takes(p) {
		a.asked.Cancel()
	}
}

// Trailers does nothing.
func (a *authorization) Trailers([]codec.Field) {}

var errNoDecision = errors.New("the server that decides about requests gave no answer")

// Failed refuses the request, unless it may pass already.
func (a *authorization) Failed(e *codec.Error) {
	if a.passed {
		return
	}
	a.x.Refuse(&codec.Error{Side: codec.Upstream, Kind: e.Kind, Status: 503, Cause: errNoDecision})
	a.x.Resume(exchange.Answered)
}

// drain is content that is read to its end in vain, so that the connection it comes on can be used again.
type drain struct{ size int }

// mostDrained is how much content is worth that.
const mostDrained = 64 << 10

// takes reports whether so much more is worth it.
func (d *drain) takes(p []byte) bool {
	d.size += len(p)
	return d.size <= mostDrained
}
