package traffic_management_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"traffic_management/config"
)

// TestReadmeConfiguration holds that the first configuration of the README is a valid one.
func TestReadmeConfiguration(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "```yaml\n")
	block, _, ended := strings.Cut(after, "```\n")
	if !found || !ended {
		t.Fatal("no block of YAML in README.md")
	}
	c, err := config.Parse("README.md", []byte(block), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Routers) != 2 || len(c.Services) != 2 {
		t.Errorf("%d routers and %d services", len(c.Routers), len(c.Services))
	}
}

// TestMiddlewaresDocument holds that docs/middlewares.md has a section for each kind of middleware, in order, and that
// those of kinds that are yet to come say so.
func TestMiddlewaresDocument(t *testing.T) {
	text, err := os.ReadFile("docs/middlewares.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(text), "\n## ")[1:]
	var names []string
	for _, section := range sections {
		name, body, _ := strings.Cut(section, "\n")
		names = append(names, name)
		known, told := slices.Contains(config.Kinds(), name), strings.TrimSpace(body) == "Not supported yet by this version."
		if known == told {
			t.Errorf("%s: supported: %v; the document says it is not: %v", name, known, told)
		}
	}
	for _, kind := range config.Kinds() {
		if !slices.Contains(names, kind) {
			t.Errorf("docs/middlewares.md has no section %s", kind)
		}
	}
	if !slices.IsSorted(names) {
		t.Errorf("not in order: %v", names)
	}
}

// TestWritingAMiddleware holds that the code of docs/writing-a-middleware.md is that of the example, which is compiled and
// run.
func TestWritingAMiddleware(t *testing.T) {
	text, err := os.ReadFile("docs/writing-a-middleware.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("engine/example_middleware_test.go")
	if err != nil {
		t.Fatal(err)
	}
	quotes := regexp.MustCompile("(?s)```(?:go|yaml)\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(quotes) != 3 {
		t.Fatalf("%d quotes of the example", len(quotes))
	}
	for _, q := range quotes {
		if !strings.Contains(string(example), q[1]) {
			t.Errorf("not in the example:\n%s", q[1])
		}
	}
}
