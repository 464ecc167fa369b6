package config

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// visit calls f for every described key, with the pattern of its path.
func visit(at site, v value, f func(pattern string, k *key)) {
	switch form := v.shape(); form.kind {
	case kindMapping:
		for i := range form.object.members {
			k := &form.object.members[i]
			f(at.key(k.name).pattern, k)
			visit(at.key(k.name), k.value, f)
		}
	case kindByName:
		visit(at.name("*"), form.element, f)
	case kindList:
		visit(at.index(0), form.element, f)
	}
}

func TestDescription(t *testing.T) {
	n := 0
	visit(site{}, section(new(Config)), func(pattern string, k *key) {
		n++
		form := k.value.shape()
		if k.doc == "" || form.expected == "" || strings.ContainsAny(k.doc, "\n") {
			t.Errorf("%s: doc %q, expected %q", pattern, k.doc, form.expected)
		}
		if mapping := form.kind == kindMapping || form.kind == kindByName; mapping != strings.HasSuffix(k.doc, ".") {
			t.Errorf("%s: a mapping has a sentence, any other value a phrase: %q", pattern, k.doc)
		}
		if keyNotYet(pattern) {
			t.Errorf("%s is described, and not yet supported", pattern)
		}
		s, isTime := k.value.(scalar[time.Duration])
		unit := time.Duration(0)
		if isTime {
			v, err := s.parse(fmt.Sprint(form.max))
			if err != nil {
				t.Errorf("%s: %v", pattern, err)
			}
			unit = v / time.Duration(form.max.(int64))
		}
		switch {
		case strings.HasSuffix(k.name, "_ms") && unit != time.Millisecond,
			strings.HasSuffix(k.name, "_seconds") && unit != time.Second,
			isTime && !strings.HasSuffix(k.name, "_ms") && !strings.HasSuffix(k.name, "_seconds"):
			t.Errorf("%s counts %v", pattern, unit)
		}
		if k.required && form.initial != nil {
			t.Errorf("%s is required and has a default", pattern)
		}
	})
	if n < 50 {
		t.Errorf("%d keys visited", n)
	}
}

// TestNotYet gives every row of notYet, and sees that it is refused as what it is.
func TestNotYet(t *testing.T) {
	for _, row := range notYet {
		pattern, refused, isValue := strings.Cut(row, "=")
		path := strings.ReplaceAll(strings.ReplaceAll(pattern, "*", "x"), "[]", "[0]")
		leaf := "{}"
		if isValue {
			leaf = `"` + strings.Replace(refused, "*", "x", 1) + `"`
		}
		doc := leaf
		steps := strings.Split(pattern, ".")
		for _, step := range slices.Backward(steps) {
			name, isList := strings.CutSuffix(step, "[]")
			if isList {
				doc = "[" + doc + "]"
			}
			doc = "{" + strings.Replace(name, "*", "x", 1) + ": " + doc + "}"
		}
		_, err := Parse("c.yaml", []byte(doc), testEnv)
		if err == nil || !strings.Contains(err.Error(), ": "+path+": ") || !strings.Contains(err.Error(), notYetMsg) {
			t.Errorf("%s: %v", doc, err)
			continue
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if strings.Contains(line, ": "+path+": ") && !strings.HasSuffix(line, notYetMsg) {
				t.Errorf("%s: %s", doc, line)
			}
		}
	}
	expectErrors(t, around+"tracing:\n", `11:1: tracing: not supported yet by this version`)
}

