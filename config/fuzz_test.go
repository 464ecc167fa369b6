package config

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse holds that no document makes Parse panic, that a fault has a position inside the document, and that faults
// are in order.
func FuzzParse(f *testing.F) {
	example, err := os.ReadFile("example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(example), around, "", "a: &a {<<: *a}\n", "entrypoints: &e {a: {<<: *e}, b: *e}\n",
		"a: 1\n---\nb: 2\n", "a:\n\tb: 1\n", "x: ${env:A:-b}\n", "? [a]\n: b\n", "a: !x!y 1\n", "a: \"\\q\"\n",
		"log: {level: \"${env:PORT}\", <<: [{a: 1}, *b]}\n", "%YAML 1.1\n---\na: 1\n", "routers: {r: {middlewares: [a]}}",
		serviceWith("load_balancer: {sticky: {cookie: {name: a}}}, " + oneServer),
		serviceWith("health_check: {path: /, headers: {A: b}, expected_status: [200, 300-399]}, " + oneServer),
		minimal + "    tls: {cert_file: a, key_file: b, min_version: 1.3, certificates: [{cert_file: c, key_file: d}]}\n",
		minimal + "middlewares: {m: {retry: {attempts: 1}}}\nadmin: {address: \"[::1]:1\"}\nshutdown: {tunnel_timeout_seconds: 5}\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		c, err := Parse("c.yaml", doc, testEnv)
		if err == nil {
			if len(c.EntryPoints) == 0 {
				t.Error("accepted without an entry point")
			}
			return
		}
		errs, ok := err.(Errors)
		if !ok || len(errs) == 0 || c != nil {
			t.Fatalf("the error is %T %v, the configuration %v", err, err, c)
		}
		lines := strings.Split(string(doc), "\n")
		for i, e := range errs {
			if e.File != "c.yaml" || e.Msg == "" || e.Line < 1 || e.Line > len(lines) || e.Column < 1 ||
				e.Column > utf8.RuneCountInString(lines[e.Line-1])+1 {
				t.Errorf("%v is not inside the document", e)
			}
			if i > 0 && comparePositions(errs[i-1].Position, e.Position) > 0 {
				t.Errorf("%v comes after %v", e, errs[i-1])
			}
		}
	})
}

func TestNearest(t *testing.T) {
	known := []string{"address", "http", "url", "file", "protocol"}
	for name, want := range map[string]string{
		"adress": "address", "addres": "address", "addr": "", "adderss": "address", "Address": "address", "htpp": "http",
		"https": "http", "uri": "url", "u": "", "xx": "", "fil": "file", "protocols": "protocol", "": "", "ddre": "",
	} {
		if got := nearest(name, known); got != want {
			t.Errorf("nearest to %q is %q, want %q", name, got, want)
		}
	}
}
