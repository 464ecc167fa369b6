package mw

import (
	"bytes"
	"errors"
	"fmt"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// errDots is why a request is refused with a path that rules let through.
var errDots = &codec.Error{Side: codec.Client, Kind: codec.KindSyntax, Status: 400,
	Cause: errors.New("the path has dot segments when it is rewritten")}

// hasPath reports whether a request is for a path: that of OPTIONS may be about the whole server.
func hasPath(h *codec.Head) bool { return len(h.Path) > 0 && h.Path[0] == '/' }

// lead makes the request lead to another path, with the query it has. The client's path has no dot segments any more:
// where a rewrite makes new ones of what is left of it, somebody wants to get out of where the rewrite leads.
func lead(x *exchange.Exchange, path []byte) exchange.Verdict {
	if hasDots(path) {
		x.Refuse(errDots)
		return exchange.Answered
	}
	if e := x.SetPath(path, x.RequestHead.Query); e != nil {
		x.Refuse(e)
		return exchange.Answered
	}
	return exchange.Next
}

// hasDots reports whether a path has a segment that is "." or "..", encoded or not.
func hasDots(path []byte) bool {
	for rest, more := path, true; more; {
		var segment []byte
		if segment, rest, more = bytes.Cut(rest, slash); isDots(segment) {
			return true
		}
	}
	return false
}

var slash = []byte("/")

func isDots(segment []byte) bool {
	n := 0
	for ; len(segment) > 0; n++ {
		switch {
		case segment[0] == '.':
			segment = segment[1:]
		case len(segment) >= 3 && codec.EqualFold(segment[:3], "%2e"):
			segment = segment[3:]
		default:
			return false
		}
	}
	return n == 1 || n == 2
}

// parsePath is the normal form of a path in an option.
func parsePath(path string) ([]byte, error) {
	if path == "" || path[0] != '/' {
		return nil, errors.New("expected a path that begins with /")
	}
	for i, c := range []byte(path) {
		if c < ' ' || c == 0x7f || c == '?' || c == '#' {
			return nil, fmt.Errorf("expected a path, without %q", path[i])
		}
	}
	if hasDots([]byte(path)) {
		return nil, errors.New(`expected a path without the segments "." and ".."`)
	}
	return codec.NormalizePath(nil, codec.AppendOriginForm(nil, []byte(path), nil))
}

// StripPrefix takes a prefix off the path. Immutable.
type StripPrefix struct {
	prefixes [][]byte // as rules see paths
}

// StripPrefixOptions has the prefixes; the first one that a path begins with is taken off, as PathPrefix of rules
// compares them.
type StripPrefixOptions struct{ Prefixes []string }

// NewStripPrefix makes the filter. The error is an OptionError.
func NewStripPrefix(o StripPrefixOptions) (*StripPrefix, error) {
	f := new(StripPrefix)
	for i, prefix := range o.Prefixes {
		p, err := parsePath(prefix)
		if err != nil {
			return nil, &OptionError{fmt.Sprintf("prefixes[%d]", i), err}
		}
		f.prefixes = append(f.prefixes, codec.RoutingPath(nil, p))
	}
	return f, nil
}

var namePrefix = []byte("X-Forwarded-Prefix")

// Request implements exchange.Filter. What was taken off is told in a further X-Forwarded-Prefix field.
func (f *StripPrefix) Request(x *exchange.Exchange) exchange.Verdict {
	h := &x.RequestHead
	if !hasPath(h) {
		return exchange.Next
	}
	for _, prefix := range f.prefixes {
		if !bytes.HasPrefix(x.Path(), prefix) {
			continue
		}
		n := escapedLen(h.Path, x.Path(), len(prefix))
		h.Fields = append(h.Fields, codec.Field{Name: namePrefix, Value: h.Path[:n]})
		return lead(x, h.Path[n:])
	}
	return exchange.Next
}

// escapedLen is how many bytes of the escaped path make the first n of the routing path: "%XX" that is decoded there is
// one byte, any other is three in both.
func escapedLen(escaped, routing []byte, n int) int {
	i := 0
	for j := 0; j < n; j++ {
		if escaped[i] == '%' && routing[j] != '%' {
			i += 2
		}
		i++
	}
	return i
}

// AddPrefix puts a prefix before the path. Immutable.
type AddPrefix struct{ prefix []byte }

// AddPrefixOptions has the prefix.
type AddPrefixOptions struct{ Prefix string }

// NewAddPrefix makes the filter. The error is an OptionError.
func NewAddPrefix(o AddPrefixOptions) (*AddPrefix, error) {
	p, err := parsePath(o.Prefix)
	if err != nil {
		return nil, &OptionError{"prefix", err}
	}
	return &AddPrefix{p}, nil
}

// Request implements exchange.Filter.
func (f *AddPrefix) Request(x *exchange.Exchange) exchange.Verdict {
	if !hasPath(&x.RequestHead) {
		return exchange.Next
	}
	return lead(x, x.Keep(f.prefix, x.RequestHead.Path))
}

// ReplacePath puts another path in the place of the path, or of what an expression matches of it. Immutable.
type ReplacePath struct {
	path       []byte      // nil with an expression
	expression *expression // nil with a path
}

// ReplacePathOptions has the path, or an expression that is looked for in the escaped path, not anchored, and what comes
// in the place of each match; see expression for its bounds. An expression allocates for each request.
type ReplacePathOptions struct {
	Path        string
	Regex       string
	Replacement string
}

// NewReplacePath makes the filter. The error is an OptionError.
func NewReplacePath(o ReplacePathOptions) (*ReplacePath, error) {
	if o.Regex == "" {
		p, err := parsePath(o.Path)
		if err != nil {
			return nil, &OptionError{"path", err}
		}
		return &ReplacePath{path: p}, nil
	}
	e, err := newExpression(o.Regex, o.Replacement)
	if err != nil {
		return nil, err
	}
	if i := bytes.IndexAny(e.replacement, "?#"); i >= 0 {
		return nil, wrong("replacement", "expected a path, without %q", e.replacement[i])
	}
	return &ReplacePath{expression: e}, nil
}

// Request implements exchange.Filter.
func (f *ReplacePath) Request(x *exchange.Exchange) exchange.Verdict {
	h := &x.RequestHead
	switch {
	case !hasPath(h):
		return exchange.Next
	case f.path != nil:
		return lead(x, f.path)
	}
	return f.expression.rewrite(x, h.Path, f)
}

func (f *ReplacePath) rewritten(x *exchange.Exchange, path []byte, e *codec.Error) exchange.Verdict {
	switch {
	case e != nil:
		x.Refuse(e)
		return exchange.Answered
	case path == nil:
		return exchange.Next
	}
	return lead(x, path)
}

// Done implements exchange.Ender.
func (f *ReplacePath) Done(x *exchange.Exchange) {
	if f.expression != nil {
		f.expression.done(x)
	}
}