// conforms checks a YAML node against the schema, in the part of JSON Schema that Schema uses.
func conforms(root, s *schema, n *yaml.Node) error {
	n = resolve(n)
	if s.Ref != "" {
		s = root.Definitions[strings.TrimPrefix(s.Ref, "#/$defs/")]
	}
	if len(s.AnyOf) > 0 {
		var err error
		for _, option := range s.AnyOf {
			if err = conforms(root, option, n); err == nil {
				return nil
			}
		}
		return err
	}
	types := strings.Fields(strings.Trim(fmt.Sprint(s.Type), "[]"))
	if is := jsonType(n); s.Type != nil && !slices.Contains(types, is) && !(is == "integer" && slices.Contains(types, "number")) {
		return fmt.Errorf("line %d: %s, want %s", n.Line, is, types)
	}
	switch n.Kind {
	case yaml.MappingNode:
		return conformsObject(root, s, n)
	case yaml.SequenceNode:
		if len(n.Content) < s.MinItems {
			return fmt.Errorf("line %d: %d items", n.Line, len(n.Content))
		}
		for _, element := range n.Content {
			if err := conforms(root, s.Items, element); err != nil {
				return err
			}
		}
	case yaml.ScalarNode:
		return conformsScalar(s, n)
	}
	return nil
}

func jsonType(n *yaml.Node) string {
	switch n.ShortTag() {
	case "!!map":
		return "object"
	case "!!seq":
		return "array"
	case "!!int":
		return "integer"
	case "!!float":
		return "number"
	case "!!bool":
		return "boolean"
	case "!!null":
		return "null"
	}
	return "string"
}

func conformsObject(root, s *schema, n *yaml.Node) error {
	given := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		name := n.Content[i].Value
		given[name] = true
		p := s.Properties[name]
		if p == nil {
			var ok bool
			if p, ok = s.AdditionalProperties.(*schema); !ok {
				return fmt.Errorf("line %d: %q is no property", n.Content[i].Line, name)
			}
			names := s.PropertyNames
			if !regexp.MustCompile(names.Pattern).MatchString(name) || names.MaxLength > 0 && len(name) > names.MaxLength {
				return fmt.Errorf("line %d: %q is no name", n.Content[i].Line, name)
			}
		}
		if err := conforms(root, p, n.Content[i+1]); err != nil {
			return err
		}
	}
	for _, r := range s.Required {
		if !given[r] {
			return fmt.Errorf("line %d: %s is missing", n.Line, r)
		}
	}
	if len(given) < s.MinProperties || s.MaxProperties > 0 && len(given) > s.MaxProperties {
		return fmt.Errorf("line %d: %d properties", n.Line, len(given))
	}
	return nil
}

func conformsScalar(s *schema, n *yaml.Node) error {
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, n.Value) {
		return fmt.Errorf("line %d: %q is none of %v", n.Line, n.Value, s.Enum)
	}
	if !regexp.MustCompile(s.Pattern).MatchString(n.Value) {
		return fmt.Errorf("line %d: %q does not match %s", n.Line, n.Value, s.Pattern)
	}
	low, high, v := asFloat(s.Minimum, math.Inf(-1)), asFloat(s.Maximum, math.Inf(1)), 0.0
	if n.Decode(&v) == nil && (v < low || v > high) {
		return fmt.Errorf("line %d: %v is not from %v to %v", n.Line, v, low, high)
	}
	return nil
}

func asFloat(v any, otherwise float64) float64 {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	}
	return otherwise
}

