package config

import (
	"fmt"
	"net/netip"
	"time"
)

// Show returns the configuration as a file that leaves nothing out would have it: maps by key, lists, texts, numbers and
// booleans, for JSON. Keys without a value and without a default are not there. Secrets, and the values of request
// fields, which may be credentials, are "***". The result is the caller's.
func (c *Config) Show() map[string]any { return section(c).show().(map[string]any) }

func (s sectionValue) show() any {
	all := make(map[string]any, len(s.object.members))
	for _, k := range s.object.members {
		if v := k.value.show(); v != nil {
			all[k.name] = v
		}
	}
	if c := s.object.custom; c != nil && *c != nil {
		all[(*c).Kind] = Secret("settings").String() // nobody here knows which of them are secrets
	}
	return all
}

func (o optionalValue[T, P]) show() any {
	if *o.dst == nil {
		return nil
	}
	return section(*o.dst).show()
}

func (b byNameValue[T, P]) show() any {
	all := make(map[string]any, len(*b.dst))
	for name, element := range *b.dst {
		all[name] = section(element).show()
	}
	return all
}

func (v listValue[T]) show() any {
	if *v.dst == nil {
		return nil
	}
	all := make([]any, len(*v.dst))
	for i := range *v.dst {
		all[i] = v.element(&(*v.dst)[i]).show()
	}
	return all
}

func (s switchesValue) show() any { return section(s).show() }

func (s switchValue) show() any { return s.on[s.word] }

func (f fieldsValue) show() any {
	all := make(map[string]any, len(*f.dst))
	for name, v := range *f.dst {
		all[name] = Secret(v).String()
	}
	return all
}

func (s scalar[T]) show() any {
	switch v := any(*s.dst).(type) {
	case time.Duration:
		return int64(v / s.form.unit)
	case netip.Prefix:
		return v.String()
	case bool, int, int64, uint16, float64:
		return v
	case StatusRange:
		if v.Low == v.High {
			return v.Low
		}
	}
	if text := fmt.Sprint(*s.dst); text != "" {
		return text
	}
	return nil
}
