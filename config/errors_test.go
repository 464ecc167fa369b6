package config

import (
	"fmt"
	"strings"
	"testing"
)

// around is a whole document with nothing wrong, but for what is added to it; it has 10 lines.
const around = `entrypoints:
  web: {address: ":80"}
services:
  api:
    servers:
    - url: http://a:1
routers:
  api:
    rule: Path("/x")
    service: api
`

func TestErrors(t *testing.T) {
	for _, tc := range []struct{ name, doc, want string }{
		{"empty", "", `1:1: expected a mapping, got an empty document`},
		{"comment only", "# nothing\n", `1:1: expected a mapping, got an empty document`},
		{"null", "---\n", `1:1: expected a mapping, got an empty document`},
		{"no keys", "{}\n", `1:1: entrypoints: missing, expected a mapping from names with at least one in it`},
		{"empty element", "entrypoints: {a: {address: \":1\"}}\nservices:\n  s:\n    servers:\n    -",
			`4:5: services.s.servers[0].url: missing, expected http://host:port, https://host:port, h2c://host:port or unix:/path`},
		{"text", "hello\n", `1:1: expected a mapping, got "hello"`},
		{"list", "\n- a\n", `2:1: expected a mapping, got a list`},
		{"no entry points", "entrypoints: {}\n", `1:1: entrypoints: expected a mapping from names with at least one in it, got none`},
		{"no address", "entrypoints:\n  web:\n", `2:3: entrypoints.web.address: missing, expected host:port, :port, [v6]:port or unix:/path`},
		{"second document", minimal + "---\na: 1\n", `4:1: a second document, expected one only`},

		{"misspelt key", around + "shutdwn:\n", `11:1: shutdwn: unknown key, did you mean "shutdown"?`},
		{"unknown key", around + "log:\n  colour: x\n", `12:3: log.colour: unknown key, expected one of format, level`},
		{"two letters", around + "log: {fo: x}\n", `11:7: log.fo: unknown key, expected one of format, level`},
		{"unknown field", around + "access_log: {fields: {user_agnt: true}}\n",
			`11:23: access_log.fields.user_agnt: unknown key, did you mean "user_agent"?`},
		{"key given twice", around + "log:\n  level: info\n  format: text\n  level: warn\n",
			`14:3: log.level: given twice, first on line 12`},
		{"name given twice", "entrypoints:\n  web: {address: \":80\"}\n  web: {address: \":81\"}\n",
			`3:3: entrypoints.web: given twice, first on line 2`},
		{"merged twice", around + "log:\n  <<: {level: info}\n  <<: {level: warn}\n",
			`13:3: log.<<: given twice, first on line 12`},
		{"merge of a text", around + "log:\n  <<: info\n", `12:7: log: expected a mapping, or a list of them, to merge, got "info"`},
		{"merge of nested lists", around + "log: {<<: [[{level: info}]]}\n",
			`11:12: log: expected a mapping, or a list of them, to merge, got a list`},
		{"key that is a list", around + "? [a]\n: 1\n", `11:3: expected a key, got a list`},
		{"bad name", "entrypoints:\n  a b: {}\n", `2:3: entrypoints.a b: expected a name of letters, digits, '_', '-' and '.', got "a b"`},

		{"list for a mapping", "entrypoints: [web]\n", `1:1: entrypoints: expected a mapping, got a list`},
		{"mapping for a list", "entrypoints: {web: {address: \":80\"}}\nservices: {a: {servers: {url: x}}}\n",
			`2:16: services.a.servers: expected a list with at least one element, got a mapping`},
		{"list for a text", "entrypoints:\n  web:\n    address: [\"::\"]\n",
			`3:5: entrypoints.web.address: expected host:port, :port, [v6]:port or unix:/path, got a list`},
		{"number for a text", "entrypoints:\n  web: {address: 8080}\n",
			`2:18: entrypoints.web.address: expected host:port, :port, [v6]:port or unix:/path, got 8080`},
		{"nothing for a text", "entrypoints:\n  web:\n    address:\n",
			`3:5: entrypoints.web.address: expected host:port, :port, [v6]:port or unix:/path, got nothing`},
		{"text for an integer", "entrypoints:\n  web: {address: \":80\", max_connections: many}\n",
			`2:42: entrypoints.web.max_connections: expected an integer from 0 to 2147483647, got "many"`},
		{"quoted integer", "entrypoints:\n  web: {address: \":80\", max_connections: \"7\"}\n",
			`2:42: entrypoints.web.max_connections: expected an integer from 0 to 2147483647, got "7"`},
		{"fraction for an integer", around + "shutdown: {drain_timeout_seconds: 1.5}\n",
			`11:35: shutdown.drain_timeout_seconds: expected an integer from 0 to 86400, got 1.5`},
		{"octal", around + "shutdown: {drain_timeout_seconds: 0o17}\n",
			`11:35: shutdown.drain_timeout_seconds: expected an integer from 0 to 86400, got 0o17`},
		{"too large", around + "shutdown: {drain_timeout_seconds: 86401}\n",
			`11:35: shutdown.drain_timeout_seconds: expected an integer from 0 to 86400, got 86401`},
		{"beyond 64 bits", "entrypoints: {a: {address: \":1\", http: {max_body_bytes: 9223372036854775808}}}\n",
			`1:57: entrypoints.a.http.max_body_bytes: expected an integer of at least 0, got 9223372036854775808`},
		{"negative", around + "shutdown: {drain_timeout_seconds: -1}\n",
			`11:35: shutdown.drain_timeout_seconds: expected an integer from 0 to 86400, got -1`},
		{"zero timeout", "entrypoints: {a: {address: \":1\", http: {idle_timeout_ms: 0}}}\n",
			`1:58: entrypoints.a.http.idle_timeout_ms: expected an integer from 1 to 86400000, got 0`},
		{"priority of our own", around + "    priority: 9223372036854775000\n",
			`11:15: routers.api.priority: expected an integer of at most 9223372036854774807, got 9223372036854775000`},
		{"share above one", around + "access_log: {sample: 1.01}\n", `11:22: access_log.sample: expected a number from 0 to 1, got 1.01`},
		{"no number", around + "access_log: {sample: .nan}\n", `11:22: access_log.sample: expected a number from 0 to 1, got .nan`},
		{"yes for true", around + "access_log: {fields: {path: yes}}\n",
			`11:29: access_log.fields.path: expected true or false, got "yes"`},
		{"empty text", around + "access_log: {file: \"\"}\n", `11:20: access_log.file: expected stdout or a path, got ""`},
		{"not a choice", around + "log: {level: loud}\n", `11:14: log.level: expected one of debug, info, warn, error, got "loud"`},
		{"the only choice", around + "access_log: {format: xml}\n", `11:22: access_log.format: expected json, got "xml"`},
		{"tag", around + "log: {level: !debug x}\n",
			`11:14: log.level: expected one of debug, info, warn, error, got "x" with the tag !debug (quote a text that begins with '!')`},
		{"long text", around + "log: {level: " + strings.Repeat("x", 70) + "}\n",
			`11:14: log.level: expected one of debug, info, warn, error, got "` + strings.Repeat("x", 60) + `..."`},

		{"unknown service", "entrypoints: {a: {address: \":1\"}}\nservices: {hello: {servers: [{url: unix:/s}]}}\n" +
			"routers: {r: {rule: x, service: helo}}\n", `3:33: routers.r.service: unknown service "helo", did you mean "hello"?`},
		{"unknown entry point", "entrypoints: {a: {address: \":1\"}}\nservices: {s: {servers: [{url: unix:/s}]}}\n" +
			"routers: {r: {rule: x, service: s, entrypoints: [a, other]}}\n",
			`3:53: routers.r.entrypoints[1]: unknown entry point "other"`},
		{"no entry points of a router", around + "    entrypoints: []\n",
			`11:5: routers.api.entrypoints: expected a list with at least one element, got none`},
		{"router without keys", around + "  other: {}\n",
			"11:3: routers.other.rule: missing, expected a rule such as PathPrefix(`/api`)\n" +
				"11:3: routers.other.service: missing, expected the name of a service"},
		{"empty servers", "entrypoints: {a: {address: \":1\"}}\nservices: {s: {servers: []}, t: {}, u: {servers: }}\n",
			`2:16: services.s.servers: expected a list with at least one element, got none
2:30: services.t.servers: missing, expected a list with at least one element
2:41: services.u.servers: expected a list with at least one element, got none`},
		{"address taken", "entrypoints:\n  b: {address: \"LOCALHOST:80\"}\n  a: {address: \"localhost:80\"}\n" +
			"metrics: {address: \"localhost:80\"}\n",
			`3:16: entrypoints.a.address: localhost:80 is taken by entrypoints.b.address on line 2
4:20: metrics.address: localhost:80 is taken by entrypoints.b.address on line 2`},

		{"address taken behind an alias", "entrypoints:\n  b: &e {address: \":80\"}\n  a: *e\n",
			`2:19: entrypoints.b.address: :80 is taken by entrypoints.a.address on line 2`},
		{"fault behind an alias is told once", "entrypoints:\n  a: {address: \":1\", http: &h {max_headers: 0}}\n" +
			"  b: {address: \":2\", http: *h}\n",
			`2:45: entrypoints.a.http.max_headers: expected an integer from 1 to 10000, got 0`},
		{"everything at once, by position", "metrics: {}\nlog: {level: x}\nentrypoints: {a: {adress: 1}}\n",
			`1:1: metrics.address: missing, expected host:port, :port, [v6]:port or unix:/path
2:14: log.level: expected one of debug, info, warn, error, got "x"
3:15: entrypoints.a.address: missing, expected host:port, :port, [v6]:port or unix:/path
3:19: entrypoints.a.adress: unknown key, did you mean "address"?`},
	} {
		t.Run(tc.name, func(t *testing.T) { expectErrors(t, tc.doc, tc.want) })
	}
}

