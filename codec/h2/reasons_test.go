package h2

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestReasons: each error is among the reasons, once.
func TestReasons(t *testing.T) {
	text, err := os.ReadFile("errors.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`= &Error\{\w+, "(\w+)"\}`).FindAllSubmatch(text, -1) {
		want = append(want, string(m[1]))
	}
	got := slices.Sorted(slices.Values(Reasons))
	slices.Sort(want)
	if len(want) < 10 || !slices.Equal(got, want) {
		t.Errorf("the reasons are\n%q, of the errors\n%q", got, want)
	}
}
