package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// middlewares is a document with these middlewares, in flow style.
func middlewares(text string) string { return around + "middlewares: {" + text + "}\n" }

func TestChainsThatAreWrong(t *testing.T) {
	const retry, breaker = "{retry: {attempts: 1}}", "{circuit_breaker: {}}"
	chain := func(names string) string { return "{chain: {middlewares: [" + names + "]}}" }
	for _, tc := range []struct{ name, doc, want string }{
		{"empty", middlewares("a: {chain: {middlewares: []}}"),
			`11:27: middlewares.a.chain.middlewares: expected a list with at least one element, got none`},
		{"unknown name", middlewares("good: " + breaker + ", a: " + chain("good, god")),
			`11:76: middlewares.a.chain.middlewares[1]: unknown middleware "god", did you mean "good"?`},
		{"itself", middlewares("a: " + chain("a")),
			`11:41: middlewares.a.chain.middlewares[0]: the chain contains itself: a -> a`},
		{"a cycle", middlewares("a: " + chain("b") + ", b: " + chain("r, c") + ", c: " + chain("b") + ", r: " + breaker),
			`11:108: middlewares.c.chain.middlewares[0]: the chain contains itself: b -> c -> b`},
		{"a cycle that is used", around + "    middlewares: [a]\nmiddlewares: {a: " + chain("b") + ", b: " + chain("a") + "}\n",
			`12:73: middlewares.b.chain.middlewares[0]: the chain contains itself: a -> b -> a`},
		{"a second retry in a chain", around + "    middlewares: [x, a]\nmiddlewares: {x: " + retry + ", y: " + retry + ", a: " + chain("y") + "}\n",
			`11:22: routers.api.middlewares[1]: a second retry, after "x"`},
	} {
		t.Run(tc.name, func(t *testing.T) { expectErrors(t, tc.doc, tc.want) })
	}
	var wide []string // each of five chains has the one before ten times: c3 comes to a thousand, and so on
	for i := range 5 {
		wide = append(wide, fmt.Sprintf("  c%d: %s\n", i+1, chain(strings.TrimSuffix(strings.Repeat(fmt.Sprintf("c%d, ", i), 10), ", "))))
	}
	var want []string
	for i := 3; i <= 5; i++ {
		want = append(want, fmt.Sprintf("%d:16: middlewares.c%d.chain.middlewares: more than 100 middlewares, with those of the chains in it", 12+i, i))
	}
	expectErrors(t, around+"middlewares:\n  c0: "+breaker+"\n"+strings.Join(wide, ""), strings.Join(want, "\n"))
	expectErrors(t, "entrypoints: {web: {address: \":1\", middlewares: [x]}}\n",
		`1:50: entrypoints.web.middlewares[0]: unknown middleware "x"`)
}

func TestFlow(t *testing.T) {
	c := mustParse(t, `entrypoints:
  web: {address: ":80", middlewares: [guard]}
  other: {address: ":81"}
services: {s: {servers: [{url: "http://a:1"}]}}
routers:
  r: {rule: x, service: s, middlewares: [all, again]}
  bare: {rule: x, service: s}
middlewares:
  guard: {circuit_breaker: {}}
  more: {circuit_breaker: {}}
  again: {retry: {attempts: 1}}
  inner: {chain: {middlewares: [more]}}
  all: {chain: {middlewares: [inner]}}
`)
	for _, tc := range []struct{ entry, router, want string }{
		{"web", "r", "guard more again"}, {"other", "r", "more again"}, {"web", "bare", "guard"}, {"other", "bare", ""},
	} {
		if got := strings.Join(c.Flow(tc.entry, tc.router), " "); got != tc.want {
			t.Errorf("%s at %s: %q, want %q", tc.router, tc.entry, got, tc.want)
		}
	}
}

func TestKind(t *testing.T) {
	c := mustParse(t, middlewares("a: {retry: {attempts: 1}}, b: {circuit_breaker: }, c: {chain: {middlewares: [a]}}"))
	for name, want := range map[string]string{"a": "retry", "b": "circuit_breaker", "c": "chain"} {
		if got := c.Middlewares[name].Kind(); got != want || !slices.Contains(Kinds(), got) {
			t.Errorf("%s is a %q, want %q", name, got, want)
		}
	}
}
