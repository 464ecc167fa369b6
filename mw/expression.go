package mw

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

// Bounds of expressions: their time grows with what they look at, and with what they are made of.
const (
	maxExpression  = 1 << 10 // bytes of an expression, and of a replacement
	maxProgram     = 256     // instructions of a compiled expression
	maxSubject     = 4 << 10 // bytes it may look at
	maxOnLoop      = 8 << 10 // instructions times bytes: what is more is done beside the loop
	maxMatches     = 16      // places it may replace
	maxReplacement = 16 << 10
)

// Why a replacement is not made, and what the client is told then.
var (
	errSubject         = errors.New("the URL is too long to be rewritten")
	errReplacement     = errors.New("the URL would be too long when rewritten")
	errLongSubject     = &codec.Error{Side: codec.Client, Kind: codec.KindTooLarge, Status: 414, Cause: errSubject}
	errLongReplacement = &codec.Error{Side: codec.Client, Kind: codec.KindTooLarge, Status: 414, Cause: errReplacement}
	errNotRewritten    = &codec.Error{Side: codec.Internal, Kind: codec.KindOverload, Status: 503,
		Cause: errors.New("the URL could not be rewritten in time")}
)

// rewrites is for what is done beside the loops. One takes 6 ms at the worst, but for programs of more than 50 instructions,
// and cannot be cut.
var rewrites = newBudget()

// expression replaces what a regular expression matches. Immutable. Unlike the rest of the package it allocates.
type expression struct {
	pattern     *regexp.Regexp
	replacement []byte
	size        int // in instructions
}

// newExpression compiles a regular expression (RE2) and the text in its place, which may have $1, ${1} and ${name} in it.
// The error is an OptionError.
func newExpression(pattern, replacement string) (*expression, error) {
	if len(pattern) > maxExpression || len(replacement) > maxExpression {
		return nil, wrong("regex", "expected at most %d bytes in it, and in the replacement", maxExpression)
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, wrong("regex", "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, &OptionError{"regex", err}
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(program.Inst) > maxProgram {
		return nil, wrong("regex", "it is too complex: smaller counts in {} help")
	}
	for _, r := range replacement {
		if r <= ' ' || r >= 0x7f {
			return nil, wrong("replacement", "%q must be percent-encoded", r)
		}
	}
	if err := checkGroups(re, replacement); err != nil {
		return nil, &OptionError{"replacement", err}
	}
	return &expression{re, []byte(replacement), len(program.Inst)}, nil
}

// checkGroups finds groups in a replacement that the expression does not have: "$1x" is the group "1x".
func checkGroups(re *regexp.Regexp, replacement string) error {
	for {
		_, rest, found := strings.Cut(replacement, "$")
		if !found {
			return nil
		}
		if replacement = strings.TrimPrefix(rest, "$"); replacement != rest {
			continue // "$$" is a "$"
		}
		name := groupName(rest)
		number, err := strconv.Atoi(name)
		switch {
		case name == "":
			return errors.New(`expected a group such as $1 or ${1} behind "$"; "$$" is a "$"`)
		case err == nil && number <= re.NumSubexp(), err != nil && re.SubexpIndex(name) >= 0:
		default:
			return fmt.Errorf("the expression has no group %q; put a number with letters behind it in braces: ${1}x", name)
		}
	}
}

// groupName is the name of the group that a reference names, without its "$".
func groupName(s string) string {
	if inside, braced := strings.CutPrefix(s, "{"); braced {
		name, _, closed := strings.Cut(inside, "}")
		if !closed || name != wordOf(name) {
			return ""
		}
		return name
	}
	return wordOf(s)
}

// wordOf is the letters, digits and "_" that s begins with.
func wordOf(s string) string {
	i := 0
	for i < len(s) && (s[i] == '_' || codec.Classes[s[i]]&codec.ClassDigit != 0 || 'a' <= codec.Lower(s[i]) && codec.Lower(s[i]) <= 'z') {
		i++
	}
	return s[:i]
}

// rewriter is what an expression works for.
type rewriter interface {
	// rewritten is called with the text, every match in it replaced, or nil when there is none; or with the refusal of one
	// that is too long.
	rewritten(x *exchange.Exchange, text []byte, e *codec.Error) exchange.Verdict
}

// rewrite has r told what becomes of a text, which is lent for the call. Inside exchange.Filter.Request; done is to be
// called at the end.
func (e *expression) rewrite(x *exchange.Exchange, text []byte, r rewriter) exchange.Verdict {
	if len(text)*e.size <= maxOnLoop || len(text) > maxSubject {
		out, err := e.replace(text)
		return r.rewritten(x, out, refusalOf(err))
	}
	if !rewrites.enter() {
		return r.rewritten(x, nil, errNotRewritten)
	}
	text = bytes.Clone(text)
	x.SetState(exchange.Go(x, func(ctx context.Context) (out []byte, err error) {
		defer rewrites.leave()
		ctx, cancel := context.WithTimeout(ctx, longestWait)
		defer cancel()
		if !rewrites.run(ctx, func() { out, err = e.replace(text) }) {
			return nil, errBusy
		}
		return out, err
	}, func(out []byte, err error) {
		x.Resume(r.rewritten(x, out, refusalOf(err)))
	}))
	return exchange.Wait
}

// done drops what still runs for the exchange.
func (e *expression) done(x *exchange.Exchange) {
	if job, ok := x.State().(*reactor.Job); ok {
		job.Cancel()
	}
}

// refusalOf is what a client is told of an error of replace.
func refusalOf(err error) *codec.Error {
	switch err {
	case nil:
		return nil
	case errSubject:
		return errLongSubject
	case errReplacement:
		return errLongReplacement
	case errBusy:
		return errNotRewritten
	}
	return &codec.Error{Side: codec.Internal, Kind: codec.KindPanic, Status: 500, Cause: err}
}

// replace is s with every match replaced; nil when there is none.
func (e *expression) replace(s []byte) ([]byte, error) {
	if len(s) > maxSubject {
		return nil, errSubject
	}
	matches := e.pattern.FindAllSubmatchIndex(s, maxMatches)
	if matches == nil {
		return nil, nil
	}
	out, end := []byte{}, 0
	for _, m := range matches {
		out = append(out, s[end:m[0]]...)
		out = e.pattern.Expand(out, e.replacement, s, m)
		if end = m[1]; len(out) > maxReplacement {
			return nil, errReplacement
		}
	}
	if out = append(out, s[end:]...); len(out) > maxReplacement {
		return nil, errReplacement
	}
	return out, nil
}