// expectErrors parses doc and compares the lines of the error, each after the name of the file.
func expectErrors(t *testing.T, doc, want string) {
	t.Helper()
	c, err := Parse("c.yaml", []byte(doc), testEnv)
	if err == nil {
		t.Fatalf("no error, want\n%s\nin:\n%s", want, doc)
	}
	if c != nil {
		t.Error("a configuration beside the error")
	}
	want = "c.yaml:" + strings.ReplaceAll(want, "\n", "\nc.yaml:")
	if got := err.Error(); got != want {
		t.Errorf("in:\n%s\n got %s\nwant %s", doc, got, want)
	}
}

func TestEnvironment(t *testing.T) {
	const level = "expected one of debug, info, warn, error"
	for _, tc := range []struct{ value, want string }{
		{"${env:NONE}", "the environment variable NONE is not set and has no default"},
		{"a${env:PORT}${env:NONE}", "the environment variable NONE is not set and has no default"},
		{"${env:}", `"" is no name of an environment variable`},
		{"${env:A-B}", `"A-B" is no name of an environment variable`},
		{"${env:1A:-x}", `"1A" is no name of an environment variable`},
		{"${client_ip}", `"${client_ip}" is no substitution, expected ${env:NAME} or ${env:NAME:-default}`},
		{"x${env:PORT", `"${env:PORT" is no substitution, expected ${env:NAME} or ${env:NAME:-default}`},
		{"${}", `"${}" is no substitution, expected ${env:NAME} or ${env:NAME:-default}`},
		{"${env:EMPTY}", level + `, got the value of "${env:EMPTY}"`},
		{"${env:SECRET}", level + `, got the value of "${env:SECRET}"`},
		{"${env:NONE:-${env:PORT}}", level + `, got the value of "${env:NONE:-${env:PORT}}"`},
	} {
		expectErrors(t, around+"log:\n  level: "+tc.value+"\n", "12:10: log.level: "+tc.want)
	}
	expectErrors(t, around+"shutdown: {drain_timeout_seconds: \"${env:SECRET}\"}\n",
		`11:35: shutdown.drain_timeout_seconds: expected an integer from 0 to 86400, got the value of "${env:SECRET}"`)
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		":80":                               "",
		"0.0.0.0:0":                         "",
		"a-b.c_d.example:":                  `: "" is no port, expected 0 to 65535`,
		"host":                              "-",
		"::1:80":                            "-",
		"[::1]":                             "-",
		"[::1]:80":                          "",
		"[fe80::1%eth0]:8":                  "",
		"[host]:80":                         `: "host" is neither an IP address nor a host name`,
		":65536":                            `: "65536" is no port, expected 0 to 65535`,
		":http":                             `: "http" is no port, expected 0 to 65535`,
		":-1":                               `: "-1" is no port, expected 0 to 65535`,
		"256.1.1.1:80":                      `: "256.1.1.1" is neither an IP address nor a host name`,
		"a..b:80":                           `: "a..b" is neither an IP address nor a host name`,
		"*:80":                              `: "*" is neither an IP address nor a host name`,
		"http://a:80":                       "-",
		"unix:/run/x":                       "",
		"unix:x":                            ": the path must be absolute",
		"unix:/" + strings.Repeat("a", 107): ": the path has 108 bytes, a unix socket's has at most 107",
	} {
		expectScalar(t, "entrypoints:\n  web: {address: %q}\n", "entrypoints.web.address",
			"host:port, :port, [v6]:port or unix:/path", text, want)
	}
}

