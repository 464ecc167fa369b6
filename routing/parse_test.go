package routing

import (
	"errors"
	goparser "go/parser"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"Host(`a`)", `Host("a")`},
		{"\t Host (\n\"A.Com\",\n) \n", `Host("a.com")`},
		{"/* before */ Path(`/`) // behind", `Path("/")`},
		{"Host(`a`) &&\n\n Path(`/x`) ||\nPath(`/y`)", `Host("a") && Path("/x") || Path("/y")`},
		{"Host(`a`) || Path(`/x`) && Path(`/y`)", `Host("a") || Path("/x") && Path("/y")`},
		{"(Host(`a`) || Path(`/x`)) && Path(`/y`)", `(Host("a") || Path("/x")) && Path("/y")`},
		{`!Host("a") && Path("/x")`, `!Host("a") && Path("/x")`},
		{`!(Host("a") && Path("/x"))`, `!Host("a") || !Path("/x")`},
		{`!(Host("a") || !Path("/x")) || Path("/y")`, `!Host("a") && Path("/x") || Path("/y")`},
		{`!!Host("a")`, `Host("a")`},
		{`!(!(Path("/a") && Path("/b")))`, `Path("/a") && Path("/b")`},
		{`((Path("/a") && Path("/b")) && (Path("/c")))`, `Path("/a") && Path("/b") && Path("/c")`},
		{`Path("/\x41\u00e9\"\\")`, `Path("/Aé\"\\")`},
		{"Path(`/\\x41\r`)", `Path("/\\x41")`},
		{"PathPrefix(`/`)", `PathPrefix("/")`},
		{"pathprefix(`/`)", `PathPrefix("/")`},
		{"PATHPREFIX(`/`)", `PathPrefix("/")`},
		{"Pathprefix(`/`)", `PathPrefix("/")`},
		{"Clientip(`::ffff:10.1.2.3/112`)", `ClientIP("10.1.0.0/16")`},
		{"ClientIP(`2001:db8::1`)", `ClientIP("2001:db8::1/128")`},
		{"Method(`get`)", `Method("GET")`},
		{"QueryRegexp(`k`)", `Query("k")`},
		{"Query(`k`, `v`)", `Query("k", "v")`},
		{"QueryRegexp(`k`, `v`) && HeaderRegexp(`k`, `v`)", `QueryRegexp("k", "v") && HeaderRegexp("k", "v")`},
		{"Host(`*`) && Host(`*.A.com.`) && Host(`*foo.a`) && Host(`b..`) && Host(`.`)",
			`Host("*") && Host("*.a.com") && Host("*foo.a") && Host("b..") && Host(".")`},
	} {
		r, err := Parse(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if r.Text() != c.text {
			t.Errorf("%s: text %s", c.text, r.Text())
		}
		if got := r.String(); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.text, got, c.want)
		}
		if again := mustParse(t, r.String()); again.String() != c.want {
			t.Errorf("%s: parsed again: %s", c.want, again)
		}
	}
}

