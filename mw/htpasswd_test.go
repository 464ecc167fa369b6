package mw

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// The hashes of apr1 are openssl's: openssl passwd -apr1 -salt abcdefgh secret. That of SHA-1 is RFC 3112's kind, from
// openssl dgst.
func TestStoredPasswords(t *testing.T) {
	for _, c := range []struct{ name, hash, password string }{
		{"apr1", "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/", "secret"},
		{"apr1 of nothing", "$apr1$x$tMwYqBfQwi3FYAr0aJc8M/", ""},
		{"apr1 of much", "$apr1$zz./AB01$rHxKjbNhHHlMMxALJ/TUE0", "a much longer password of more than thirty-two bytes é"},
		{"SHA-1", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "secret"},
		{"bcrypt", bcryptOf(t, "secret"), "secret"},
		{"bcrypt as htpasswd writes it", "$2y$" + bcryptOf(t, "secret")[4:], "secret"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := parseStored(c.hash)
			if err != nil {
				t.Fatal(err)
			}
			if !s.matches(c.password) {
				t.Error("the password does not match")
			}
			for _, wrong := range []string{c.password + "x", "x" + c.password, "", "Secret", c.hash} {
				if wrong != c.password && s.matches(wrong) {
					t.Errorf("%q matches", wrong)
				}
			}
		})
	}
}

// bcryptOf is the cheapest hash of a password.
func bcryptOf(t testing.TB, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func TestUsersThatCannotBe(t *testing.T) {
	const sha = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="
	long := strings.Repeat("u", maxUserName)
	for _, c := range []struct{ name, text, want string }{
		{"good", "# comment\n\nann:" + sha + "\r\n  bob:" + sha + "\n" + long + ":" + sha, ""},
		{"none", "\n# comment\n", "no users"},
		{"no hash", "ann", "line 1: expected a user as name:hash, as htpasswd makes it"},
		{"no name", "\n:" + sha, "line 2: expected a user as name:hash, as htpasswd makes it"},
		{"long name", long + "u:" + sha, "line 1: expected a name of at most 255 bytes without control characters"},
		{"control", "a\tb:" + sha, "line 1: expected a name of at most 255 bytes without control characters"},
		{"twice", "ann:" + sha + "\nann:" + sha, `line 2: the user "ann" is there already`},
		{"clear text", "ann:hunter2",
			`line 1: user "ann": expected a password hashed with bcrypt ($2y$...), apr1 ($apr1$...) or SHA-1 ({SHA}...)`},
		{"crypt", "ann:$6$salt$hash",
			`line 1: user "ann": expected a password hashed with bcrypt ($2y$...), apr1 ($apr1$...) or SHA-1 ({SHA}...)`},
		{"short bcrypt", "ann:$2y$05$abc", `line 1: user "ann": not a hash of bcrypt`},
		{"long bcrypt", "ann:" + bcryptOf(t, "x") + "x", `line 1: user "ann": not a hash of bcrypt`},
		{"slow bcrypt", "ann:" + strings.Replace(bcryptOf(t, "x"), "$04$", "$15$", 1),
			`line 1: user "ann": a bcrypt cost of 15 takes too long to check, expected at most 14`},
		{"apr1 without salt", "ann:$apr1$$h9FWgUz3n9YxylKLlR5SQ/", `line 1: user "ann": not a hash of apr1`},
		{"apr1 without hash", "ann:$apr1$abcdefgh", `line 1: user "ann": not a hash of apr1`},
		{"apr1 with too much", "ann:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/x", `line 1: user "ann": not a hash of apr1`},
		{"short SHA-1", "ann:{SHA}5en6", `line 1: user "ann": not a hash of SHA-1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseUsers([]byte(c.text))
			if got := errorText(err); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A name that nobody has is checked like the one that takes longest, and its password helps nobody.
func TestUnknownUsers(t *testing.T) {
	slow := bcryptOf(t, "secret")
	u, err := parseUsers([]byte("ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\nbob:" + slow + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if u.slowest.text != slow {
		t.Errorf("the slowest is %v", u.slowest.kind)
	}
	if !u.check("ann", "secret") || !u.check("bob", "secret") {
		t.Error("the users are refused")
	}
	if u.check("eve", "secret") || u.check("ann", "x") || u.check("bob", "x") || u.check("", "secret") {
		t.Error("somebody else is let in")
	}
}

// BenchmarkPasswords is what one check costs; bcrypt at the cost that htpasswd -B has by default.
func BenchmarkPasswords(b *testing.B) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), 5)
	if err != nil {
		b.Fatal(err)
	}
	for _, text := range []string{"$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/", string(hash)} {
		s, err := parseStored(text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(s.kind.String(), func(b *testing.B) {
			for b.Loop() {
				s.matches("secret")
			}
		})
	}
}
