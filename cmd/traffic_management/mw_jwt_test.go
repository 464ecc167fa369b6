package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// signer makes tokens with a key of its own.
type signer struct {
	id  string
	key *ecdsa.PrivateKey
}

func newSigner(t *testing.T, id string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{id, key}
}

// sign is an Authorization field with a token of these claims.
func (s signer) sign(t *testing.T, claims string) string {
	t.Helper()
	o := (&jose.SignerOptions{}).WithHeader("kid", s.id)
	with, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.key}, o)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := with.Sign([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return "Authorization: Bearer " + token
}

// publicKeys is a set of the keys of signers.
func publicKeys(t *testing.T, signers ...signer) []byte {
	t.Helper()
	set := jose.JSONWebKeySet{}
	for _, s := range signers {
		set.Keys = append(set.Keys, jose.JSONWebKey{KeyID: s.id, Key: s.key.Public()})
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// keyHost serves keys.
type keyHost struct {
	url   string
	keys  atomic.Pointer[[]byte] // nil: garbage without end
	asked atomic.Int32
}

func newKeyHost(t *testing.T, keys []byte) *keyHost {
	h := new(keyHost)
	h.keys.Store(&keys)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.asked.Add(1)
		if keys := h.keys.Load(); keys != nil {
			w.Write(*keys)
			return
		}
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte(strings.Repeat(`{"keys":[`, 1000))); err != nil {
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	h.url = s.URL + "/keys"
	return h
}

// after is the time so many seconds from now, as claims have it.
func after(seconds int) string { return strconv.FormatInt(time.Now().Unix()+int64(seconds), 10) }

// TestJWTConforms has keys at a URL and sends good and hostile tokens.
func TestJWTConforms(t *testing.T) {
	s := newServer(t, greet)
	good, other := newSigner(t, "good"), newSigner(t, "good")
	host := newKeyHost(t, publicKeys(t, good))
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"i","aud":"api","sub":"eve"}`)) + "."
	middlewares := "gate: {jwt: {jwks_url: '" + host.url + "', issuer: i, audience: api, claims_to_headers: {sub: X-User, roles: X-Roles}}}"
	conform(t, site{server: s}, middlewares, "gate", func(t *testing.T, w *way) {
		for _, c := range []struct {
			name   string
			fields []string
			want   int
			why    string
		}{
			{"good", []string{good.sign(t, `{"iss":"i","aud":"api","sub":"ann","roles":["a","b"],"exp":`+after(600)+`}`), "X-User: root", "X-Roles: admin"}, 200, "ann a,b"},
			{"with less", []string{"X-User: root", good.sign(t, `{"iss":"i","aud":["web","api"]}`), "x_roles: admin"}, 200, " "},
			{"large", []string{good.sign(t, `{"iss":"i","aud":"api","sub":"ann","x":"`+strings.Repeat("x", 5900)+`"}`)}, 200, "ann "},
			{"nothing", nil, 401, `Bearer`},
			{"none", []string{"Authorization: Bearer " + none}, 401, "malformed"},
			{"another's key", []string{other.sign(t, `{"iss":"i","aud":"api"}`)}, 401, "signature"},
			{"huge claims", []string{good.sign(t, `{"iss":"i","aud":"api","x":"`+strings.Repeat("x", 7000)+`"}`)}, 400, "larger"},
			{"expired", []string{good.sign(t, `{"iss":"i","aud":"api","exp":`+after(-70)+`}`)}, 401, "expired"},
			{"early", []string{good.sign(t, `{"iss":"i","aud":"api","nbf":`+after(70)+`}`)}, 401, "not valid yet"},
			{"another issuer", []string{good.sign(t, `{"iss":"j","aud":"api"}`)}, 401, "issuer"},
			{"other audiences", []string{good.sign(t, `{"iss":"i","aud":["web","x"]}`)}, 401, "audience"},
			{"twice", []string{good.sign(t, `{"iss":"i","aud":"api"}`), good.sign(t, `{"iss":"i","aud":"api"}`)}, 400, "more than one"},
			{"lines in a claim", []string{good.sign(t, `{"iss":"i","aud":"api","sub":"a\r\nX-Roles: admin"}`)}, 200, " "},
		} {
			s.forget()
			a := w.ask(t, request{method: "POST", content: "content", fields: c.fields})
			if a.StatusCode != c.want {
				t.Errorf("%s: %d %q, want %d", c.name, a.StatusCode, a.body, c.want)
				continue
			}
			got := s.received()
			if c.want != 200 {
				if challenge := a.Header.Get("Www-Authenticate"); got != "" || !strings.Contains(challenge, c.why) {
					t.Errorf("%s: %q; the server received %q", c.name, challenge, got)
				}
				continue
			}
			head := headOf(t, got)
			if told := values(head, "X-User") + " " + values(head, "X-Roles"); told != c.why || strings.Contains(got, "root") || strings.Contains(got, "admin") {
				t.Errorf("%s: the server was told %q in %q", c.name, told, got)
			}
		}
	})
}

// Names of keys that nobody has make nothing but one fetch, garbage in its answer takes nothing from the keys at hand, and
// others are served meanwhile. The keys outlive a reload, too.
func TestJWTFloodOfNames(t *testing.T) {
	s, bystanders := newServer(t, greet), newServer(t, greet)
	good := newSigner(t, "good")
	host := newKeyHost(t, publicKeys(t, good))
	p := start(t, site{server: s, bystander: bystanders, router: "middlewares: [gate]",
		sections: "middlewares: {gate: {jwt: {jwks_url: '" + host.url + "'}}}\n"})
	ask := func(c *client, fields string) answer {
		c.send("GET / HTTP/1.1\r\nHost: a.test\r\n" + fields + "\r\n\r\n")
		return c.receive("GET")
	}
	c := p.connect(t)
	if a := ask(c, good.sign(t, `{}`)); a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	b := p.bystand()
	host.keys.Store(nil)
	for i := range 300 {
		if a := ask(c, newNamed(good, i).sign(t, `{}`)); a.StatusCode != 401 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	if a := ask(c, good.sign(t, `{"sub":"ann"}`)); a.StatusCode != 200 {
		t.Errorf("a good token: %d %s", a.StatusCode, a.body)
	}
	if n := host.asked.Load(); n < 1 || n > 3 { // at the start, perhaps for the first name, and perhaps ten seconds later
		t.Errorf("the keys were fetched %d times", n)
	}
	asked := host.asked.Load()
	p.signal(syscall.SIGHUP)
	eventually(t, "the file is loaded", func() bool { return p.loads() == 2 })
	if a := ask(c, good.sign(t, `{"sub":"bob"}`)); a.StatusCode != 200 {
		t.Errorf("the keys are lost with a reload: %d %s", a.StatusCode, a.body)
	}
	if n := host.asked.Load(); n > asked+1 {
		t.Errorf("the keys were fetched %d times with a reload", n-asked)
	}
	b.unharmed(t)
	p.heldAtMost(memoryBound)
}

func newNamed(s signer, i int) signer { return signer{"unknown" + strconv.Itoa(i), s.key} }

// A file of keys is read anew when it changes; a key that is not in it any more is good for nothing.
func TestJWTKeysFile(t *testing.T) {
	s := newServer(t, greet)
	first, second := newSigner(t, "first"), newSigner(t, "second")
	file := filepath.Join(t.TempDir(), "keys.json")
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(file+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write(publicKeys(t, first))
	p := start(t, site{server: s, router: "middlewares: [gate]", sections: "middlewares: {gate: {jwt: {jwks_file: " + file + "}}}\n"})
	status := func(by signer) int {
		c := p.connect(t)
		c.send("GET / HTTP/1.1\r\nHost: a.test\r\n" + by.sign(t, `{}`) + "\r\n\r\n")
		return c.receive("GET").StatusCode
	}
	if a, b := status(first), status(second); a != 200 || b != 401 {
		t.Errorf("at first: %d, %d", a, b)
	}
	write(publicKeys(t, second))
	eventually(t, "the new key counts", func() bool { return status(second) == 200 })
	if a := status(first); a != 401 {
		t.Errorf("the old key: %d", a)
	}
}
