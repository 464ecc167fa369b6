package config

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write schema.json and docs/configuration.md anew")

// TestGenerated fails when a committed file is not what the description of the keys gives.
func TestGenerated(t *testing.T) {
	const reference = "../docs/configuration.md"
	old, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	marker := []byte("go generate ./config`. -->\n")
	intro, _, ok := bytes.Cut(old, marker)
	if !ok {
		t.Fatalf("%s has no line that ends with %q", reference, marker)
	}
	for file, want := range map[string][]byte{
		"schema.json": Schema(),
		reference:     append(append(bytes.Clone(intro), marker...), Reference()...),
	} {
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale (%v): run go generate ./config", file, err)
		}
	}
}
