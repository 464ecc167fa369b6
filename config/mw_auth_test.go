package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestAuth(t *testing.T) {
	secret := strings.Repeat("s", 32)
	c, err := Parse("site.yaml", []byte(middlewares(`a: {basic_auth: {users: ["ann:{SHA}x", "bob:$2y$05$x"], realm: "Ann's"}}, `+
		`b: {basic_auth: {users_file: /etc/users, remove_header: true}}, `+
		`c: {jwt: {secret: `+secret+`, issuer: "https://i.test", audience: api, claims_to_headers: {sub: X-User, "https://i.test/roles": X-Roles}}}, `+
		`d: {jwt: {jwks_file: /etc/keys.json}}, e: {jwt: {jwks_url: "https://i.test/keys?v=1"}}`)), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Middleware{
		"a": {BasicAuth: &BasicAuth{Users: []Secret{"ann:{SHA}x", "bob:$2y$05$x"}, Realm: "Ann's"}},
		"b": {BasicAuth: &BasicAuth{UsersFile: "/etc/users", Realm: "Restricted", RemoveHeader: true}},
		"c": {JWT: &JWT{Secret: Secret(secret), Issuer: "https://i.test", Audience: "api",
			ClaimsToHeaders: map[string]string{"sub": "X-User", "https://i.test/roles": "X-Roles"}}},
		"d": {JWT: &JWT{JWKSFile: "/etc/keys.json", ClaimsToHeaders: map[string]string{}}},
		"e": {JWT: &JWT{JWKSURL: "https://i.test/keys?v=1", ClaimsToHeaders: map[string]string{}}},
	} {
		if got := *c.Middlewares[name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if shown := fmt.Sprintf("%+v %v", c.Middlewares["a"].BasicAuth, c.Show()); strings.Contains(shown, "SHA") || strings.Contains(shown, "ssss") {
		t.Errorf("secrets are shown: %s", shown)
	}
}

func TestAuthErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no users", "a: {basic_auth: {realm: x}}", "11:19: middlewares.a.basic_auth: missing, expected users or users_file"},
		{"an empty list", "a: {basic_auth: {users: []}}", "11:19: middlewares.a.basic_auth: missing, expected users or users_file"},
		{"an empty user", `a: {basic_auth: {users: [""]}}`, `11:40: middlewares.a.basic_auth.users[0]: expected a text, got ""`},
		{"two places", "a: {basic_auth: {users: [x], users_file: y}}", "11:56: middlewares.a.basic_auth.users_file: not together with users"},
		{"realm", `a: {basic_auth: {users: [x], realm: "a\nb"}}`,
			`11:51: middlewares.a.basic_auth.realm: expected a text without control characters, got "a\nb"`},
		{"no keys", "a: {jwt: {issuer: x}}", "11:19: middlewares.a.jwt: missing, expected jwks_file or jwks_url or secret"},
		{"two kinds of keys", "a: {jwt: {jwks_file: x, jwks_url: 'https://y/'}}", "11:49: middlewares.a.jwt.jwks_url: not together with jwks_file"},
		{"short secret", "a: {jwt: {secret: hunter2}}", "11:33: middlewares.a.jwt.secret: expected at least 32 bytes, got 7"},
		{"no URL", "a: {jwt: {jwks_url: i.test/keys}}",
			`11:35: middlewares.a.jwt.jwks_url: expected a URL such as https://host/path, got "i.test/keys"`},
		{"another scheme", "a: {jwt: {jwks_url: 'file:///etc/keys'}}",
			`11:35: middlewares.a.jwt.jwks_url: expected a URL such as https://host/path, got "file:///etc/keys"`},
		{"field", "a: {jwt: {jwks_file: x, claims_to_headers: {sub: X User}}}",
			`11:64: middlewares.a.jwt.claims_to_headers.sub: expected a field name, got "X User"`},
		{"field of the proxy's", "a: {jwt: {jwks_file: x, claims_to_headers: {sub: Content-Length}}}",
			`11:64: middlewares.a.jwt.claims_to_headers.sub: expected a field name, got "Content-Length": the proxy sets this field itself`},
		{"field of the host", "a: {jwt: {jwks_file: x, claims_to_headers: {sub: Host}}}",
			`11:64: middlewares.a.jwt.claims_to_headers.sub: expected a field name, got "Host": the proxy sets this field itself`},
		{"the same field", "a: {jwt: {jwks_file: x, claims_to_headers: {sub: X-User, name: x_user}}}",
			`11:78: middlewares.a.jwt.claims_to_headers.name: the same field as of sub`},
	} {
		t.Run(c.name, func(t *testing.T) { expectErrors(t, middlewares(c.text), c.want) })
	}
}
