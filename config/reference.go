package config

import (
	"fmt"
	"strings"
)

// Reference is the reference of the supported keys in Markdown: a section for each key of the top, each with a table.
func Reference() []byte {
	var b strings.Builder
	for _, k := range describe(new(Config)).members {
		form := k.value.shape()
		title := k.name
		if form.kind == kindByName {
			title += ".<name>"
			form = form.element.shape()
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", title, k.doc)
		b.WriteString("| key | value | default | meaning |\n|---|---|---|---|\n")
		rows(&b, "", form.object)
	}
	return []byte(b.String())
}

// rows writes a row for each key of o, those of the mappings inside it under their paths. A mapping has a row of its own
// where leaving it out means something.
func rows(b *strings.Builder, prefix string, o *object) {
	for _, k := range o.members {
		form := k.value.shape()
		path := prefix + k.name
		if form.kind == kindMapping {
			if form.optional {
				fmt.Fprintf(b, "| `%s` | %s |  | %s |\n", path, form.expected, cell(k.doc))
			}
			rows(b, path+".", form.object)
			continue
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", path, cell(expectation(form)), initial(&k, form), cell(k.doc))
		if form.kind == kindList && form.element.shape().kind == kindMapping {
			rows(b, path+"[].", form.element.shape().object)
		}
	}
}

func expectation(form shape) string {
	switch form.kind {
	case kindList:
		element := form.element.shape()
		if element.kind == kindMapping {
			return form.expected
		}
		return form.expected + ", each " + element.expected
	case kindSwitches:
		return form.expected + ": " + strings.Join(form.words, ", ")
	}
	return form.expected
}

func initial(k *key, form shape) string {
	switch {
	case k.required:
		return "required"
	case form.initial == nil:
		return ""
	}
	return fmt.Sprintf("`%v`", form.initial)
}

// cell is s as the text of a table's cell.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