// TestSchemaAgrees asks the schema about documents that Parse accepts and refuses.
func TestSchemaAgrees(t *testing.T) {
	root := schemaOf(section(new(Config)))
	var whole struct {
		Defs map[string]*schema `json:"$defs"`
	}
	if err := json.Unmarshal(Schema(), &whole); err != nil {
		t.Fatal(err)
	}
	root.Definitions = whole.Defs
	example, err := os.ReadFile("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	service := func(s string) string { return minimal + "services:\n  s: {servers: [" + s + "]}\n" }
	for _, doc := range []string{string(example), around, minimal, minimal + "services:\nrouters: {}\nlog:\naccess_log:\n",
		service(`{url: "http://[::1]:80/"}, {url: unix:/x, weight: "${env:NONE:-3}"}, {url: "http://${env:HOST}:1"}`),
		minimal + "    max_connections: ${env:PORT}\n    http: {header_timeout_ms: 1}\n",
		minimal + "    forwarded_headers: {trusted_ips: [10.0.0.0/8, \"::1\"]}\n",
		minimal + "access_log: {sample: 0.5, fields: {path: false, host: \"${env:OFF}\"}}\n",
		around + "    middlewares: []\n    priority: -7\n",
		around + "    middlewares: [m]\nmiddlewares: {m: {retry: {attempts: 1, on_status: [503, \"500-502\", \"${env:NONE:-504}\"]}}}\n",
		serviceWith(`health_check: {path: "/a?b", headers: {Host: a, "X_!": "${env:HOST} x"}}, ` + oneServer),
		serviceWith("load_balancer: {sticky: {cookie: {name: a}}}, health_check: {type: tcp}, " + oneServer),
		minimal + "    tls: {cert_file: a, key_file: b, min_version: 1.3, certificates: [{cert_file: c, key_file: d, min_version: \"1.2\"}]}\n",
		serviceWith("servers: [{url: https://a}, {url: h2c://a:1}], tls: {server_name: b.example}, pool: {multiplex: pipeline}"),
		minimal + "    http: {upgrade_protocols: []}\nmiddlewares:\nshutdown: {tunnel_timeout_seconds: 5}\n",
	} {
		mustParse(t, doc)
		if err := conforms(root, root, yamlRoot(t, doc)); err != nil {
			t.Errorf("the schema refuses what is accepted: %v\nin:\n%s", err, doc)
		}
	}
	for _, doc := range []string{"{}", minimal + "x: 1\n", minimal + "    http: {max_headers: 0}\n",
		minimal + "    http: {max_headers: 10001}\n", minimal + "    protocol: tcp\n", minimal + "    tls: {cert_file: a, key_file: b, min_version: 1.1}\n",
		minimal + "    tls: {certificates: [{cert_file: a}]}\n", minimal + "    tls: {cert_file: a, key_file: b, alpn: []}\n",
		minimal + "    max_connections: \"7\"\n", minimal + "  a b: {address: \":81\"}\n", minimal + "metrics:\n",
		service(""), service("{}"), service("{url: http://a/b}"), service("{url: ftp://a}"),
		"entrypoints: {}\n", "entrypoints: {a: {address: 80}}\n", minimal + "access_log: {sample: 2}\n",
		around + "    entrypoints: []\n", minimal + "log: [a]\n",
		minimal + "middlewares: {m: {}}\n", minimal + "middlewares: {m: }\n", minimal + "middlewares: {m: {retry: {}}}\n",
		minimal + "middlewares: {m: {retry: {attempts: 1}, circuit_breaker: {}}}\n", minimal + "admin: {}\n",
		minimal + "middlewares: {m: {circuit_breaker: {status_codes: [600]}}}\n",
		minimal + "middlewares: {m: {circuit_breaker: {status_codes: [5xx]}}}\n",
		serviceWith("load_balancer: {sticky: {}}, " + oneServer), serviceWith("load_balancer: {hash_on: url}, " + oneServer),
		serviceWith("health_check: {path: a}, " + oneServer), serviceWith(`health_check: {path: /, headers: {"a b": c}}, ` + oneServer),
		serviceWith(`health_check: {path: /, headers: {a: " b"}}, ` + oneServer),
	} {
		if _, err := Parse("c.yaml", []byte(doc), testEnv); err == nil {
			t.Errorf("Parse accepts\n%s", doc)
		}
		if err := conforms(root, root, yamlRoot(t, doc)); err == nil {
			t.Errorf("the schema accepts what is refused:\n%s", doc)
		}
	}
}

func yamlRoot(t *testing.T, doc string) *yaml.Node {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(doc), &n); err != nil {
		t.Fatalf("%v\nin:\n%s", err, doc)
	}
	return n.Content[0]
}
