package routing

import (
	"fmt"
	"go/scanner"
	"go/token"
	"strconv"
	"strings"
)

// maxDepth bounds the nesting of parentheses and negations, and so the recursion over a rule.
const maxDepth = 1000

// Parse reads one rule. The text is lexed as Go is: comments are accepted, and a line may break after "(", ",", "&&"
// and "||" only. The error is a *SyntaxError.
func Parse(text string) (*Rule, error) {
	p := &parser{text: text}
	fset := token.NewFileSet()
	p.file = fset.AddFile("", fset.Base(), len(text))
	p.scan.Init(p.file, []byte(text), p.lexical, 0)
	p.next()
	root := p.or(false)
	if p.atLineBreak() {
		p.next()
		if p.tok == token.LAND || p.tok == token.LOR {
			p.fail(p.offset, fmt.Sprintf("line break before %s; put %s at the end of the line before", p.tok, p.tok))
		}
	}
	if p.tok != token.EOF {
		p.fail(p.offset, "expected && or || or the end of the rule, found "+p.found())
	}
	if p.err != nil {
		return nil, p.err
	}
	return &Rule{text: text, root: root}, nil
}

// parser holds one token ahead. The first error stays in err and turns every later token into ILLEGAL, so that the
// descent ends by itself; what it builds is then thrown away.
type parser struct {
	text string
	file *token.File
	scan scanner.Scanner

	offset int // of tok
	tok    token.Token
	lit    string
	depth  int
	err    *SyntaxError
}

func (p *parser) next() {
	pos, tok, lit := p.scan.Scan()
	if tok == token.CHAR {
		p.err = nil // what the scanner says of a rune with many letters misleads
		p.fail(p.file.Offset(pos), "single quotes make no string; write `...` or \"...\"")
	}
	p.offset, p.tok, p.lit = p.file.Offset(pos), tok, lit
	if p.err != nil {
		p.tok = token.ILLEGAL
	}
}

// lexical takes the scanner's errors.
func (p *parser) lexical(pos token.Position, msg string) { p.fail(pos.Offset, msg) }

// fail keeps the first error and stops the parser.
func (p *parser) fail(offset int, msg string) {
	p.tok = token.ILLEGAL
	if p.err != nil {
		return
	}
	before := p.text[:offset]
	p.err = &SyntaxError{
		Offset: offset,
		Line:   1 + strings.Count(before, "\n"),
		Column: offset - strings.LastIndexByte(before, '\n'),
		Msg:    msg,
	}
}

// atLineBreak reports whether the token is the semicolon that Go puts at the end of a line.
func (p *parser) atLineBreak() bool { return p.tok == token.SEMICOLON && p.lit == "\n" }

// found names the token for a message.
func (p *parser) found() string {
	switch {
	case p.tok == token.EOF, p.atLineBreak() && p.offset == len(p.text): // Go ends the last line, too
		return "the end of the rule"
	case p.atLineBreak():
		return "a line break; break lines only after (, a comma, && and ||"
	case p.tok.IsLiteral(), p.tok.IsKeyword():
		return p.lit
	}
	return p.tok.String()
}

// or parses and { "||" and }. negated asks for the negation of it, by De Morgan.
func (p *parser) or(negated bool) *node {
	return p.chain(token.LOR, opOr, opAnd, negated, p.and)
}

// and parses unary { "&&" unary }.
func (p *parser) and(negated bool) *node {
	return p.chain(token.LAND, opAnd, opOr, negated, p.unary)
}

// chain parses operands joined by operator into a node of op, or of inverse when it is negated.
func (p *parser) chain(operator token.Token, op, inverse nodeOp, negated bool, operand func(bool) *node) *node {
	if negated {
		op = inverse
	}
	kids := []*node{operand(negated)}
	for p.tok == operator {
		p.next()
		kids = append(kids, operand(negated))
	}
	if p.err != nil {
		return nil
	}
	return join(op, kids)
}

// unary parses "!" unary, "(" or ")" or a call.
func (p *parser) unary(negated bool) *node {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		p.fail(p.offset, fmt.Sprintf("nested more than %d deep", maxDepth))
	}
	switch p.tok {
	case token.NOT:
		p.next()
		return p.unary(!negated)
	case token.LPAREN:
		p.next()
		n := p.or(negated)
		p.expect(token.RPAREN)
		return n
	case token.IDENT:
		return p.call(negated)
	case token.STRING:
		p.fail(p.offset, "expected a matcher such as Host(...) or PathPrefix(...), found only a string")
	}
	p.fail(p.offset, "expected a matcher, ! or (, found "+p.found())
	return nil
}

func (p *parser) expect(tok token.Token) {
	if p.tok != tok {
		p.fail(p.offset, fmt.Sprintf("expected %s, found %s", tok, p.found()))
		return
	}
	p.next()
}

// argument is one string of a call and where it stands.
type argument struct {
	offset int
	value  string
}

// call parses name "(" string { "," string } [ "," ] ")".
func (p *parser) call(negated bool) *node {
	name, at := p.lit, p.offset
	sig, msg := lookupSignature(name)
	if sig == nil {
		p.fail(at, msg)
		return nil
	}
	p.next()
	p.expect(token.LPAREN)
	var args []argument
	for p.tok != token.RPAREN && p.err == nil {
		args = append(args, p.argument(name))
		if p.tok != token.RPAREN {
			p.expect(token.COMMA)
		}
	}
	p.expect(token.RPAREN)
	if p.err != nil {
		return nil
	}
	m, bad, msg := sig.build(args)
	if m == nil {
		if bad >= 0 {
			at = args[bad].offset
		}
		p.fail(at, msg)
		return nil
	}
	return newLeaf(m, negated)
}

func (p *parser) argument(name string) argument {
	a := argument{offset: p.offset}
	if p.tok != token.STRING {
		p.fail(p.offset, fmt.Sprintf("expected a string such as `...` or \"...\" as argument of %s, found %s", name, p.found()))
		return a
	}
	v, err := strconv.Unquote(p.lit)
	if err != nil {
		p.fail(p.offset, "not a string: "+p.lit)
		return a
	}
	// Most strings have no escapes: then the value is part of the text and needs no memory of its own.
	if inside := p.text[p.offset+1:]; strings.HasPrefix(inside, v) {
		v = inside[:len(v)]
	}
	a.value = v
	p.next()
	return a
}
