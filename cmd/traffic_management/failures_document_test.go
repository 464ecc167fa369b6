package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of docs/failures.md anew")

// Marks around the generated tables.
const (
	tableBegins = "<!-- Generated from cmd/traffic_management/failures_test.go: go test ./cmd/traffic_management -run Document -update -->\n\n"
	tableEnds   = "\n<!-- End of what is generated. -->\n"
)

// tables are the failures as docs/failures.md has them: without middlewares, and those that were tried with retries.
func tables() string {
	b := &strings.Builder{}
	writeTable(b, func(f *failure) [kinds]ending { return f.want })
	b.WriteString("\n### With the `retry` middleware\n\nFailures that it could matter to; `on_status` has 500.\n\n")
	writeTable(b, func(f *failure) [kinds]ending { return f.again })
	b.WriteString("\n### Servers of HTTP/2\n\n`TestH2ServerFailures`. The POST has content; what is refused before the server looked at it is sent " +
		"again whatever the\nmethod, but content that has passed is gone without the `retry` middleware.\n\n")
	writeH2Table(b)
	return b.String()
}

// writeTable writes the failures that have any ending.
func writeTable(b *strings.Builder, endings func(f *failure) [kinds]ending) {
	b.WriteString("| a server |")
	for k := range kinds {
		fmt.Fprintf(b, " %v |", k)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", int(kinds)) + "\n")
	for i := range failures {
		row := endings(&failures[i])
		if row == all(none) {
			continue
		}
		fmt.Fprintf(b, "| %s |", failures[i].name)
		for _, o := range row {
			fmt.Fprintf(b, " %v |", o)
		}
		b.WriteString("\n")
	}
}

// The document says what TestServerFailures shows.
func TestFailuresDocument(t *testing.T) {
	const file = "../../docs/failures.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), tableBegins)
	got, after, ends := strings.Cut(rest, tableEnds)
	switch {
	case !begins || !ends:
		t.Fatalf("%s has no generated tables", file)
	case got == tables():
	case *update:
		if err := os.WriteFile(file, []byte(before+tableBegins+tables()+tableEnds+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s has other tables than the failures that are tested: run with -update", file)
	}
}
