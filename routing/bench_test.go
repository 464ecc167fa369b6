package routing

import (
	"fmt"
	"runtime"
	"testing"
)

const many = 10000

// layout is a way to spread many routers over hosts and paths.
type layout struct {
	name string
	rule func(i int) string
	hit  func(i int) sample // a request for router i
}

var layouts = []layout{
	{
		"mixed", // 1000 hosts x 10 paths, some with a method
		func(i int) string {
			rule := fmt.Sprintf("Host(`service-%d.example.com`) && PathPrefix(`/api/v1/resource-%d`)", i/10, i%10)
			if i%5 == 0 {
				rule += " && (Method(`GET`) || Method(`POST`))"
			}
			return rule
		},
		func(i int) sample {
			return sample{method: "GET", authority: fmt.Sprintf("service-%d.example.com", i/10),
				path: fmt.Sprintf("/api/v1/resource-%d/items/42", i%10)}
		},
	},
	{
		"hosts",
		func(i int) string { return fmt.Sprintf("Host(`service-%d.example.com`)", i) },
		func(i int) sample {
			return sample{method: "GET", authority: fmt.Sprintf("Service-%d.example.com:8443", i), path: "/index.html"}
		},
	},
	{
		"prefixes", // one host
		func(i int) string { return fmt.Sprintf("Host(`example.com`) && PathPrefix(`/tenant-%d/`)", i) },
		func(i int) sample {
			return sample{method: "GET", authority: "example.com", path: fmt.Sprintf("/tenant-%d/users/7", i)}
		},
	},
	{
		"paths", // one host
		func(i int) string { return fmt.Sprintf("Host(`example.com`) && Path(`/page-%d.html`)", i*7919%many) },
		func(i int) sample {
			return sample{method: "GET", authority: "example.com", path: fmt.Sprintf("/page-%d.html", i*7919%many)}
		},
	},
	{
		"wildcards",
		func(i int) string { return fmt.Sprintf("Host(`*.tenant-%d.example.com`) && PathPrefix(`/`)", i) },
		func(i int) sample {
			return sample{method: "GET", authority: fmt.Sprintf("www.tenant-%d.example.com", i), path: "/users/7"}
		},
	},
}

func (l layout) entries(t testing.TB, n int) []Entry[int] {
	entries := make([]Entry[int], n)
	for i := range entries {
		entries[i] = Entry[int]{Name: fmt.Sprintf("router-%d", i), Rule: mustParse(t, l.rule(i)), Value: i}
	}
	return entries
}

// Every router of a large table is found, by its own request.
func TestLargeTables(t *testing.T) {
	for _, l := range layouts {
		table := NewTable(l.entries(t, many))
		var scratch Scratch
		for i := range many {
			if got, ok := table.Match(l.hit(i).request(), &scratch); got != i || !ok {
				t.Fatalf("%s: request %d: got %d %v", l.name, i, got, ok)
			}
		}
		if _, ok := table.Match(sample{authority: "nowhere.example.org", path: "/"}.request(), &scratch); ok {
			t.Errorf("%s: a foreign request matched", l.name)
		}
	}
}

// routerBytes is the budget of a router in a table: program, index, name and the text of the rule.
const routerBytes = 400

func tableBytes(t testing.TB, l layout) float64 {
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	table := NewTable(l.entries(t, many))
	after := heap()
	runtime.KeepAlive(table)
	return float64(int64(after-before)) / many
}

func TestMemoryPerRouter(t *testing.T) {
	for _, l := range layouts {
		b := tableBytes(t, l)
		t.Logf("%s: %.0f bytes a router", l.name, b)
		if b > routerBytes || b < 16 {
			t.Errorf("%s: %.0f bytes a router, budget %d", l.name, b, routerBytes)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, many} {
		for _, l := range layouts {
			b.Run(fmt.Sprintf("%s-%d", l.name, n), func(b *testing.B) { l.match(b, n) })
		}
	}
}

func (l layout) match(b *testing.B, n int) {
	table := NewTable(l.entries(b, n))
	requests := make([]*Request, 1000) // spread over the table, so that not all of it stays in the first cache
	for i := range requests {
		requests[i] = l.hit(i * 7 % n).request()
	}
	var scratch Scratch
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, ok := table.Match(requests[i%len(requests)], &scratch); !ok {
			b.Fatal("no match")
		}
	}
}

func BenchmarkNewTable(b *testing.B) {
	entries := layouts[0].entries(b, many)
	for b.Loop() {
		NewTable(entries)
	}
}

func BenchmarkConflicts(b *testing.B) {
	for _, l := range append([]layout{crowd}, layouts...) {
		b.Run(l.name, func(b *testing.B) {
			entries := l.entries(b, many)
			for b.Loop() {
				Conflicts(entries)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	text := layouts[0].rule(0)
	for b.Loop() {
		if _, err := Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