func TestServerURLs(t *testing.T) {
	for text, want := range map[string]string{
		"http://a":          "",
		"http://a:1/":       "",
		"http://[::1]":      "",
		"unix:/a":           "",
		"https://a":         "",
		"https://[::1]:1":   "",
		"h2c://a:1":         "",
		"h2://a":            "-",
		"https://":          `: no host`,
		"ftp://x":           "-",
		"//a:1":             "-",
		"a:1":               "-",
		"HTTP://a":          "-",
		"http://":           `: no host`,
		"http://:80":        `: no host`,
		"http://a:0":        `: port 0 cannot be connected to`,
		"http://a:b":        `: "b" is no port, expected 0 to 65535`,
		"http://a/b":        `: a server's URL has no path or query`,
		"http://a?b":        `: a server's URL has no path or query`,
		"http://u:p@a:80":   "-",
		"http://u@a:80":     `: "u@a" is neither an IP address nor a host name`,
		"unix:":             ": the path must be absolute",
		"http://1.2.3.4.5/": `: "1.2.3.4.5" is neither an IP address nor a host name`,
	} {
		expectScalar(t, minimal+"services:\n  s:\n    servers:\n    - {url: %q}\n", "services.s.servers[0].url",
			"http://host:port, https://host:port, h2c://host:port or unix:/path", text, want)
	}
}

