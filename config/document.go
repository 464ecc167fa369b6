package config

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// parseDocument reads the one YAML document of a file; nil when there is nothing in it.
func parseDocument(name string, data []byte) (*yaml.Node, *Error) {
	if err := checkCharacters(name, data); err != nil {
		return nil, err
	}
	lines := &lineReader{rest: data}
	d := yaml.NewDecoder(lines)
	var doc, second yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, syntaxError(name, data, lines.delivered, err)
	}
	switch err := d.Decode(&second); {
	case err == nil:
		return nil, &Error{Position{name, second.Line, second.Column}, "", "a second document, expected one only"}
	case !errors.Is(err, io.EOF):
		return nil, syntaxError(name, data, lines.delivered, err)
	}
	return doc.Content[0], nil
}

// lineReader hands out one line a call: what was handed out when the parser gave up ends with the line at fault, which
// the parser itself does not always tell.
type lineReader struct {
	rest      []byte
	delivered int // lines begun
	inside    bool
}

func (r *lineReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	if !r.inside {
		r.delivered++
	}
	line := r.rest
	if i := bytes.IndexByte(r.rest, '\n'); i >= 0 {
		line = r.rest[:i+1]
	}
	n := copy(p, line)
	r.rest = r.rest[n:]
	r.inside = n < len(line)
	return n, nil
}

// checkCharacters finds what YAML lets into no document (YAML 1.2.2 section 5.1), control characters and bytes that are
// not UTF-8, and line breaks that are not a line feed: the parser counts them as lines, editors do not.
func checkCharacters(name string, data []byte) *Error {
	pos := Position{name, 1, 1}
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && n == 1:
			return &Error{pos, "", "a byte that is not UTF-8"}
		case r == '\r' && !bytes.HasPrefix(data, []byte("\r\n")), r == '\u0085', r == '\u2028', r == '\u2029':
			return &Error{pos, "", "the line break " + strconv.QuoteRuneToASCII(r) + ", expected a line feed"}
		case r < ' ' && r != '\n' && r != '\t' && r != '\r' || r == 0x7f:
			return &Error{pos, "", "the control character " + strconv.QuoteRune(r)}
		case r == '\n':
			pos.Line, pos.Column = pos.Line+1, 0
		}
		pos.Column++
		data = data[n:]
	}
	return nil
}

// remedies are what to do about the parser's messages that its own words do not tell, by a part of the message. The
// first that fits holds; starts are the characters one of which the value at fault begins with, empty for any.
var remedies = []struct{ part, starts, says string }{
	{"cannot start any token", "\t", "a tab, expected spaces for indentation"},
	{"cannot start any token", "", "a value cannot begin with this character, put it in quotes"},
	{"mapping values are not allowed", "", "a ': ' inside a value, or wrong indentation; put a value with ': ' in quotes"},
	{"expected whitespace or line break", "", "a value that begins with '!' must be in quotes"},
	{"expected alphabetic or numeric", "", "a value that begins with '*' or '&' must be in quotes"},
	{"could not find expected ':'", "", "expected a ':' after the key"},
	{"did not find expected key", "", "expected a key with the indentation of those before it"},
	{"expected node content", "", "expected a value; put one that begins with '[' or '{' in quotes"},
	{"unknown anchor", "", "no such anchor; put a value that begins with '*' in quotes"},
	{"unexpected end of stream", "", "quotes that are not closed"},
	{"expected ',' or ']'", "", "a '[' that is not closed, here or above"},
	{"expected ',' or '}'", "", "a '{' that is not closed, here or above; put a value with '${' in quotes inside braces"},
}

// zeroBased are parts of the messages whose line the parser counts from 0.
var zeroBased = []string{"expected ',' or", "expected node content",
	"undefined tag handle", "duplicate %", "<document start>"}

// syntaxError makes the parser's error ours: its position, and what to do. read is the number of lines it was given.
func syntaxError(name string, data []byte, read int, err error) *Error {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0 // which the parser leaves out
	if number, rest, ok := strings.Cut(strings.TrimPrefix(msg, "line "), ": "); ok && strings.HasPrefix(msg, "line ") {
		if n, err := strconv.Atoi(number); err == nil {
			line, msg = n, rest
		}
	}
	switch {
	case strings.Contains(msg, "expected key"), strings.Contains(msg, "'-' indicator"):
		line = read // the parser tells where the whole mapping or list begins
	case strings.Contains(msg, "unknown anchor"):
		line = anchorLine(data, msg, read)
	case slices.ContainsFunc(zeroBased, func(part string) bool { return strings.Contains(msg, part) }):
		line++
	}
	return describeSyntax(name, data, line, msg)
}

// anchorLine is the first line that has the alias whose anchor is unknown.
func anchorLine(data []byte, msg string, read int) int {
	_, quoted, _ := strings.Cut(msg, "'")
	anchor, _, _ := strings.Cut(quoted, "'")
	if at := bytes.Index(data, []byte("*"+anchor)); at >= 0 {
		return 1 + bytes.Count(data[:at], []byte{'\n'})
	}
	return read
}

func describeSyntax(name string, data []byte, line int, msg string) *Error {
	lines := bytes.Split(data, []byte{'\n'})
	line = max(1, min(line, len(lines)))
	text := lines[line-1]
	content := bytes.TrimLeft(text, " ")
	for _, r := range remedies {
		if strings.Contains(msg, r.part) && (r.starts == "" || bytes.IndexAny(content, r.starts) == 0) {
			msg = r.says
			break
		}
	}
	return &Error{Position{name, line, len(text) - len(content) + 1}, "", "YAML syntax: " + msg}
}
