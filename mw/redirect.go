package mw

import (
	"bytes"
	"errors"
	"strconv"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// Why a request is not redirected.
var (
	errNoHost = &codec.Error{Side: codec.Client, Kind: codec.KindSyntax, Status: 400,
		Cause: errors.New("the request names no host to redirect to")}
	errLocation = &codec.Error{Side: codec.Client, Kind: codec.KindSyntax, Status: 400,
		Cause: errors.New("the redirection leads to no URL")}
)

// Permanence is how long a client may remember where it was sent.
type Permanence uint8

// Redirections.
const (
	Temporary Permanence = iota // not at all
	Permanent                   // as long as it likes
)

func (p Permanence) String() string { return [...]string{"temporary", "permanent"}[p] }

// status is the code of a redirection: requests but GET keep their method (RFC 9110 section 15.4).
func (p Permanence) status(m codec.Method) int {
	switch {
	case p == Permanent && m == codec.MethodGet:
		return 301
	case p == Permanent:
		return 308
	case m == codec.MethodGet:
		return 302
	}
	return 307
}

// redirect answers with where to go instead. location is lent for the call.
func (p Permanence) redirect(x *exchange.Exchange, location []byte) exchange.Verdict {
	fields := [...]codec.Field{codec.NewField(codec.FieldLocation, location)}
	x.Respond(p.status(x.RequestHead.Method), fields[:], nil)
	return exchange.Answered
}

// isHTTPS reports whether the client speaks TLS, to us or to a proxy that is trusted to say so.
func isHTTPS(x *exchange.Exchange) bool {
	proto := x.RequestHead.Get(codec.FieldXForwardedProto)
	if proto == nil {
		return x.Peer.TLS != nil
	}
	first, _ := codec.NextElement(proto)
	return codec.EqualFold(first, "https") || codec.EqualFold(first, "wss")
}

func schemeOf(x *exchange.Exchange) string {
	if isHTTPS(x) {
		return "https"
	}
	return "http"
}

// RedirectSchemeOptions says where RedirectScheme leads.
type RedirectSchemeOptions struct {
	Scheme     string // "http" or "https"
	Port       int    // 0: the scheme's own
	Permanence Permanence
}

// RedirectScheme sends requests of another scheme to the same URL of this one. Immutable.
type RedirectScheme struct {
	scheme     string
	port       string // with its colon; empty for the scheme's own
	permanence Permanence
}

// NewRedirectScheme makes the filter. The error is an OptionError.
func NewRedirectScheme(o RedirectSchemeOptions) (*RedirectScheme, error) {
	standard := map[string]int{"http": 80, "https": 443}[o.Scheme]
	switch {
	case standard == 0:
		return nil, wrong("scheme", "expected http or https")
	case o.Port < 0 || o.Port > 65535:
		return nil, wrong("port", "expected a port")
	}
	f := &RedirectScheme{scheme: o.Scheme, permanence: o.Permanence}
	if o.Port != 0 && o.Port != standard {
		f.port = ":" + strconv.Itoa(o.Port)
	}
	return f, nil
}

// Request implements exchange.Filter.
func (f *RedirectScheme) Request(x *exchange.Exchange) exchange.Verdict {
	if schemeOf(x) == f.scheme {
		return exchange.Next
	}
	if len(x.RequestHead.Authority) == 0 {
		x.Refuse(errNoHost)
		return exchange.Answered
	}
	return f.permanence.redirect(x, x.KeepText(f))
}

// AppendTo implements exchange.Text: the URL to go to.
func (f *RedirectScheme) AppendTo(dst []byte, x *exchange.Exchange) []byte {
	h := &x.RequestHead
	dst = append(append(dst, f.scheme...), "://"...)
	dst = append(dst, h.Authority[:codec.PortColon(h.Authority)]...)
	dst = append(dst, f.port...)
	if !hasPath(h) {
		return append(dst, '/')
	}
	return codec.AppendOriginForm(dst, h.Path, h.Query)
}

// RedirectRegexOptions says which URLs RedirectRegex redirects.
type RedirectRegexOptions struct {
	Regex       string // looked for in the URL, not anchored: scheme://host/path?query, as the client wrote host and query
	Replacement string // of each match; see expression for the bounds
	Permanence  Permanence
}

// RedirectRegex sends requests to the URL that an expression makes of theirs. It allocates. Immutable.
type RedirectRegex struct {
	expression *expression
	permanence Permanence
}

// NewRedirectRegex makes the filter. The error is an OptionError.
func NewRedirectRegex(o RedirectRegexOptions) (*RedirectRegex, error) {
	e, err := newExpression(o.Regex, o.Replacement)
	if err != nil {
		return nil, err
	}
	return &RedirectRegex{e, o.Permanence}, nil
}

// Request implements exchange.Filter. A request whose URL stays as it is goes on.
func (f *RedirectRegex) Request(x *exchange.Exchange) exchange.Verdict {
	h := &x.RequestHead
	if !hasPath(h) {
		return exchange.Next
	}
	return f.expression.rewrite(x, x.KeepText(f), f)
}

// AppendTo implements exchange.Text: the URL of the request.
func (f *RedirectRegex) AppendTo(dst []byte, x *exchange.Exchange) []byte {
	h := &x.RequestHead
	dst = append(append(append(dst, schemeOf(x)...), "://"...), h.Authority...)
	return codec.AppendOriginForm(dst, h.Path, h.Query)
}

func (f *RedirectRegex) rewritten(x *exchange.Exchange, location []byte, e *codec.Error) exchange.Verdict {
	switch {
	case e != nil:
		x.Refuse(e)
		return exchange.Answered
	case location == nil || bytes.Equal(location, x.KeepText(f)):
		return exchange.Next
	}
	location, ok := safeLocation(location)
	if !ok {
		x.Refuse(errLocation)
		return exchange.Answered
	}
	return f.permanence.redirect(x, location)
}

// Done implements exchange.Ender.
func (f *RedirectRegex) Done(x *exchange.Exchange) { f.expression.done(x) }

// safeLocation is where to go as a browser reads it: an absolute URL of HTTP, or a path, which must not turn into a host
// because of what a client wrote behind its first "/". It changes l.
func safeLocation(l []byte) ([]byte, bool) {
	if !codec.All(l, codec.ClassTarget) {
		return nil, false
	}
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(l) > len(scheme) && codec.EqualFold(l[:len(scheme)], scheme) {
			authority := l[len(scheme):]
			if end := bytes.IndexAny(authority, `/?#\`); end >= 0 {
				authority = authority[:end]
			}
			return l, codec.ValidAuthority(authority)
		}
	}
	if len(l) == 0 || l[0] != '/' {
		return nil, false
	}
	n := 1
	for n < len(l) && (l[n] == '/' || l[n] == '\\') {
		n++
	}
	l[n-1] = '/'
	return l[n-1:], true
}
