package config

import (
	"errors"
	"fmt"
	"strings"
)

// substitute puts the environment into s: ${env:NAME} is the variable's value, ${env:NAME:-text} the text when it is
// unset or empty. What is put in is not looked at again. Any other "${" is an error, but for ${name} where keeps, if there
// is one, takes the name: those stay, and nothing that looks like one may come from the environment.
func substitute(s string, env func(string) (string, bool), keeps func(name string) bool) (string, error) {
	before, rest, found := strings.Cut(s, "${")
	if !found {
		return s, nil
	}
	var b strings.Builder
	for ; found; before, rest, found = strings.Cut(rest, "${") {
		b.WriteString(before)
		body, after, closed := strings.Cut(rest, "}")
		if closed && keeps != nil && keeps(body) {
			b.WriteString("${" + body + "}")
			rest = after
			continue
		}
		name, isEnv := strings.CutPrefix(body, "env:")
		if !closed || !isEnv {
			return "", fmt.Errorf("%q is no substitution, expected ${env:NAME} or ${env:NAME:-default}", "${"+clip(rest))
		}
		v, err := lookup(name, env)
		switch {
		case err != nil:
			return "", err
		case keeps != nil && strings.Contains(v, "$"):
			return "", fmt.Errorf("%s has a %q in it, which would mean something here", "${env:"+name+"}", "$")
		}
		b.WriteString(v)
		rest = after
	}
	b.WriteString(before)
	return b.String(), nil
}

// lookup is the environment's text for NAME or NAME:-default.
func lookup(name string, env func(string) (string, bool)) (string, error) {
	name, fallback, hasFallback := strings.Cut(name, ":-")
	if !isVariable(name) {
		return "", fmt.Errorf("%q is no name of an environment variable", clip(name))
	}
	switch v, set := env(name); {
	case hasFallback && v == "":
		return fallback, nil
	case !set:
		return "", errors.New("the environment variable " + name + " is not set and has no default")
	default:
		return v, nil
	}
}

// keepsWords keeps all names of letters, digits and "_": whoever uses the text knows which there are.
func keepsWords(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
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
