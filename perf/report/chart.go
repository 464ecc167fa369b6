package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Measures of the chart, in pixels.
const (
	chartWidth  = 820
	labelWidth  = 210
	figureWidth = 190
	barHeight   = 20
	barGap      = 8
	titleHeight = 44
	margin      = 16
)

// colours by the first word of the subject; others are grey.
var colours = map[string]string{"ours": "#1f6feb", "nginx": "#2da44e", "haproxy": "#bf8700", "relay": "#8c959f"}

// SVG draws the charted column of every result as horizontal bars, with the spread of the rounds as a thin line.
func (r *Report) SVG(w io.Writer) error {
	var b strings.Builder
	y := margin
	for i := range r.Results {
		y = r.Results[i].draw(&b, y)
	}
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" `+
		`font-family="system-ui, sans-serif" font-size="13">`+"\n"+`<rect width="100%%" height="100%%" fill="#ffffff"/>`+
		"\n%s</svg>\n", chartWidth, y+margin, chartWidth, y+margin, b.String())
	return err
}

// draw adds one result below y and returns where it ends.
func (x *Result) draw(b *strings.Builder, y int) int {
	i := slices.IndexFunc(x.Columns, func(c Column) bool { return c.Key == x.Charted })
	if i < 0 || len(x.Rows) == 0 {
		return y
	}
	column := x.Columns[i]
	most := 0.0
	for _, row := range x.Rows {
		most = max(most, row.Values[column.Key].Max)
	}
	if most == 0 {
		return y
	}
	text(b, margin, y+16, "#1f2328", "bold", fmt.Sprintf("%s: %s", x.Name, x.Title))
	text(b, margin, y+33, "#59636e", "normal", column.Label+", less is better")
	y += titleHeight
	scale := float64(chartWidth-labelWidth-figureWidth-2*margin) / most
	for _, row := range x.Rows {
		v, ok := row.Values[column.Key]
		if !ok {
			continue
		}
		left, width := margin+labelWidth, v.Median*scale
		text(b, margin, y+15, "#1f2328", "normal", row.Subject)
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", left, y, width, barHeight, colour(row.Subject))
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#1f2328"/>`+"\n",
			float64(left)+v.Min*scale, float64(left)+v.Max*scale, y+barHeight/2, y+barHeight/2)
		text(b, left+int(v.Max*scale)+6, y+15, "#1f2328", "normal", cell(row, column))
		y += barHeight + barGap
	}
	return y + margin
}

func colour(subject string) string {
	first, _, _ := strings.Cut(subject, " ")
	if c, ok := colours[first]; ok {
		return c
	}
	return "#8c959f"
}

func text(b *strings.Builder, x, y int, fill, weight, s string) {
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="%s" font-weight="%s">`, x, y, fill, weight)
	// Writing to a strings.Builder cannot fail.
	_ = xml.EscapeText(b, []byte(s))
	b.WriteString("</text>\n")
}
