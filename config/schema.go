package config

import (
	"bytes"
	"encoding/json"
)

// schema is a JSON Schema (draft 2020-12), as far as the configuration needs one.
type schema struct {
	Dialect              string             `json:"$schema,omitempty"`
	Title                string             `json:"title,omitempty"`
	Ref                  string             `json:"$ref,omitempty"`
	Description          string             `json:"description,omitempty"`
	Type                 any                `json:"type,omitempty"` // a name, or a list of names
	Properties           map[string]*schema `json:"properties,omitempty"`
	Required             []string           `json:"required,omitempty"`
	PropertyNames        *schema            `json:"propertyNames,omitempty"`
	AdditionalProperties any                `json:"additionalProperties,omitempty"` // false or *schema
	MinProperties        int                `json:"minProperties,omitempty"`
	Items                *schema            `json:"items,omitempty"`
	MinItems             int                `json:"minItems,omitempty"`
	MaxItems             *int               `json:"maxItems,omitempty"`
	Enum                 []string           `json:"enum,omitempty"`
	Pattern              string             `json:"pattern,omitempty"`
	MaxLength            int                `json:"maxLength,omitempty"`
	Minimum              any                `json:"minimum,omitempty"`
	Maximum              any                `json:"maximum,omitempty"`
	AnyOf                []*schema          `json:"anyOf,omitempty"`
	Default              any                `json:"default,omitempty"`
	Definitions          map[string]*schema `json:"$defs,omitempty"`
}

// Any value may come from the environment: then it is a text in the file.
const (
	substitutionRef     = "#/$defs/substitution"
	substitutionPattern = `\$\{env:[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}`
)

// Schema is the JSON Schema of the configuration file, for editors. It ends with a line feed.
func Schema() []byte {
	root := schemaOf(site{}, section(new(Config)))
	root.Dialect = "https://json-schema.org/draft/2020-12/schema"
	root.Title = "Traffic Management configuration"
	root.Definitions = map[string]*schema{
		"substitution": {Type: "string", Pattern: substitutionPattern, Description: "a value from the environment"},
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		panic(err) // the schema has no value that JSON cannot have
	}
	return b.Bytes()
}

func schemaOf(at site, v value) *schema {
	form := v.shape()
	s := &schema{Default: form.initial}
	switch form.kind {
	case kindMapping:
		members(at, s, form.object)
	case kindSwitches:
		members(at, s, describe(v.(switchesValue)))
	case kindByName:
		s.Type = orNull(form)
		s.PropertyNames = &schema{Pattern: `^[A-Za-z0-9_.-]+$`, MaxLength: maxName}
		s.AdditionalProperties = schemaOf(at.name("*"), form.element)
		s.MinProperties = form.atLeast
	case kindList:
		s.Type = orNull(form)
		s.MinItems = form.atLeast
		if valueNotYet(at.index(0).pattern, "") {
			s.MaxItems = new(int)
			break
		}
		s.Items = schemaOf(at.index(0), form.element)
	case kindText:
		direct := &schema{Type: "string", Enum: form.words, Pattern: form.pattern}
		s.AnyOf = []*schema{direct, {Ref: substitutionRef}}
	default:
		direct := &schema{Type: form.kind.String(), Minimum: form.min, Maximum: form.max}
		s.AnyOf = []*schema{direct, {Ref: substitutionRef}}
	}
	return s
}

// orNull is the type of a mapping or list: where none of its elements is required, nothing may stand in its place.
func orNull(form shape) any {
	if form.atLeast > 0 {
		return form.kind.String()
	}
	return []string{form.kind.String(), "null"}
}

func members(at site, s *schema, o *object) {
	s.AdditionalProperties = false
	s.Properties = make(map[string]*schema, len(o.members))
	for _, k := range o.members {
		p := schemaOf(at.key(k.name), k.value)
		p.Description = k.doc
		s.Properties[k.name] = p
		if k.required {
			s.Required = append(s.Required, k.name)
		}
	}
	s.Type = []string{kindMapping.String(), "null"}
	if len(s.Required) > 0 {
		s.Type = kindMapping.String()
	}
}
