package config

import (
	"reflect"
	"strings"
	"testing"
)

type stamp struct {
	Text  string         `yaml:"text"`
	Times int            `yaml:"times"`
	Parts []string       `yaml:"parts"`
	More  map[string]int `yaml:"more"`
}

func parseStamp(t *testing.T, doc string) (*Config, error) {
	t.Helper()
	return Parse("c.yaml", []byte(minimal+"middlewares:\n"+doc), testEnv, "stamp", "other")
}

func TestCustom(t *testing.T) {
	c, err := parseStamp(t, `  base: {other: &base {times: 3, more: {a: 1}}}
  s:
    stamp:
      <<: *base
      text: "on ${env:HOST}"
      parts: [x, "${env:NONE:-y}"]
      more:
        port: ${env:PORT}
`)
	if err != nil {
		t.Fatal(err)
	}
	m := c.Middlewares["s"]
	var got stamp
	if err := m.Custom.Decode(&got); err != nil || m.Kind() != "stamp" {
		t.Fatal(err, m.Kind())
	}
	want := stamp{"on 10.0.0.7", 3, []string{"x", "y"}, map[string]int{"port": 8081}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	shown := c.Show()["middlewares"].(map[string]any)["s"]
	if !reflect.DeepEqual(shown, map[string]any{"stamp": "***"}) {
		t.Errorf("shown as %v", shown)
	}
}

func TestCustomSettingsThatAreWrong(t *testing.T) {
	for _, tc := range []struct{ doc, want string }{
		{"  s: {stamp: {text: a, tims: 1}}\n", "c.yaml:5:24: middlewares.s.stamp: field tims not found in type config.stamp"},
		{"  s:\n    stamp:\n      parts:\n      - x\n      - [y]\n      times: many\n",
			"c.yaml:9:9: middlewares.s.stamp: cannot unmarshal !!seq into string\n" +
				"c.yaml:10:7: middlewares.s.stamp: cannot unmarshal !!str `many` into int"},
		{"  s: {stamp: {times: \"${env:SECRET}\"}}\n",
			"c.yaml:5:14: middlewares.s.stamp: the value with the environment put in is not of the expected type"},
		{"  s: {stamp: [a]}\n", "c.yaml:5:14: middlewares.s.stamp: cannot unmarshal !!seq into config.stamp"},
	} {
		c, err := parseStamp(t, tc.doc)
		if err != nil {
			t.Errorf("%s: %v", tc.doc, err)
			continue
		}
		if err := c.Middlewares["s"].Custom.Decode(new(stamp)); err == nil || err.Error() != tc.want {
			t.Errorf("%s\n got %v\nwant %v", tc.doc, err, tc.want)
		}
	}
	wide := "  a: {other: &a [" + strings.Repeat("x, ", 200) + "x]}\n  s: {stamp: [" + strings.Repeat("*a, ", 200) + "*a]}\n"
	for _, tc := range []struct{ doc, want string }{
		{"  s: {stampp: {}}\n", `c.yaml:5:7: middlewares.s.stampp: unknown key, did you mean "stamp"?`},
		{"  s: {}\n", "c.yaml:5:3: middlewares.s: expected " + oneKind + ", stamp, other, got none"},
		{"  s: {stamp: {}, retry: {attempts: 1}}\n", "c.yaml:5:18: middlewares.s.retry: a second kind beside stamp, expected " + oneKind + ", stamp, other"},
		{"  s: {stamp: {text: \"${env:NONE}\"}}\n", "c.yaml:5:21: middlewares.s.stamp: the environment variable NONE is not set and has no default"},
		{wide, "c.yaml:6:7: middlewares.s.stamp: more than 10000 values"},
		{"  s: {stamp: &a [*a]}\n", "c.yaml:5:7: middlewares.s.stamp: more than 10000 values"},
	} {
		if _, err := parseStamp(t, tc.doc); err == nil || err.Error() != tc.want {
			t.Errorf("%.80s\n got %v\nwant %v", tc.doc, err, tc.want)
		}
	}
	if _, err := Parse("c.yaml", []byte(minimal+"middlewares: {s: {stamp: {}}}\n"), testEnv); err == nil {
		t.Error("a kind that the program does not bring is accepted")
	}
}
