package routing

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func mustParse(t testing.TB, text string) *Rule {
	t.Helper()
	r, err := Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return r
}

// tables is how many random tables a property is tried on.
func tables() int {
	if testing.Short() {
		return 1000
	}
	return 10000
}

// randomEntries are routers r0, r1 ... whose Value is their position.
func randomEntries(t testing.TB, r *rand.Rand) []Entry[int] {
	entries := make([]Entry[int], 1+r.IntN(12))
	for i := range entries {
		text := randomRule(r, r.IntN(4))
		entries[i] = Entry[int]{
			Name: fmt.Sprintf("r%d", i), Rule: mustParse(t, text), Priority: pick(r, 0, 0, 1, -3, 20), Value: i,
		}
	}
	return entries
}

// scan is the order of section 4 of the rule language and the answer of a linear scan, by the naive evaluator.
func scan(entries []Entry[int], rules []naive, s sample) (int, bool) {
	best := -1
	before := func(a, b Entry[int]) bool {
		pa, pb := a.Priority, b.Priority
		if pa == 0 {
			pa = len(a.Rule.Text())
		}
		if pb == 0 {
			pb = len(b.Rule.Text())
		}
		return pa > pb || pa == pb && a.Name < b.Name
	}
	for i := range entries {
		if rules[i].matches(s) && (best < 0 || before(entries[i], entries[best])) {
			best = i
		}
	}
	return max(best, 0), best >= 0
}

func TestMatchIsALinearScan(t *testing.T) {
	hits := 0
	for seed := range uint64(tables()) {
		r := rand.New(rand.NewPCG(seed, 1))
		entries := randomEntries(t, r)
		rules := make([]naive, len(entries))
		for i, e := range entries {
			rules[i] = newNaive(t, e.Rule.Text())
		}
		table := NewTable(entries)
		var scratch Scratch
		for range 10 {
			s := randomSample(r)
			got, ok := table.Match(s.request(), &scratch)
			want, wantOK := scan(entries, rules, s)
			if got != want || ok != wantOK {
				for _, e := range entries {
					t.Logf("%s %d: %s", e.Name, e.Priority, e.Rule.Text())
				}
				t.Fatalf("seed %d: %s: got r%d %v, want r%d %v", seed, s, got, ok, want, wantOK)
			}
			if ok {
				hits++
			}
		}
	}
	if hits < tables() {
		t.Errorf("only %d requests matched: the property is hardly tried", hits)
	}
}

// Rules of many branches go over maxBranches: what the index leaves out the program must still ask.
func TestMatchManyBranches(t *testing.T) {
	text := or("Path", "/p%d", 30) + " && " + or("Host", "h%d.com", 30) + " && " + or("Method", "M%d", 30)
	table := NewTable([]Entry[int]{{Name: "a", Rule: mustParse(t, text), Value: 1}})
	var scratch Scratch
	for _, c := range []struct {
		sample
		want bool
	}{
		{sample{authority: "h29.com", path: "/p0", method: "M17"}, true},
		{sample{authority: "h30.com", path: "/p0", method: "M17"}, false},
		{sample{authority: "h0.com", path: "/p30", method: "M17"}, false},
		{sample{authority: "h0.com", path: "/p3", method: "M30"}, false},
	} {
		if _, got := table.Match(c.request(), &scratch); got != c.want {
			t.Errorf("%s: got %v", c.sample, got)
		}
	}
}

func TestOrder(t *testing.T) {
	entry := func(name, rule string, priority int) Entry[string] {
		return Entry[string]{Name: name, Rule: mustParse(t, rule), Priority: priority, Value: name}
	}
	table := NewTable([]Entry[string]{
		entry("exact", "Host(`foobar.traefik.com`)", 0),
		entry("tie-b", "Path(`/aa`)", 0),
		entry("regexp", `HostRegexp(`+"`"+`[a-z]+\.traefik\.com`+"`"+`)`, 0),
		entry("tie-a", "Path(`/bb`)", 0),
		entry("first", "Host(`*`) && !Host(`*`)", 1<<40),
		entry("last", "Host(`*`)  /* blanks and comments count */ ", -1),
		entry("high", "Path(`/x`)", 35),
	})
	want := []string{"first", "high", "regexp", "exact", "tie-a", "tie-b", "last"}
	if got := table.Order(); !slices.Equal(got, want) {
		t.Errorf("order %q, want %q", got, want)
	}
	var scratch Scratch
	// The rule-length surprise: the longer expression wins over the exact host.
	got, _ := table.Match(sample{authority: "foobar.traefik.com", path: "/"}.request(), &scratch)
	if got != "regexp" {
		t.Errorf("matched %q", got)
	}
	got, ok := table.Match(sample{authority: "", path: "*"}.request(), &scratch)
	if got != "last" || !ok {
		t.Errorf("matched %q", got)
	}
}

func TestEmptyTable(t *testing.T) {
	var scratch Scratch
	if v, ok := NewTable[int](nil).Match(sample{authority: "a", path: "/"}.request(), &scratch); ok || v != 0 {
		t.Errorf("matched %d", v)
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	var entries []Entry[int]
	for i, text := range []string{
		"Host(`a.com`) && Path(`/x`) && Header(`X-A`, `1`) && !Method(`PURGE`)",
		"Host(`*.com`) && PathPrefix(`/`) && Query(`k`, `a b`) && Query(`j`)",
		"HostRegexp(`^b`) && PathRegexp(`y$`) && ClientIP(`10.0.0.0/8`) && HeaderRegexp(`Accept`, `html`) && QueryRegexp(`j`, `^z`)",
		"Host(`*`)",
	} {
		entries = append(entries, Entry[int]{Name: "r", Rule: mustParse(t, text), Value: i})
	}
	table := NewTable(entries)
	var scratch Scratch
	for want, s := range []sample{
		{authority: "A.com:80", path: "/x", fields: [][2]string{{"x-a", "0"}, {"x-a", "1"}}, method: "GET"},
		{authority: "A.com.", path: "/x", query: "j&k=a%20b", method: "GET"},
		{authority: "B.com", path: "/xy", query: "j=z", peer: "10.1.1.1", fields: [][2]string{{"Accept", "text/html"}}},
		{authority: "[::1]", path: "/", query: "k=1"},
	} {
		r := s.request()
		if got, _ := table.Match(r, &scratch); got != want {
			t.Fatalf("%s: got %d, want %d", s, got, want)
		}
		if raceDetector && want == 2 {
			continue // the one that reaches the regular expressions
		}
		if n := testing.AllocsPerRun(200, func() { table.Match(r, &scratch) }); n != 0 {
			t.Errorf("%s: %v allocations", s, n)
		}
	}
}
