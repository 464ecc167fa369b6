package routing

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestConflicts(t *testing.T) {
	type router struct {
		rule     string
		priority int
	}
	for _, c := range []struct {
		name    string
		routers []router // called a, b, c ...
		want    string   // kind name>other, joined by blanks
	}{
		{"nothing", []router{{"Host(`a.com`)", 0}, {"Host(`b.com`)", 0}, {"Host(`a.com`) && Path(`/`)", 0}}, ""},
		{"same rule", []router{{"Host(`a.com`)", 0}, {"host(\"A.com\")", 0}}, "unreachable b>a"},
		{"same conditions", []router{{"Path(`/`) && Query(`k`)", 0}, {"Query(`k`) && Path(`/`)", 0}}, "unreachable b>a"},
		{"same rule, too many branches to see through", []router{
			{or("Host", "h%d", 20) + "&&" + or("Query", "k%d", 20), 0}, {or("Host", "h%d", 20) + "&&" + or("Query", "k%d", 20), 1},
		}, "unreachable b>a"},
		{"catch-all before", []router{{"Host(`*`)", 90}, {"Host(`a.com`) && Query(`k`)", 0}}, "unreachable b>a"},
		{"catch-all behind", []router{{"Host(`*`)", 1}, {"Host(`a.com`)", 0}}, ""},
		{"wider path", []router{{"PathPrefix(`/a`)", 90}, {"Host(`a.com`) && PathPrefix(`/ab`) && Method(`GET`)", 0}}, "unreachable b>a"},
		{"wider path, exact", []router{{"PathPrefix(`/a`)", 90}, {"Path(`/a`)", 0}}, "unreachable b>a"},
		{"exact is not wider", []router{{"Path(`/a`)", 90}, {"PathPrefix(`/a`)", 0}}, ""},
		{"wider path, other host", []router{{"Host(`b.com`) && PathPrefix(`/a`)", 90}, {"Host(`a.com`) && PathPrefix(`/ab`)", 0}}, ""},
		{"wildcard host", []router{{"Host(`*.a.com`)", 90}, {"Host(`x.a.com`) && Path(`/`)", 0}}, "unreachable b>a"},
		{"wildcard of another depth", []router{{"Host(`*.a.com`)", 90}, {"Host(`y.x.a.com`) || Host(`a.com`)", 0}}, ""},
		{"fewer conditions", []router{{"Host(`a.com`) && Header(`X-A`, `1`)", 90}, {"Host(`a.com`) && Header(`x-a`, `1`) && Path(`/`)", 0}},
			"unreachable b>a"},
		{"other conditions", []router{{"Host(`a.com`) && Header(`X-A`, `1`)", 90}, {"Host(`a.com`) && Header(`X-A`, `2`)", 0}}, ""},
		{"one way covered", []router{{"Host(`a.com`)", 90}, {"Host(`a.com`) || Host(`b.com`)", 0}}, ""},
		{"all ways covered", []router{{"Host(`a.com`)", 90}, {"Host(`b.com`)", 89}, {"Host(`a.com`) || Host(`b.com`)", 0}}, "unreachable c>a"},
		{"contradiction", []router{{"Host(`a.com`) && Host(`b.com`)", 0}, {"Host(`*foo.com`)", 0}, {"Host(`*.a`) && Host(`y.x.a`)", 1}},
			"impossible a> impossible b> impossible c>"},
		{"tie", []router{{"Host(`a.com`)", 0}, {"Path(`/abcd`)", 0}}, "tie b>a"},
		{"tie, by priority", []router{{"Host(`a.com`)", 7}, {"PathRegexp(`a`)", 7}}, "tie b>a"},
		{"tie, crossed", []router{{"Host(`a.com`) && PathPrefix(`/`)", 7}, {"Host(`*.com`) && Path(`/x`)", 7}}, "tie b>a"},
		{"no tie: paths", []router{{"Host(`a.com`) && Path(`/x`)", 7}, {"Host(`*.com`) && PathPrefix(`/y`)", 7}}, ""},
		{"no tie: methods", []router{{"Host(`a.com`) && Method(`GET`)", 0}, {"Host(`a.com`) && Method(`PUT`)", 0}}, ""},
		{"no tie: addresses", []router{{"ClientIP(`10.0.0.0/8`)", 0}, {"ClientIP(`11.0.0.0/8`)", 0}}, ""},
		{"tie: addresses", []router{{"ClientIP(`10.0.0.0/8`)", 0}, {"ClientIP(`10.0.0.0/9`)", 0}}, "tie b>a"},
		{"no tie: a condition and its negation", []router{{"Path(`/`) && Query(`k`)", 7}, {"Path(`/`) && !Query(`k`)", 7}}, ""},
		{"no tie: a host and its negation", []router{{"!Host(`a.com`) && Query(`k`)", 7}, {"Host(`a.com`)", 7}}, ""},
		{"no tie with what is never reached", []router{{"Host(`*`)", 90}, {"Host(`a.com`)", 0}, {"Path(`/abcd`)", 0}},
			"unreachable b>a unreachable c>a"},
		{"no tie with what is never reached, by name", []router{{"Path(`/x`)", 90}, {"Path(`/x`) && Query(`k`)", 7}, {"Host(`a.com`)", 7}},
			"unreachable b>a"},
		{"conditions that were not multiplied out", []router{{or("Host", "h%d", 20) + "&&" + or("Query", "k%d", 20), 0}, {"Host(`h1`)", 0}}, ""},
		{"each loser of a tie", []router{{"Host(`a.com`)", 7}, {"Path(`/x`)", 7}, {"Path(`/y`)", 7}}, "tie b>a tie c>a"},
	} {
		var entries []Entry[int]
		for i, r := range c.routers {
			entries = append(entries, Entry[int]{Name: string(rune('a' + i)), Rule: mustParse(t, r.rule), Priority: r.priority})
		}
		var got []string
		for _, f := range Conflicts(entries) {
			got = append(got, fmt.Sprintf("%s %s>%s", f.Kind, f.Name, f.Other))
			if !strings.Contains(f.Text, fmt.Sprintf("%q", f.Name)) || !strings.Contains(f.Text, fmt.Sprintf("%q", f.Other)) && f.Other != "" {
				t.Errorf("%s: the sentence does not name the routers: %s", c.name, f.Text)
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: got %q, want %q", c.name, s, c.want)
		}
	}
}

// or joins n calls of a matcher, in parentheses.
func or(name, format string, n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprintf("%s(`"+format+"`)", name, i)
	}
	return "(" + strings.Join(parts, " || ") + ")"
}