func TestPrefixes(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/8": "", "10.1.2.3": "", "::/0": "", "fe80::1": "", "::ffff:10.0.0.0/104": "",
		"10.0.0.0/33": "-", "10.0.0": "-", "localhost": "-", "10.0.0.1/": "-", "fe80::1%eth0": "-", "/8": "-",
	} {
		expectScalar(t, "entrypoints:\n  web: {address: \":80\", forwarded_headers: {trusted_ips: [%q]}}\n",
			"entrypoints.web.forwarded_headers.trusted_ips[0]", "a network such as 10.0.0.0/8 or an IP address", text, want)
	}
}

// expectScalar puts text into doc. want is empty when it is to be accepted, "-" when the message says no more than
// what was expected, else what it adds.
func expectScalar(t *testing.T, doc, key, expected, text, want string) {
	t.Helper()
	_, err := Parse("c.yaml", fmt.Appendf(nil, doc, text), testEnv)
	if want == "" {
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		return
	}
	shown := text
	if len(shown) > longest {
		shown = shown[:longest] + "..."
	}
	want = fmt.Sprintf("expected %s, got %q%s", expected, shown, strings.TrimPrefix(want, "-"))
	errs, _ := err.(Errors)
	if len(errs) != 1 || errs[0].Msg != want || errs[0].Key != key {
		t.Errorf("%q:\n got %v\nwant %s: %s", text, err, key, want)
	}
}

