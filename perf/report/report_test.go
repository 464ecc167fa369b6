package report

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestSummarise(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want Summary
	}{
		{nil, Summary{}},
		{[]float64{3}, Summary{3, 3, 3}},
		{[]float64{3, 1, 2}, Summary{2, 1, 3}},
		{[]float64{4, 1, 2, 9}, Summary{3, 1, 9}},
	} {
		before := append([]float64(nil), c.in...)
		if got := Summarise(c.in); got != c.want {
			t.Errorf("Summarise(%v) is %v, want %v", c.in, got, c.want)
		}
		if !reflect.DeepEqual(before, append([]float64(nil), c.in...)) {
			t.Errorf("the samples were reordered: %v", c.in)
		}
	}
}

func sample() *Report {
	return &Report{
		Machine:  []Fact{{"cores", "2"}},
		Versions: []Fact{{"nginx", "<1.22 & more>"}},
		Commands: []string{"make bench"},
		Results: []Result{
			{
				Name: "a", Title: "first", Taken: "Taken today", Method: "5 rounds", Charted: "cpu", Baseline: "relay",
				Columns: []Column{{"cpu", "CPU <us>", 2}, {"rate", "requests/s", 0}},
				Rows: []Row{
					{"relay", map[string]Summary{"cpu": {10, 9, 11}, "rate": {5, 5, 5}}},
					{"ours", map[string]Summary{"cpu": {12.5, 12, 13}}},
				},
				Bars: []Bar{{"fast", "1.25", Fail}, {"small", "", Unmeasured}, {"whole", "0", Pass}},
			},
			{Name: "b", Title: "second", Notes: []string{"left out"}},
		},
	}
}

func TestMarkdown(t *testing.T) {
	var b strings.Builder
	if err := sample().Markdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| `a` | fast | 1.25 | FAIL |", "| `a` | small |  | not measured |", "| `a` | whole | 0 | pass |",
		"| relay | 10.00 (9.00 - 11.00) | 5 | 1.00 |", "| ours | 12.50 (12.00 - 13.00) |  | 1.25 |",
		"| | CPU <us> | requests/s | to relay |", "## `b`: second", "- left out",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("lacks %q in\n%s", want, b.String())
		}
	}
}

// TestSVG holds that the chart is well-formed and has one bar for each row, with widths in proportion.
func TestSVG(t *testing.T) {
	var b bytes.Buffer
	if err := sample().SVG(&b); err != nil {
		t.Fatal(err)
	}
	widths := map[string]string{}
	var text []string
	for d := xml.NewDecoder(&b); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			attrs := map[string]string{}
			for _, a := range e.Attr {
				attrs[a.Name.Local] = a.Value
			}
			if e.Name.Local == "rect" {
				widths[attrs["fill"]] = attrs["width"]
			}
		case xml.CharData:
			text = append(text, string(e))
		}
	}
	// 388 pixels stand for 13, the greatest figure.
	if widths[colours["relay"]] != "298.5" || widths[colours["ours"]] != "373.1" {
		t.Errorf("widths %v", widths)
	}
	if all := strings.Join(text, ""); !strings.Contains(all, "CPU <us>, less is better") || !strings.Contains(all, "12.50 (12.00 - 13.00)") {
		t.Errorf("text %q", all)
	}
}

func TestMissed(t *testing.T) {
	if n := sample().Missed(); n != 1 {
		t.Errorf("%d missed, want 1: what was not measured is not missed", n)
	}
}

func TestJSONIsReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := sample().JSON(f); err != nil {
		t.Fatal(err)
	}
	f.Close()
	got, err := Read(path)
	if err != nil || !reflect.DeepEqual(got, sample()) {
		t.Errorf("read back %+v, %v", got, err)
	}
	if empty, err := Read(path + ".missing"); err != nil || len(empty.Results) != 0 {
		t.Errorf("a missing file gives %+v, %v", empty, err)
	}
}

func TestAdopt(t *testing.T) {
	fresh := &Report{Results: []Result{{Name: "b", Title: "new"}, {Name: "c"}}}
	fresh.Adopt(&Report{Results: []Result{{Name: "b", Title: "old"}, {Name: "a"}}}, []string{"a", "b", "c"})
	var got []string
	for _, x := range fresh.Results {
		got = append(got, x.Name+x.Title)
	}
	if strings.Join(got, " ") != "a bnew c" {
		t.Errorf("results %v", got)
	}
}
