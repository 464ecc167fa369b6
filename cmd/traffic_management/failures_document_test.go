package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/failures.md anew")

// Marks around the generated table.
const (
	tableBegins = "<!-- Generated from cmd/traffic_management/failures_test.go: go test ./cmd/traffic_management -run Document -update -->\n\n"
	tableEnds   = "\n<!-- End of what is generated. -->\n"
)

// table is the failures as docs/failures.md has them.
func table() string {
	b := &strings.Builder{}
	b.WriteString("| a server |")
	for k := range kinds {
		fmt.Fprintf(b, " %v |", k)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", int(kinds)) + "\n")
	for _, f := range failures {
		fmt.Fprintf(b, "| %s |", f.name)
		for _, o := range f.want {
			fmt.Fprintf(b, " %v |", o)
		}
		b.WriteString("\n")
	}
	return b.String()
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
		t.Fatalf("%s has no generated table", file)
	case got == table():
	case *update:
		if err := os.WriteFile(file, []byte(before+tableBegins+table()+tableEnds+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s has another table than the failures that are tested: run with -update", file)
	}
}
