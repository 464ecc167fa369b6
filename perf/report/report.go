// Package report holds what was measured and writes it as Markdown, JSON and a bar chart.
//
//	scenarios ──Result──▶ Report ──▶ RESULTS.md, results.json, results.svg
package report

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
)

// Summary is what the rounds of one measurement gave.
type Summary struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Summarise returns the median, the least and the greatest of samples; of an even number of them the median is the mean
// of the two in the middle. No samples give zeros.
func Summarise(samples []float64) Summary {
	if len(samples) == 0 {
		return Summary{}
	}
	s := slices.Sorted(slices.Values(samples))
	mid := len(s) / 2
	median := s[mid]
	if len(s)%2 == 0 {
		median = (s[mid-1] + s[mid]) / 2
	}
	return Summary{median, s[0], s[len(s)-1]}
}

// Verdict says whether a bar was met.
type Verdict string

// Verdicts.
const (
	Pass       Verdict = "pass"
	Fail       Verdict = "FAIL"
	Unmeasured Verdict = "not measured"
)

// Bar is one thing that must hold.
type Bar struct {
	Claim   string  `json:"claim"`
	Found   string  `json:"found"`
	Verdict Verdict `json:"verdict"`
}

// Column is one figure of every row.
type Column struct {
	Key    string `json:"key"`
	Label  string `json:"label"`
	Digits int    `json:"digits"` // behind the point
}

// Row is the figures of one program.
type Row struct {
	Subject string             `json:"subject"`
	Values  map[string]Summary `json:"values"` // by Column.Key; a missing one was not measured
}

// Result is one scenario's outcome.
type Result struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Taken    string   `json:"taken"`    // when, and of which revision
	Method   string   `json:"method"`   // rounds and their length
	Columns  []Column `json:"columns"`  // in the order they are shown
	Rows     []Row    `json:"rows"`     // in the order they are shown
	Charted  string   `json:"charted"`  // key of the column that is drawn; empty is none
	Baseline string   `json:"baseline"` // row that the ratios of the charted column are to; empty is none
	Bars     []Bar    `json:"bars"`
	Notes    []string `json:"notes"`
}

// Report is everything.
type Report struct {
	Machine  []Fact   `json:"machine"`
	Versions []Fact   `json:"versions"`
	Commands []string `json:"commands"`
	Results  []Result `json:"results"`
}

// Fact is one line about where the figures come from.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Missed is the number of bars that were not met.
func (r *Report) Missed() int {
	n := 0
	for i := range r.Results {
		for _, b := range r.Results[i].Bars {
			if b.Verdict == Fail {
				n++
			}
		}
	}
	return n
}

// Adopt takes over the results of an earlier report that this one does not have, in the given order of names.
func (r *Report) Adopt(earlier *Report, order []string) {
	for _, old := range earlier.Results {
		if !slices.ContainsFunc(r.Results, func(x Result) bool { return x.Name == old.Name }) {
			r.Results = append(r.Results, old)
		}
	}
	slices.SortStableFunc(r.Results, func(a, b Result) int {
		return slices.Index(order, a.Name) - slices.Index(order, b.Name)
	})
}

// JSON writes the report for programs.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// Read reads what JSON wrote; a file that does not exist is an empty report.
func Read(path string) (*Report, error) {
	r := &Report{}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	return r, json.Unmarshal(b, r)
}

// find returns the row of a subject.
func (x *Result) find(subject string) (Row, bool) {
	i := slices.IndexFunc(x.Rows, func(r Row) bool { return r.Subject == subject })
	if i < 0 {
		return Row{}, false
	}
	return x.Rows[i], true
}