// What is reported never to be reached is never the answer of a scan; where two of the same priority match, the later
// one has a finding.
func TestConflictsAreTrue(t *testing.T) {
	kinds := map[ConflictKind]int{}
	for seed := range uint64(tables() / 5) {
		r := rand.New(rand.NewPCG(seed, 4))
		entries := randomEntries(t, r)
		rules := make([]naive, len(entries))
		for i, e := range entries {
			rules[i] = newNaive(t, e.Rule.Text())
		}
		findings := map[string]Conflict{}
		for _, f := range Conflicts(entries) {
			if _, twice := findings[f.Name]; twice {
				t.Fatalf("seed %d: two findings for %s", seed, f.Name)
			}
			findings[f.Name] = f
			kinds[f.Kind]++
		}
		for range 40 {
			s := randomSample(r)
			first, _ := scan(entries, rules, s)
			for i := range entries {
				if !rules[i].matches(s) {
					continue
				}
				e, won := &entries[i], &entries[first]
				f := findings[e.Name]
				wrong := f.Kind == Impossible || f.Kind == Unreachable && i == first ||
					f.Kind == none && i != first && e.priority() == won.priority()
				if wrong {
					t.Fatalf("seed %d: %s matches %s %s; %s takes it: %s; found: %+v",
						seed, s, e.Name, e.Rule.Text(), won.Name, won.Rule.Text(), f)
				}
			}
		}
	}
	for _, k := range []ConflictKind{Tie, Unreachable, Impossible} {
		if kinds[k] < tables()/100 {
			t.Errorf("%s was found %d times only: the property is hardly tried", k, kinds[k])
		}
	}
}

func TestConflictsOfManyRouters(t *testing.T) {
	for _, l := range layouts {
		if found := Conflicts(l.entries(t, many)); len(found) != 0 {
			t.Errorf("%s: %d findings, the first: %s", l.name, len(found), found[0].Text)
		}
	}
	if found := Conflicts(crowd.entries(t, many)); len(found) != many-1 {
		t.Errorf("%s: %d findings", crowd.name, len(found))
	}
}

// crowd is routers that an index over hosts and paths cannot tell apart.
var crowd = layout{
	name: "crowd",
	rule: func(i int) string { return fmt.Sprintf("PathPrefix(`/`) && Header(`X-Tenant`, `%05d`)", i) },
}
