package config

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Custom is the settings of a middleware whose kind the program brings (Parse).
type Custom struct {
	Kind string

	key   string // the key path
	at    Position
	text  []byte       // the settings as YAML, every key and element on a line of its own
	lines []customLine // of text
}

// customLine is where a line of the settings comes from.
type customLine struct {
	at     Position // zero: nothing begins there
	hidden bool     // the environment is in it, which no message shows
}

// Decode stores the settings in v, a pointer, as yaml.Unmarshal does: a struct's fields have their keys in tags such as
// `yaml:"name"`. Keys that v has no field for are errors. The error is Errors.
func (c *Custom) Decode(v any) error {
	d := yaml.NewDecoder(bytes.NewReader(c.text))
	d.KnownFields(true)
	err := d.Decode(v)
	if err == nil {
		return nil
	}
	faults := []string{err.Error()}
	if types := (*yaml.TypeError)(nil); errors.As(err, &types) {
		faults = types.Errors
	}
	var all Errors
	for _, text := range faults {
		pos, msg := c.place(text)
		all = append(all, Error{pos, c.key, msg})
	}
	return all
}

// place takes the line from a message of the parser's, which counts those of text.
func (c *Custom) place(msg string) (Position, string) {
	number, rest, ok := strings.Cut(strings.TrimPrefix(msg, "line "), ": ")
	line, err := strconv.Atoi(number)
	if !ok || err != nil || line < 1 || line > len(c.lines) || c.lines[line-1].at.Line == 0 {
		return c.at, msg
	}
	l := &c.lines[line-1]
	if l.hidden {
		rest = "the value with the environment put in is not of the expected type"
	}
	return l.at, rest
}

// Fail is an error of the settings as a whole, at their place in the file.
func (c *Custom) Fail(err error) error { return Errors{{c.at, c.key, err.Error()}} }

// maxCustom bounds the values of one custom middleware, since an alias may stand for many.
const maxCustom = 10_000

// loadCustom takes the settings of a kind of the program's own, with the environment put in.
func (l *loader) loadCustom(at site, e entry) *Custom {
	c := &Custom{Kind: e.key.Value, key: at.path, at: l.position(e.key)}
	l.positions[at.path] = c.at
	p := plainer{loader: l, at: at, left: maxCustom, hidden: map[*yaml.Node]bool{}}
	n := p.plain(e.value)
	if p.left < 0 {
		l.failAt(c.at, at, "more than %d values", maxCustom)
		return c
	}
	text, err := yaml.Marshal(n)
	if err != nil {
		l.failAt(c.at, at, "%v", err)
		return c
	}
	c.text = text
	var again yaml.Node
	if err := yaml.Unmarshal(text, &again); err != nil || again.Kind != yaml.DocumentNode {
		l.failAt(c.at, at, "cannot be read: %v", err)
		return c
	}
	c.lines = make([]customLine, bytes.Count(text, []byte{'\n'})+1)
	p.match(c.lines, again.Content[0], n)
	return c
}

// plainer copies settings into a form that has no aliases, no flow style and no names of environment variables.
type plainer struct {
	*loader
	at     site
	left   int                 // values that there may be yet; below 0 there were too many
	hidden map[*yaml.Node]bool // copies that have the environment in them
}

// plain is the copy of a node, with the position of the node.
func (p *plainer) plain(n *yaml.Node) *yaml.Node {
	line, column := n.Line, n.Column
	n = resolve(n)
	c := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Style: n.Style &^ yaml.FlowStyle, Line: line, Column: column}
	if p.left--; p.left < 0 {
		return c
	}
	if n.Kind == yaml.ScalarNode {
		s, err := substitute(n.Value, p.env, nil)
		if err != nil {
			p.failAt(Position{p.file, line, column}, p.at, "%v", err)
		}
		if s != n.Value {
			c.Value, p.hidden[c] = s, true
			if n.Style == 0 {
				c.Tag = "" // what it is, its new text says
			}
		}
	}
	for _, child := range n.Content {
		c.Content = append(c.Content, p.plain(child))
		if p.left < 0 {
			break
		}
	}
	return c
}

// match notes for every line of n, which was read from the text of the copy, where it comes from.
func (p *plainer) match(lines []customLine, n, plain *yaml.Node) {
	l := &lines[n.Line-1]
	if l.at.Line == 0 {
		l.at = Position{p.file, plain.Line, plain.Column}
	}
	l.hidden = l.hidden || p.hidden[plain]
	for i := range min(len(n.Content), len(plain.Content)) {
		p.match(lines, n.Content[i], plain.Content[i])
	}
}