var syntaxErrors = []struct {
	text         string
	line, column int
	msg          string // part of it
}{
	{"", 1, 1, "expected a matcher, ! or (, found the end of the rule"},
	{"pathPrefix(`/`)", 1, 1, "unknown matcher pathPrefix; write PathPrefix"},
	{"PATHPrefix(`/`)", 1, 1, "write PathPrefix"},
	{"Foo(`/`)", 1, 1, "unknown matcher Foo; there are Host,"},
	{"hoſt(`a`)", 1, 1, "unknown matcher"},
	{"Path(`/`) && HostSNI(`a`)", 1, 14, "HostSNI is for routers of tcp entry points; use Host here"},
	{"ALPN(`h2`)", 1, 1, "tcp entry points"},
	{"Headers(`a`, `b`)", 1, 1, "use Header"},
	{"Host(`a`)\n&& Path(`/`)", 2, 1, "line break before &&; put && at the end of the line before"},
	{"Host(`a`) // c\n\n  || Path(`/`)", 3, 3, "line break before ||"},
	{"Host(`a`)\nPath(`/`)", 2, 1, "expected && or || or the end of the rule, found Path"},
	{"(Host(`a`)\n)", 1, 11, "expected ), found a line break"},
	{"Host(`a`\n)", 1, 9, "expected ,, found a line break"},
	{"Host(`a`);", 1, 10, "found ;"},
	{"Host('a')", 1, 6, "single quotes make no string"},
	{"Host('abc')", 1, 6, "single quotes make no string"},
	{"Host(a)", 1, 6, "expected a string such as `...` or \"...\" as argument of Host, found a"},
	{"Host(1)", 1, 6, "found 1"},
	{"Host((`a`))", 1, 6, "found ("},
	{"Host(`a` + `b`)", 1, 10, "expected ,, found +"},
	{"Host(`a`...)", 1, 9, "expected ,, found ..."},
	{"Host(,)", 1, 6, "found ,"},
	{"Host", 1, 5, "expected (, found the end of the rule"},
	{"Host[`a`]", 1, 5, "expected (, found ["},
	{"(Host)(`a`)", 1, 6, "expected (, found )"},
	{"a.b(`a`)", 1, 1, "unknown matcher a"},
	{"`a`", 1, 1, "expected a matcher such as Host(...) or PathPrefix(...), found only a string"},
	{"Host(`a`) == Host(`b`)", 1, 11, "found =="},
	{"Host(`a`) | Host(`b`)", 1, 11, "found |"},
	{"Host(`a`) & Host(`b`)", 1, 11, "found &"},
	{"-Host(`a`)", 1, 1, "found -"},
	{"Host(`a`) && ", 1, 14, "found the end of the rule"},
	{"Host(`a`) func", 1, 11, "found func"},
	{"(Host(`a`)", 1, 11, "expected ), found the end of the rule"},
	{"Host(`a`))", 1, 10, "found )"},
	{"Host(`a", 1, 6, "not terminated"},
	{"Host(\"a)\n", 1, 6, "not terminated"},
	{"Host(\"\\q\")", 1, 8, "unknown escape"},
	{"Host(`a`) # b", 1, 11, "illegal character"},
	{"Host()", 1, 1, "Host takes 1 argument, here are 0"},
	{"Path(`/a`, `/b`)", 1, 1, "here are 2; write Path(\"/a\") || Path(\"/b\")"},
	{"Header(`a`)", 1, 1, "Header takes 2 arguments, here are 1"},
	{"Query(`a`, `b`, `c`)", 1, 1, "Query takes 1 or 2 arguments, here are 3"},
	{"Query(`k`, ``)", 1, 12, "argument 2 of Query is empty"},
	{"Header(\"\", `v`)", 1, 8, "argument 1 of Header is empty"},
	{"Path(`a`)", 1, 6, "must begin with /; write \"/a\""},
	{"PathPrefix(`a`)", 1, 12, "must begin with /"},
	{"Host(`é.com`)", 1, 6, "must be ASCII"},
	{"HostRegexp(`é`)", 1, 12, "must be ASCII"},
	{"HostRegexp(`(`)", 1, 12, "HostRegexp: missing closing )"},
	{"Path(`/`) &&\n\tHeaderRegexp(`k`, `[`)", 2, 20, "missing closing ]"},
	{"QueryRegexp(`k`, `*`)", 1, 18, "missing argument to repetition operator"},
	{"PathRegexp(`(?<`)", 1, 12, "PathRegexp: "},
	{"ClientIP(`10.0.0.0/33`)", 1, 10, "must be an address or a network"},
	{"ClientIP(`fe80::1%eth0`)", 1, 10, "must be an address or a network"},
	{strings.Repeat("!", 1001) + "Path(`/`)", 1, 1001, "nested more than 1000 deep"},
	{strings.Repeat("(", 1e6), 1, 1001, "nested more than 1000 deep"},
}

func TestParseErrors(t *testing.T) {
	for _, c := range syntaxErrors {
		_, err := Parse(c.text)
		var e *SyntaxError
		if !errors.As(err, &e) {
			t.Errorf("%.60q: error %v", c.text, err)
			continue
		}
		offset := e.Column - 1
		for range e.Line - 1 {
			offset += strings.IndexByte(c.text[offset-e.Column+1:], '\n') + 1
		}
		if e.Line != c.line || e.Column != c.column || offset != e.Offset || !strings.Contains(e.Msg, c.msg) {
			t.Errorf("%.60q: offset %d: %v; want %d:%d %s", c.text, e.Offset, e, c.line, c.column, c.msg)
		}
	}
}

func TestHosts(t *testing.T) {
	r := mustParse(t, "(Host(`B.com.`) || !Host(`c.com`) || !!Host(`a.com`) || Host(`*.d.com`)) && Host(`*`) && !(Host(`e.com`) || "+
		"!Host(`b.com`)) && HostRegexp(`f.com`) && Host(`*g.com`) && Path(`/h.com`)")
	if got, want := r.Hosts(), []string{"b.com", "a.com", "*.d.com"}; !slices.Equal(got, want) {
		t.Errorf("hosts %q, want %q", got, want)
	}
}

// FuzzParse: what is accepted, Go's own parser accepts too and evaluates the same; the one spelling means the same.
func FuzzParse(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(randomRule(rand.New(rand.NewPCG(seed, 2)), 3), seed)
	}
	for _, text := range []string{"Host('a')", "(", "//line x:1\nPath(`/`)", "Path(`/`)\n&&", "\ufeffPath(`/`)", "Host(`a\r`)"} {
		f.Add(text, uint64(0))
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		rule, err := Parse(text)
		var e *SyntaxError
		if err != nil {
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(text) || e.Msg == "" {
				t.Fatalf("%q: %#v", text, err)
			}
			return
		}
		if _, err := goparser.ParseExpr(text); err != nil {
			t.Fatalf("%q: Go refuses it: %v", text, err)
		}
		again, err := Parse(rule.String())
		if err != nil {
			t.Fatalf("%q: %s: %v", text, rule, err)
		}
		if again.String() != rule.String() {
			t.Fatalf("%q: %s, parsed again %s", text, rule, again)
		}
		oracle := newNaive(t, text)
		table := NewTable([]Entry[int]{{Rule: rule}})
		copied := NewTable([]Entry[int]{{Rule: again}})
		r := rand.New(rand.NewPCG(seed, 3))
		var scratch Scratch
		for range 20 {
			s := randomSample(r)
			_, got := table.Match(s.request(), &scratch)
			_, same := copied.Match(s.request(), &scratch)
			if want := oracle.matches(s); got != want || same != want {
				t.Fatalf("%q on %s: %v, parsed again %v, want %v", text, s, got, same, want)
			}
		}
	})
}
