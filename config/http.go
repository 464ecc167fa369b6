package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Values that are parts of messages of HTTP.

// Secret is a text that nobody but its user is to see: printed or marshalled it shows only whether it is there.
type Secret string

// String is "***", or nothing for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString is as String.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText is as String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func secret(dst *Secret) value {
	form := shape{kind: kindText, expected: "a text", pattern: "."}
	return scalar[Secret]{dst, "", form, func(s string) (Secret, error) {
		if s == "" {
			return "", errForm
		}
		return Secret(s), nil
	}}
}

// StatusRange is status codes from Low to High, both included.
type StatusRange struct{ Low, High int }

// String is the range as the file has it.
func (r StatusRange) String() string {
	if r.Low == r.High {
		return strconv.Itoa(r.Low)
	}
	return fmt.Sprintf("%d-%d", r.Low, r.High)
}

// Codes of final responses (RFC 9110 section 15).
const (
	lowestStatus  = 200
	highestStatus = 599
)

// statuses is a list of status codes and ranges of them.
func statuses(dst *[]StatusRange, atLeast int, first ...StatusRange) value {
	return listValue[StatusRange]{dst, first, atLeast, status}
}

func status(dst *StatusRange) value {
	form := shape{kind: kindStatus, expected: "a status code from 200 to 599 or a range such as 200-399"}
	form.min, form.max = int64(lowestStatus), int64(highestStatus)
	form.pattern = `^[2-5][0-9]{2}(-[2-5][0-9]{2})?$`
	return scalar[StatusRange]{dst, StatusRange{}, form, parseStatus}
}

func parseStatus(s string) (StatusRange, error) {
	low, high, isRange := strings.Cut(s, "-")
	if !isRange {
		high = low
	}
	from, errFrom := parseInteger(low, lowestStatus, highestStatus)
	to, errTo := parseInteger(high, lowestStatus, highestStatus)
	switch {
	case len(low) != 3 || len(high) != 3, errFrom != nil, errTo != nil: // no signs, no zeros in front
		return StatusRange{}, errForm
	case from > to:
		return StatusRange{}, errors.New("the range is empty")
	}
	return StatusRange{int(from), int(to)}, nil
}

// tokenPattern and isToken are a token (RFC 9110 section 5.6.2).
const tokenPattern = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"

func isToken(s string) bool {
	const others = "!#$%&'*+-.^_`|~"
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune(others, r))
	})
}

// token is a name or a word of HTTP. first is the default, empty where there is none.
func token(dst *string, first, expected string) value {
	form := shape{kind: kindText, expected: expected, pattern: "^" + tokenPattern + "$", initial: initialText(first)}
	return scalar[string]{dst, first, form, func(s string) (string, error) {
		if !isToken(s) {
			return "", errForm
		}
		return s, nil
	}}
}

// upgradeProtocol is a protocol that a connection may turn to, in lower case.
func upgradeProtocol(dst *string) value {
	form := shape{kind: kindText, expected: "a protocol's name such as websocket", pattern: "^" + tokenPattern + "$"}
	return scalar[string]{dst, "", form, func(s string) (string, error) {
		switch s = strings.ToLower(s); {
		case !isToken(s):
			return "", errForm
		case s == "h2c": // what is asked for inside would pass every rule and limit
			return "", errors.New("requests inside it would not be seen by the proxy")
		}
		return s, nil
	}}
}

// fields is a mapping from field names to values, which are not templates.
func fields(dst *map[string]string) value { return fieldsValue{dst} }

type fieldsValue struct{ dst *map[string]string }

func (f fieldsValue) reset() { *f.dst = map[string]string{} }

func (fieldsValue) shape() shape {
	return shape{kind: kindFields, expected: "a mapping from field names to values", element: fieldValue(new(string)),
		pattern: "^" + tokenPattern + "$"}
}

// framing are the fields that say where a message ends and what its connection does: the sender's own.
var framing = []string{"connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}

func (f fieldsValue) load(l *loader, at site, n *yaml.Node) {
	entries, ok := l.entries(at, n)
	if !ok {
		return
	}
	first := map[string]string{} // spelling of each name, by its lower case
	for _, e := range entries {
		name := e.key.Value
		lower := strings.ToLower(name)
		fail := func(format string, args ...any) { l.failAt(l.position(e.key), at.key(name), format, args...) }
		switch earlier, twice := first[lower]; {
		case !isToken(name):
			fail("expected a field name, got %q", name)
			continue
		case slices.Contains(framing, lower):
			fail("the proxy sets this field itself")
			continue
		case twice:
			fail("the same field as %s", earlier)
			continue
		}
		first[lower] = name
		var v string
		l.load(fieldValue(&v), at.name(name), e)
		(*f.dst)[name] = v
	}
}

// fieldValue is the value of a field (RFC 9110 section 5.5), not empty.
func fieldValue(dst *string) value {
	form := shape{kind: kindText, expected: "a field's value", pattern: `^\S`}
	return scalar[string]{dst, "", form, func(s string) (string, error) {
		isControl := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
		if s == "" || s != strings.Trim(s, " \t") || strings.ContainsFunc(s, isControl) {
			return "", errForm
		}
		return s, nil
	}}
}
