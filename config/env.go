package config

import (
	"errors"
	"fmt"
	"strings"
)

// substitute puts the environment into s: ${env:NAME} is the variable's value, ${env:NAME:-text} the text when it is
// unset or empty. What is put in is not looked at again. Any other "${" is an error.
func substitute(s string, env func(string) (string, bool)) (string, error) {
	before, rest, found := strings.Cut(s, "${")
	if !found {
		return s, nil
	}
	var b strings.Builder
	for found {
		b.WriteString(before)
		body, after, closed := strings.Cut(rest, "}")
		name, isEnv := strings.CutPrefix(body, "env:")
		if !closed || !isEnv {
			return "", fmt.Errorf("%q is no substitution, expected ${env:NAME} or ${env:NAME:-default}", "${"+clip(rest))
		}
		name, fallback, hasFallback := strings.Cut(name, ":-")
		if !isVariable(name) {
			return "", fmt.Errorf("%q is no name of an environment variable", clip(name))
		}
		v, set := env(name)
		switch {
		case hasFallback && v == "":
			v = fallback
		case !set:
			return "", errors.New("the environment variable " + name + " is not set and has no default")
		}
		b.WriteString(v)
		before, rest, found = strings.Cut(after, "${")
	}
	b.WriteString(before)
	return b.String(), nil
}

// clip is s up to its first "}" with it, and no longer than a message shows.
func clip(s string) string {
	if i := strings.IndexByte(s, '}'); i >= 0 {
		s = s[:i+1]
	}
	if r := []rune(s); len(r) > longest {
		s = string(r[:longest]) + "..."
	}
	return s
}

func isVariable(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', i > 0 && '0' <= c && c <= '9':
		default:
			return false
		}
	}
	return s != ""
}