func TestSyntaxErrors(t *testing.T) {
	for _, tc := range []struct{ name, doc, want string }{
		{"tab", "a: 1\nb:\n\tc: 1\n", "3:1: YAML syntax: a tab, expected spaces for indentation"},
		{"outdented key", "a: 1\nb:\n  c: 1\n c2: 3\nd: 4\ne: 5\n",
			"4:2: YAML syntax: expected a key with the indentation of those before it"},
		{"indented key", "a: 1\n  b: 2\nc: 3\n",
			"2:3: YAML syntax: a ': ' inside a value, or wrong indentation; put a value with ': ' in quotes"},
		{"colon in a value", "a: 1\nb: c: d\ne: 3\n",
			"2:1: YAML syntax: a ': ' inside a value, or wrong indentation; put a value with ': ' in quotes"},
		{"no colon", "a: 1\nb\nc: 2\nd: 1\n", "2:1: YAML syntax: expected a ':' after the key"},
		{"open quotes", "a: 1\nb: \"x\nc: 2\n", "2:1: YAML syntax: quotes that are not closed"},
		{"open bracket", "a: 1\nb: [1, 2\nc: 2\nd: 3\n", "2:1: YAML syntax: a '[' that is not closed, here or above"},
		{"open bracket on the first line", "a: [1, 2\n", "2:1: YAML syntax: a '[' that is not closed, here or above"},
		{"substitution in braces", "a: 1\nb: {c: ${env:X}}\nd: 1\n",
			"2:1: YAML syntax: a '{' that is not closed, here or above; put a value with '${' in quotes inside braces"},
		{"unquoted address", "a: 1\nb: [::]:80\nc: 1\n",
			"2:1: YAML syntax: expected a value; put one that begins with '[' or '{' in quotes"},
		{"rule that begins with a bang", "a: 1\nrule: !Host(`x`)\nc: 1\n",
			"2:1: YAML syntax: a value that begins with '!' must be in quotes"},
		{"back quote", "a: 1\n  \nb: `x`\nc: 1\n",
			"3:1: YAML syntax: a value cannot begin with this character, put it in quotes"},
		{"wildcard", "a: 1\nb: *.example.com\nc: 1\n",
			"2:1: YAML syntax: a value that begins with '*' or '&' must be in quotes"},
		{"unknown anchor", "a: 1\nb: *x\nc: 1\n",
			"2:1: YAML syntax: no such anchor; put a value that begins with '*' in quotes"},
		{"key beside a list", "a:\n  - 1\n  b: 2\nc: 3\n", "3:3: YAML syntax: did not find expected '-' indicator"},
		{"escape", "a: 1\nb: \"\\`\"\n", "2:1: YAML syntax: found unknown escape character"},
		{"undefined tag", "a: 1\nb: !x!y 1\n", "2:1: YAML syntax: found undefined tag handle"},
		{"not UTF-8", "a: 1\nb: \xff\n", "2:4: a byte that is not UTF-8"},
		{"control character", "a: 1\nb: \"é\x01\"\n", `2:6: the control character '\x01'`},
		{"old line breaks", "a: 1\rb: 2\r", `1:5: the line break '\r', expected a line feed`},
		{"line separator", "a: 1\nb: \u2028", `2:4: the line break '\u2028', expected a line feed`},
		{"fault after CRLF lines", "a: 1\r\nb: \"x\r\n", "2:1: YAML syntax: quotes that are not closed"},
		{"fault in a second document", "a: 1\n---\nb: \"x\n", "3:1: YAML syntax: quotes that are not closed"},
	} {
		t.Run(tc.name, func(t *testing.T) { expectErrors(t, tc.doc, tc.want) })
	}
}
