package traffic_management_test

import (
	"os"
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
