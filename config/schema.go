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
	MaxProperties        int                `json:"maxProperties,omitempty"`
	Items                *schema            `json:"items,omitempty"`
	MinItems             int                `json:"minItems,omitempty"`
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
	root := schemaOf(section(new(Config)))
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

func schemaOf(v value) *schema {
	form := v.shape()
	s := &schema{Default: form.initial}
	switch form.kind {
	case kindMapping:
		members(s, form.object)
	case kindSwitches:
		members(s, describe(v.(switchesValue)))
	case kindByName:
		s.Type = orNull(form)
		s.PropertyNames = &schema{Pattern: `^[A-Za-z0-9_.-]+$`, MaxLength: maxName}
		s.AdditionalProperties = schemaOf(form.element)
		s.MinProperties = form.atLeast
	case kindFields:
		s.Type = orNull(form)
		s.PropertyNames = &schema{Pattern: form.pattern}
		s.AdditionalProperties = schemaOf(form.element)
	case kindList:
		s.Type = orNull(form)
		s.MinItems = form.atLeast
		s.Items = schemaOf(form.element)
	case kindStatus:
		code := &schema{Type: "integer", Minimum: form.min, Maximum: form.max}
		s.AnyOf = []*schema{code, {Type: "string", Pattern: form.pattern}, {Ref: substitutionRef}}
	case kindVersion:
		number := &schema{Type: "number", Minimum: form.min, Maximum: form.max}
		s.AnyOf = []*schema{{Type: "string", Enum: form.words}, number, {Ref: substitutionRef}}
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

func members(s *schema, o *object) {
	s.AdditionalProperties = false
	s.Properties = make(map[string]*schema, len(o.members))
	for _, k := range o.members {
		p := schemaOf(k.value)
		p.Description = k.doc
		s.Properties[k.name] = p
		if k.required {
			s.Required = append(s.Required, k.name)
		}
	}
	s.Type = []string{kindMapping.String(), "null"}
	if o.one {
		s.MinProperties, s.MaxProperties = 1, 1
	}
	if len(s.Required) > 0 || o.one {
		s.Type = kindMapping.String()
	}
}
