package mw

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"traffic_management/codec"
)

// FuzzCredentials holds that credentials are a part of the field's value and one word, whatever it is.
func FuzzCredentials(f *testing.F) {
	for _, seed := range []string{"", "Basic", "Basic YTpi", "basic  YTpi==", "Basic =", "Bearer a.b.c", "Basic YTpi, Basic YTpi", "Basic\tYTpi"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		h := codec.Head{Fields: []codec.Field{codec.NewField(codec.FieldAuthorization, []byte(value))}}
		got, found := credentials(&h, "Basic")
		if (found == authGiven) != (len(got) > 0) || !strings.HasSuffix(value, string(got)) || strings.ContainsAny(string(got), " ,\t\"") {
			t.Errorf("%q: %q, %v", value, got, found)
		}
		if found == authGiven && !codec.EqualFold([]byte(value[:6]), "basic ") {
			t.Errorf("%q has credentials", value)
		}
	})
}

// FuzzToken holds that no change makes a good token of another: only spellings of the one that was signed are good.
func FuzzToken(f *testing.F) {
	i := issuing()
	set, err := parseKeySet(i.set(f))
	if err != nil {
		f.Fatal(err)
	}
	good := sign(f, jose.EdDSA, i.ed, "ed", `{"sub":"ann"}`)
	f.Add(good, 0, byte(0))
	f.Add(sign(f, jose.EdDSA, i.ed, "ed", `{"exp":1}`), 3, byte(1))
	f.Add(assembled(`{"alg":"none"}`, `{}`, nil), 0, byte(0))
	rules := tokenRules{fields: []ClaimField{{"sub", "X-User"}}}
	spelling := func(token string) string {
		var parts []string
		for part := range strings.SplitSeq(token, ".") {
			b, err := base64.RawURLEncoding.DecodeString(part)
			if err != nil {
				return ""
			}
			parts = append(parts, string(b))
		}
		return strings.Join(parts, ".")
	}
	f.Fuzz(func(t *testing.T, token string, at int, with byte) {
		text := []byte(token)
		if len(text) > 0 {
			text[uint(at)%uint(len(text))] ^= with
		}
		v, _, fault := rules.verify(string(text), set, tokenTestTime)
		if (fault == tokenGood) != (v != nil) || v != nil && spelling(string(text)) != spelling(good) {
			t.Errorf("%q: %v", text, fault)
		}
	})
}

// FuzzUsers holds that what is read of a file of users can be checked.
func FuzzUsers(f *testing.F) {
	f.Add("ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n# x\n\nbob:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/\r\n")
	f.Add("ann:$2y$04$abcdefghijklmnopqrstuuO1bC2dE3fG4hI5jK6lM7nO8pQ9rS0t")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseUsers([]byte(text))
		if err != nil {
			return
		}
		for name, s := range u.byName {
			if name == "" || hasControls(name) || s.slower(u.slowest) {
				t.Errorf("%q: %+v", name, s)
			}
			if s.kind != hashBcrypt && s.matches(s.text) {
				t.Errorf("the hash %q is its own password", s.text)
			}
		}
	})
}
