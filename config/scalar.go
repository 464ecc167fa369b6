package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// scalar is a single value of the file, read from its text.
type scalar[T any] struct {
	dst   *T
	first T // the default
	form  shape
	parse func(text string) (T, error)
}

// errForm is the fault of a text that is not at all of the expected form: what was expected says enough.
var errForm = errors.New("not of the expected form")

func (s scalar[T]) reset() { *s.dst = s.first }

func (s scalar[T]) shape() shape { return s.form }

func (s scalar[T]) load(l *loader, at site, n *yaml.Node) {
	text, ok := l.scalarText(at, n, &s.form)
	if !ok {
		return
	}
	v, err := s.parse(text)
	switch {
	case err == nil:
		*s.dst = v
	case err == errForm:
		l.fail(at, "expected %s, got %s", s.form.expected, got(n))
	default:
		l.fail(at, "expected %s, got %s: %v", s.form.expected, got(n), err)
	}
}

// text is any text but the empty one. first is the default, empty where there is none.
func text(dst *string, first, expected string) value {
	form := shape{kind: kindText, expected: expected, pattern: ".", initial: initialText(first)}
	return scalar[string]{dst, first, form, func(s string) (string, error) {
		if s == "" {
			return "", errForm
		}
		return s, nil
	}}
}

func initialText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// name describes the elements of a list of names.
func name(expected string) func(*string) value {
	return func(dst *string) value { return text(dst, "", expected) }
}

// boolean is true or false.
func boolean(dst *bool, first bool) value {
	form := shape{kind: kindBoolean, expected: "true or false", initial: first}
	return scalar[bool]{dst, first, form, func(s string) (bool, error) {
		switch strings.ToLower(s) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return false, errForm
	}}
}

// integer is a decimal integer from low to high.
func integer[T int | int64 | uint16](dst *T, first, low, high T) value {
	form := integerShape(int64(first), int64(low), int64(high))
	return scalar[T]{dst, first, form, func(s string) (T, error) {
		v, err := parseInteger(s, int64(low), int64(high))
		return T(v), err
	}}
}

func milliseconds(dst *time.Duration, first, low, high int64) value {
	return duration(dst, time.Millisecond, first, low, high)
}

func seconds(dst *time.Duration, first, low, high int64) value {
	return duration(dst, time.Second, first, low, high)
}

// withoutDefault is the scalar v with no default to tell of: left is what stays where the file gives nothing.
func withoutDefault[T any](v value, left T) value {
	s := v.(scalar[T])
	s.first, s.form.initial = left, nil
	return s
}

// duration is an integer that counts a unit; first, low and high count it too.
func duration(dst *time.Duration, unit time.Duration, first, low, high int64) value {
	form := integerShape(first, low, high)
	form.unit = unit
	return scalar[time.Duration]{dst, time.Duration(first) * unit, form, func(s string) (time.Duration, error) {
		v, err := parseInteger(s, low, high)
		return time.Duration(v) * unit, err
	}}
}

func integerShape(first, low, high int64) shape {
	form := shape{kind: kindInteger, initial: first, min: low, max: high}
	switch {
	case low == math.MinInt64:
		form.expected = fmt.Sprintf("an integer of at most %d", high)
	case high == math.MaxInt64:
		form.expected = fmt.Sprintf("an integer of at least %d", low)
	default:
		form.expected = fmt.Sprintf("an integer from %d to %d", low, high)
	}
	return form
}

func parseInteger(s string, low, high int64) (int64, error) {
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || v < low || v > high {
		return 0, errForm
	}
	return v, nil
}

// number is a decimal number from low to high.
func number(dst *float64, first, low, high float64) value {
	form := shape{kind: kindNumber, initial: first, min: low, max: high}
	form.expected = fmt.Sprintf("a number from %v to %v", low, high)
	return scalar[float64]{dst, first, form, func(s string) (float64, error) {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || !(v >= low && v <= high) { // so that NaN fails too
			return 0, errForm
		}
		return v, nil
	}}
}

// word is a type that has a few known values.
type word[T any] interface {
	~string
	words() []T
}

// choice is one of the words of T.
func choice[T word[T]](dst *T, first T) value {
	form := shape{kind: kindText, initial: string(first)}
	for _, w := range first.words() {
		form.words = append(form.words, string(w))
	}
	form.expected = strings.Join(form.words, ", ")
	if len(form.words) > 1 {
		form.expected = "one of " + form.expected
	}
	return scalar[T]{dst, first, form, func(s string) (T, error) {
		if !slices.Contains(form.words, s) {
			return "", errForm
		}
		return T(s), nil
	}}
}

// address is where to listen.
func address(dst *Address) value {
	form := shape{kind: kindText, expected: "host:port, :port, [v6]:port or unix:/path"}
	form.pattern = `^([^:/\s]*|\[[^\]\s]+\]):[0-9]+$|^unix:/`
	return scalar[Address]{dst, Address{}, form, parseAddress}
}

// serverURL is where a server listens.
func serverURL(dst *ServerURL) value {
	form := shape{kind: kindText, expected: "http://host:port, https://host:port, h2c://host:port or unix:/path"}
	form.pattern = `^(http|https|h2c)://([^:/?#@\s]+|\[[^\]\s]+\])(:[0-9]+)?/?$|^unix:/`
	return scalar[ServerURL]{dst, ServerURL{}, form, parseServerURL}
}

// prefix is a network, or a single address.
func prefix(dst *netip.Prefix) value {
	form := shape{kind: kindText, expected: "a network such as 10.0.0.0/8 or an IP address"}
	form.pattern = `^[0-9A-Fa-f.:]+(/[0-9]+)?$`
	return scalar[netip.Prefix]{dst, netip.Prefix{}, form, parsePrefix}
}
