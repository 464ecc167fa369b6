package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// hashed is a line of a file of users.
func hashed(t *testing.T, name, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return name + ":" + string(hash)
}

func basicField(pair string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}

// TestBasicAuthConforms has a file of users, which changes while the proxy runs.
func TestBasicAuthConforms(t *testing.T) {
	s := newServer(t, greet)
	file := filepath.Join(t.TempDir(), "users")
	write := func(lines ...string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	first := []string{hashed(t, "ann", "secret"), "bob:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/", "cid:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="}
	write(first...)
	middlewares := "gate: {basic_auth: {users_file: " + file + ", realm: Staff, remove_header: true}}"
	conform(t, site{server: s}, middlewares, "gate", func(t *testing.T, w *way) {
		defer write(first...) // for the next way
		for _, c := range []struct {
			name   string
			fields []string
			want   int
		}{
			{"bcrypt", []string{basicField("ann:secret")}, 200},
			{"bcrypt again", []string{basicField("ann:secret")}, 200},
			{"apr1", []string{basicField("bob:secret")}, 200},
			{"SHA-1", []string{basicField("cid:secret")}, 200},
			{"nothing", nil, 401},
			{"wrong password", []string{basicField("ann:Secret")}, 401},
			{"nobody", []string{basicField("eve:secret")}, 401},
			{"no colon", []string{basicField("ann")}, 401},
			{"another scheme", []string{"Authorization: Bearer secret"}, 401},
			{"not base64", []string{"Authorization: Basic ????"}, 401},
			{"NUL", []string{basicField("ann:secret\x00")}, 401},
			{"twice", []string{basicField("ann:secret"), basicField("ann:secret")}, 400},
			{"too large", []string{basicField("ann:" + strings.Repeat("x", 3000))}, 400},
		} {
			s.forget()
			a := w.ask(t, request{method: "POST", content: "content", fields: c.fields})
			if a.StatusCode != c.want {
				t.Errorf("%s: %d %q, want %d", c.name, a.StatusCode, a.body, c.want)
			}
			if got := a.Header.Get("Www-Authenticate"); (got == `Basic realm="Staff", charset="UTF-8"`) != (c.want == 401) {
				t.Errorf("%s: the challenge is %q", c.name, got)
			}
			if got := s.received(); strings.Contains(got, "Authorization") || strings.Contains(got, "authorization") ||
				strings.HasSuffix(got, "content") != (c.want == 200) {
				t.Errorf("%s: the server received %q", c.name, got)
			}
		}
		write(hashed(t, "dan", "new"))
		eventually(t, "the new user is let in", func() bool {
			return w.ask(t, request{fields: []string{basicField("dan:new")}}).StatusCode == 200
		})
		if a := w.ask(t, request{fields: []string{basicField("ann:secret")}}); a.StatusCode != 401 {
			t.Errorf("who is not in the file any more: %d", a.StatusCode)
		}
		write("garbage")
		eventually(t, "the log tells", func() bool {
			return w.proxy.logged("a file of credentials was not loaded, what it held before stays in force")
		})
		if a := w.ask(t, request{fields: []string{basicField("dan:new")}}); a.StatusCode != 200 {
			t.Errorf("after a bad file: %d", a.StatusCode)
		}
		if log := w.proxy.log.String() + w.proxy.out.String(); strings.Contains(log, "secret") || strings.Contains(log, "$2") {
			t.Errorf("the log shows what it must not:\n%s", log)
		}
	})
}

// A user that cannot be used is told with its place, and without its hash.
func TestValidateReadsUsers(t *testing.T) {
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte(hashed(t, "ann", "secret")+"\n\nbob:hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, greet)
	for _, c := range []struct{ text, want string }{
		{"{basic_auth: {users: ['" + hashed(t, "ann", "x") + "']}}", "configuration OK"},
		{"{basic_auth: {users: ['" + hashed(t, "ann", "x") + "', 'bob:hunter2']}}",
			`middlewares.a.basic_auth.users[1]: user "bob": expected a password hashed with bcrypt`},
		{"{basic_auth: {users_file: " + users + "}}",
			`middlewares.a.basic_auth.users_file: ` + users + `: line 3: user "bob": expected a password hashed with bcrypt`},
		{"{basic_auth: {users_file: " + users + ".none}}", `middlewares.a.basic_auth.users_file: open ` + users + `.none: no such file`},
		{"{jwt: {jwks_file: " + users + "}}", `middlewares.a.jwt.jwks_file: ` + users + `: not a set of keys (JWKS)`},
		{"{jwt: {secret: hunter2}}", `middlewares.a.jwt.secret: expected at least 32 bytes, got 7`},
		{"{jwt: {jwks_url: http://127.0.0.1:1/nobody-is-there}}", "configuration OK"},
	} {
		file := writeFile(t, fmt.Sprint(site{server: s, sections: "middlewares: {a: " + c.text + "}\n"}))
		out, err := exec.Command(program, "-c", file, "--validate").CombinedOutput()
		if (err == nil) != (c.want == "configuration OK") || !strings.Contains(string(out), c.want) || strings.Contains(string(out), "hunter2") {
			t.Errorf("%s: %v: %s\nwant %s", c.text, err, out, c.want)
		}
	}
}
