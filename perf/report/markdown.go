package report

import (
	"fmt"
	"io"
	"strings"
)

// Markdown writes the report for people.
func (r *Report) Markdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Measured\n\nWritten by `make bench`; do not edit. Figures are medians of the rounds, in brackets the least and the\n" +
		"greatest. CPU is what the proxy's own processes used, as the kernel's scheduler counts it, divided by the requests that\n" +
		"were answered in the same window.\n\n![CPU per request and per gigabyte](results.svg)\n\n")
	r.bars(&b)
	facts(&b, "Machine", r.Machine)
	facts(&b, "Versions", r.Versions)
	b.WriteString("## Commands\n\n```\n" + strings.Join(r.Commands, "\n") + "\n```\n")
	for i := range r.Results {
		r.Results[i].markdown(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) bars(b *strings.Builder) {
	b.WriteString("## Bars\n\n| scenario | what must hold | found | |\n|---|---|---|---|\n")
	for i := range r.Results {
		for _, bar := range r.Results[i].Bars {
			fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", r.Results[i].Name, bar.Claim, bar.Found, bar.Verdict)
		}
	}
	b.WriteString("\n")
}

func facts(b *strings.Builder, title string, facts []Fact) {
	fmt.Fprintf(b, "## %s\n\n| | |\n|---|---|\n", title)
	for _, f := range facts {
		fmt.Fprintf(b, "| %s | %s |\n", f.Name, f.Value)
	}
	b.WriteString("\n")
}

func (x *Result) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n## `%s`: %s\n\n%s. %s.\n\n", x.Name, x.Title, x.Taken, x.Method)
	if len(x.Rows) > 0 {
		x.table(b)
	}
	for _, n := range x.Notes {
		fmt.Fprintf(b, "- %s\n", n)
	}
}

func (x *Result) table(b *strings.Builder) {
	base, based := x.find(x.Baseline)
	b.WriteString("| |")
	for _, c := range x.Columns {
		fmt.Fprintf(b, " %s |", c.Label)
	}
	if based {
		fmt.Fprintf(b, " to %s |", x.Baseline)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(x.Columns)))
	if based {
		b.WriteString("---|")
	}
	b.WriteString("\n")
	for _, row := range x.Rows {
		fmt.Fprintf(b, "| %s |", row.Subject)
		for _, c := range x.Columns {
			fmt.Fprintf(b, " %s |", cell(row, c))
		}
		if based {
			fmt.Fprintf(b, " %.2f |", row.Values[x.Charted].Median/base.Values[x.Charted].Median)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
}

func cell(row Row, c Column) string {
	v, ok := row.Values[c.Key]
	switch {
	case !ok:
		return ""
	case v.Min == v.Max:
		return fmt.Sprintf("%.*f", c.Digits, v.Median)
	}
	return fmt.Sprintf("%.*f (%.*f - %.*f)", c.Digits, v.Median, c.Digits, v.Min, c.Digits, v.Max)
}
