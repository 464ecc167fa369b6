package mw

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"traffic_management/codec"
)

// issuer has a key of each kind, and signs what tests like.
type issuer struct {
	rsa   *rsa.PrivateKey
	p256  *ecdsa.PrivateKey
	p384  *ecdsa.PrivateKey
	p521  *ecdsa.PrivateKey
	ed    ed25519.PrivateKey
	other *rsa.PrivateKey // that nobody trusts
	weak  *rsa.PrivateKey
}

var issuing = sync.OnceValue(func() *issuer {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	i := new(issuer)
	var err error
	i.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	i.other, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	i.weak, err = rsa.GenerateKey(rand.Reader, 1024)
	must(err)
	i.p256, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	i.p384, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(err)
	i.p521, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	must(err)
	i.ed = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) // the same in every process of a fuzzer
	return i
})

// set is the public keys, named by their kinds, as a JSON Web Key Set.
func (i *issuer) set(t testing.TB, more ...jose.JSONWebKey) []byte {
	t.Helper()
	keys := append([]jose.JSONWebKey{
		{KeyID: "rsa", Key: i.rsa.Public(), Use: "sig"}, {KeyID: "p256", Key: i.p256.Public()}, {KeyID: "p384", Key: i.p384.Public()},
		{KeyID: "p521", Key: i.p521.Public()}, {KeyID: "ed", Key: i.ed.Public()},
	}, more...)
	text, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// sign makes a token of these claims, which are JSON or anything that becomes it.
func sign(t testing.TB, algorithm jose.SignatureAlgorithm, key any, id string, claims any, change ...func(*jose.SignerOptions)) string {
	t.Helper()
	o := &jose.SignerOptions{}
	if id != "" {
		o.WithHeader("kid", id)
	}
	for _, f := range change {
		f(o)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	text, ok := claims.(string)
	if !ok {
		b, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	signed, err := signer.Sign([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// assembled puts together a token from its parts.
func assembled(header, claims string, signature []byte) string {
	e := base64.RawURLEncoding.EncodeToString
	return e([]byte(header)) + "." + e([]byte(claims)) + "." + e(signature)
}

// keysOf are the keys of a set.
func keysOf(t testing.TB, set []byte) *Keys {
	t.Helper()
	k := new(Keys)
	if _, err := k.use(set); err != nil {
		t.Fatal(err)
	}
	return k
}

// tokenTestTime is the time by which tests verify tokens.
var tokenTestTime = time.Unix(1_800_000_000, 0)

func newJWT(t testing.TB, o JWTOptions) *JWT {
	t.Helper()
	j := NewJWT(o)
	j.now = func() time.Time { return tokenTestTime }
	return j
}

func ago(d time.Duration) *jwt.NumericDate { return jwt.NewNumericDate(tokenTestTime.Add(-d)) }

func TestTokenAlgorithms(t *testing.T) {
	i := issuing()
	b := newBed(t, newJWT(t, JWTOptions{Keys: keysOf(t, i.set(t))}))
	secret := strings.Repeat("s", 64)
	keys, err := SecretKeys(secret)
	if err != nil {
		t.Fatal(err)
	}
	shared := newBed(t, newJWT(t, JWTOptions{Keys: keys}))
	for _, c := range []struct {
		bed       *bed
		algorithm jose.SignatureAlgorithm
		key       any
		id        string
	}{
		{b, jose.RS256, i.rsa, "rsa"}, {b, jose.RS384, i.rsa, "rsa"}, {b, jose.RS512, i.rsa, ""},
		{b, jose.PS256, i.rsa, "rsa"}, {b, jose.PS384, i.rsa, "rsa"}, {b, jose.PS512, i.rsa, ""},
		{b, jose.ES256, i.p256, "p256"}, {b, jose.ES384, i.p384, "p384"}, {b, jose.ES512, i.p521, ""}, {b, jose.EdDSA, i.ed, "ed"},
		{shared, jose.HS256, []byte(secret), ""}, {shared, jose.HS384, []byte(secret), "any"}, {shared, jose.HS512, []byte(secret), ""},
	} {
		t.Run(string(c.algorithm), func(t *testing.T) {
			token := sign(t, c.algorithm, c.key, c.id, jwt.Claims{Subject: "ann", Expiry: ago(-time.Hour)})
			eachVersion(t, func(t *testing.T, v codec.Version) {
				if a := c.bed.ask(v, "GET", "/", "Authorization: Bearer "+token); a.status != 200 {
					t.Errorf("%d %s", a.status, a.body)
				}
			})
			for n := len(token) - 10; n < len(token); n += 4 { // bits of the signature
				bad := []byte(token)
				bad[n] ^= 1
				if a := c.bed.ask(codec.HTTP11, "GET", "/", "Authorization: Bearer "+string(bad)); a.status != 401 {
					t.Errorf("changed at %d: %d", n, a.status)
				}
			}
			parts := strings.Split(token, ".")
			parts[1] = base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"eve"}`))
			if a := c.bed.ask(codec.HTTP11, "GET", "/", "Authorization: Bearer "+strings.Join(parts, ".")); a.status != 401 {
				t.Errorf("with other claims: %d", a.status)
			}
		})
	}
}

// TestHostileTokens has what attackers send to those who verify.
func TestHostileTokens(t *testing.T) {
	i := issuing()
	publicPEM := func(key crypto.PublicKey) []byte {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	const claims = `{"sub":"eve"}`
	good := sign(t, jose.RS256, i.rsa, "rsa", claims)
	parts := strings.Split(good, ".")
	embedded := func(o *jose.SignerOptions) { o.EmbedJWK = true }
	fault := func(f tokenFault) string { return f.String() }
	for _, c := range []struct{ name, token, want string }{
		{"none", assembled(`{"alg":"none"}`, claims, nil), fault(tokenMalformed)},
		{"None with a name", assembled(`{"alg":"None","kid":"rsa"}`, claims, nil), fault(tokenMalformed)},
		{"no signature", parts[0] + "." + parts[1] + ".", fault(tokenSignature)},
		{"no algorithm", assembled(`{"kid":"rsa"}`, claims, []byte("x")), fault(tokenMalformed)},
		{"an algorithm nobody has", assembled(`{"alg":"XS256","kid":"rsa"}`, claims, []byte("x")), fault(tokenMalformed)},
		{"the public key as a secret", sign(t, jose.HS256, publicPEM(i.rsa.Public()), "rsa", claims), fault(tokenMalformed)},
		{"its modulus as a secret", sign(t, jose.HS256, i.rsa.N.Bytes(), "rsa", claims), fault(tokenMalformed)},
		{"an algorithm of another kind of key", sign(t, jose.RS256, i.rsa, "p256", claims), fault(tokenKey)},
		{"another curve", sign(t, jose.ES256, i.p256, "p384", claims), fault(tokenKey)},
		{"a key that is not trusted", sign(t, jose.RS256, i.other, "rsa", claims), fault(tokenSignature)},
		{"with no name", sign(t, jose.RS256, i.other, "", claims), fault(tokenSignature)},
		{"an unknown name", sign(t, jose.RS256, i.rsa, "RSA", claims), fault(tokenKey)},
		{"a name that is a path", sign(t, jose.RS256, i.rsa, "../../dev/null", claims), fault(tokenKey)},
		{"a key that the token brings", sign(t, jose.RS256, i.other, "", claims, embedded), fault(tokenSignature)},
		{"a key for another use", sign(t, jose.RS256, i.other, "enc", claims), fault(tokenKey)},
		{"a key for one algorithm", sign(t, jose.RS512, i.other, "rs256", claims), fault(tokenKey)},
		{"a weak key", sign(t, jose.RS256, i.weak, "weak", claims), fault(tokenKey)},
		{"an extension", sign(t, jose.RS256, i.rsa, "rsa", claims, func(o *jose.SignerOptions) { o.WithBase64(false) }), fault(tokenMalformed)},
		{"claims that are a list", sign(t, jose.RS256, i.rsa, "rsa", `["sub"]`), fault(tokenMalformed)},
		{"claims that are null", sign(t, jose.RS256, i.rsa, "rsa", `null`), fault(tokenMalformed)},
		{"no claims", sign(t, jose.RS256, i.rsa, "rsa", ``), fault(tokenMalformed)},
		{"claims twice", sign(t, jose.RS256, i.rsa, "rsa", `{"exp":1,"exp":2000000000}`), fault(tokenMalformed)},
		{"time that is a text", sign(t, jose.RS256, i.rsa, "rsa", `{"exp":"2000000000"}`), fault(tokenMalformed)},
		{"time without end", sign(t, jose.RS256, i.rsa, "rsa", `{"nbf":1e300}`), fault(tokenMalformed)},
		{"much JSON", sign(t, jose.RS256, i.rsa, "rsa", `{"a":`+strings.Repeat("[", 2500)), fault(tokenMalformed)},
		{"one part", "eyJhbGciOiJub25lIn0", fault(tokenMalformed)},
		{"two parts", parts[0] + "." + parts[1], fault(tokenMalformed)},
		{"four parts", good + ".x", fault(tokenMalformed)},
		{"five parts, encrypted", good + ".x.y", fault(tokenMalformed)},
		{"dots", "..", fault(tokenMalformed)},
		{"padded", good + "=", fault(tokenMalformed)},
		{"not base64", parts[0] + "." + parts[1] + ".~~~~", fault(tokenMalformed)},
		{"JSON", `{"payload":"e30","signatures":[]}`, fault(tokenMalformed)},
		{"something behind", good + " x", fault(tokenMalformed)},
		{"nothing", "", fault(tokenMalformed)},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := newJWT(t, JWTOptions{Keys: keysOf(t, i.set(t,
				jose.JSONWebKey{KeyID: "enc", Key: i.other.Public(), Use: "enc"},
				jose.JSONWebKey{KeyID: "rs256", Key: i.other.Public(), Algorithm: "RS256"},
				jose.JSONWebKey{KeyID: "weak", Key: i.weak.Public()},
				jose.JSONWebKey{KeyID: "oct", Key: []byte(strings.Repeat("s", 64))}))})
			if c.name == "with no name" || c.name == "a key that the token brings" { // RS256 would fit the one of rs256
				j = newJWT(t, JWTOptions{Keys: keysOf(t, i.set(t))})
			}
			b := newBed(t, j)
			for range 2 {
				a := b.ask(codec.HTTP2, "GET", "/", "Authorization: Bearer "+c.token)
				want := `Bearer error="invalid_token", error_description="` + c.want + `"`
				if got := a.field("WWW-Authenticate"); a.status != 401 || got != want {
					t.Errorf("%d %s\nwant %s", a.status, got, want)
				}
			}
			if len(b.requests) != 0 {
				t.Errorf("the server got %q", b.requests)
			}
		})
	}
}

func TestTokenFields(t *testing.T) {
	i := issuing()
	good := sign(t, jose.RS256, i.rsa, "rsa", `{}`)
	large := sign(t, jose.RS256, i.rsa, "rsa", `{"a":"`+strings.Repeat("x", 6200)+`"}`)
	b := newBed(t, newJWT(t, JWTOptions{Keys: keysOf(t, i.set(t))}))
	for _, c := range []struct {
		name      string
		fields    []string
		status    int
		challenge string
	}{
		{"good", []string{"Bearer " + good}, 200, ""},
		{"scheme in another case", []string{"BEARER " + good}, 200, ""},
		{"none", nil, 401, "Bearer"},
		{"empty", []string{""}, 401, "Bearer"},
		{"another scheme", []string{"Basic " + encoded("a:b")}, 401, "Bearer"},
		{"no scheme", []string{good}, 401, "Bearer"},
		{"twice", []string{"Bearer " + good, "Bearer " + good}, 400,
			`Bearer error="invalid_request", error_description="more than one Authorization field"`},
		{"with another scheme", []string{"Basic x", "Bearer " + good}, 400,
			`Bearer error="invalid_request", error_description="more than one Authorization field"`},
		{"large", []string{"Bearer " + large + strings.Repeat("x", maxToken)}, 400,
			`Bearer error="invalid_request", error_description="the token is larger than 8 kB"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, v codec.Version) {
				var fields []string
				for _, f := range c.fields {
					fields = append(fields, "Authorization: "+f)
				}
				a := b.ask(v, "GET", "/", fields...)
				if got := a.field("WWW-Authenticate"); a.status != c.status || got != c.challenge {
					t.Errorf("%d %s", a.status, got)
				}
			})
		})
	}
}

func TestTokenClaims(t *testing.T) {
	i := issuing()
	minute := time.Minute
	for _, c := range []struct {
		name   string
		claims any
		want   tokenFault
	}{
		{"all", jwt.Claims{Issuer: "https://i.test", Audience: jwt.Audience{"api"}, Expiry: ago(-minute), NotBefore: ago(minute), IssuedAt: ago(minute)}, tokenGood},
		{"audience as text", `{"iss":"https://i.test","aud":"api"}`, tokenGood},
		{"audience among others", `{"iss":"https://i.test","aud":["web","api"]}`, tokenGood},
		{"expired within the skew", jwt.Claims{Issuer: "https://i.test", Audience: jwt.Audience{"api"}, Expiry: ago(59 * time.Second)}, tokenGood},
		{"expired", jwt.Claims{Issuer: "https://i.test", Audience: jwt.Audience{"api"}, Expiry: ago(61 * time.Second)}, tokenExpired},
		{"expired long ago", `{"iss":"https://i.test","aud":"api","exp":-1e9}`, tokenExpired},
		{"early within the skew", jwt.Claims{Issuer: "https://i.test", Audience: jwt.Audience{"api"}, NotBefore: ago(-59 * time.Second)}, tokenGood},
		{"early", jwt.Claims{Issuer: "https://i.test", Audience: jwt.Audience{"api"}, NotBefore: ago(-61 * time.Second)}, tokenEarly},
		{"made in the future", jwt.Claims{Issuer: "https://i.test", Audience: jwt.Audience{"api"}, IssuedAt: ago(-time.Hour)}, tokenEarly},
		{"another issuer", `{"iss":"https://i.test/","aud":"api"}`, tokenIssuer},
		{"no issuer", `{"aud":"api"}`, tokenIssuer},
		{"issuer in another case of its name", `{"Iss":"https://i.test","aud":"api"}`, tokenIssuer},
		{"issuer that is a list", `{"iss":["https://i.test"],"aud":"api"}`, tokenMalformed},
		{"another audience", `{"iss":"https://i.test","aud":"web"}`, tokenAudience},
		{"other audiences", `{"iss":"https://i.test","aud":["web","ap","apis","api "]}`, tokenAudience},
		{"no audience", `{"iss":"https://i.test"}`, tokenAudience},
		{"empty audience", `{"iss":"https://i.test","aud":[]}`, tokenAudience},
		{"audience inside a list", `{"iss":"https://i.test","aud":[["api"]]}`, tokenMalformed},
		{"audience that is a mapping", `{"iss":"https://i.test","aud":{"api":true}}`, tokenMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, newJWT(t, JWTOptions{Keys: keysOf(t, i.set(t)), Issuer: "https://i.test", Audience: "api"}))
			a := b.ask(codec.HTTP11, "GET", "/", "Authorization: Bearer "+sign(t, jose.ES256, i.p256, "p256", c.claims))
			if want := map[bool]int{true: 200, false: 401}[c.want == tokenGood]; a.status != want {
				t.Errorf("%d, want %d", a.status, want)
			}
			if c.want != tokenGood && !strings.Contains(a.body, c.want.String()) {
				t.Errorf("%q, want %q", a.body, c.want)
			}
		})
	}
}

// The server is told what the token says, and never what the client does.
func TestClaimsToFields(t *testing.T) {
	i := issuing()
	rules := []ClaimField{{"sub", "X-User"}, {"https://i.test/roles", "X-Roles"}, {"n", "X-Number"}, {"ok", "X-Ok"}}
	for _, c := range []struct{ name, claims, user, roles, number, ok string }{
		{"all", `{"sub":"ann","https://i.test/roles":["a","b"],"n":12345678901234567890,"ok":true}`, "ann", "a,b", "12345678901234567890", "true"},
		{"one of a list", `{"sub":"zoë","https://i.test/roles":["a"],"n":1.50,"ok":false}`, "zoë", "a", "1.50", "false"},
		{"none", `{}`, "", "", "", ""},
		{"null", `{"sub":null,"https://i.test/roles":[],"n":{},"ok":""}`, "", "", "", ""},
		{"lines", `{"sub":"ann\r\nX-Admin: 1","https://i.test/roles":["a\nb"],"n":"\u0000","ok":"\u007f"}`, "", "", "", ""},
		{"white space", `{"sub":" ann","https://i.test/roles":["a "],"n":"\t","ok":"true "}`, "", "", "", ""},
		{"elements that would be two", `{"sub":"a,b","https://i.test/roles":["user,admin"],"n":["a",["b"]],"ok":[{}]}`, "a,b", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, newJWT(t, JWTOptions{Keys: keysOf(t, i.set(t)), Fields: rules}))
			token := sign(t, jose.EdDSA, i.ed, "ed", c.claims)
			eachVersion(t, func(t *testing.T, v codec.Version) {
				for range 2 {
					b.requests = nil
					a := b.ask(v, "GET", "/", "X-User: root", "x-user: root", "X_User: root", "X.Roles: admin", "Authorization: Bearer "+token,
						"x-roles: admin", "X-Number: 0", "X-OK: forged")
					if a.status != 200 || len(b.requests) != 1 {
						t.Fatalf("%d %s", a.status, a.body)
					}
					var want []string
					for _, f := range [][2]string{{"X-User", c.user}, {"X-Roles", c.roles}, {"X-Number", c.number}, {"X-Ok", c.ok}} {
						if f[1] != "" {
							want = append(want, f[0]+": "+f[1])
						}
					}
					var got []string
					for _, line := range strings.Split(b.requests[0], "\r\n") {
						if name, _, _ := strings.Cut(line, ":"); len(name) > 2 && codec.EqualFold([]byte(name[:2]), "x-") || strings.ContainsAny(name, "_.") && !strings.Contains(name, " ") {
							if !strings.HasPrefix(name, "X-Forwarded") && name != "X-Request-Id" {
								got = append(got, line)
							}
						}
					}
					if strings.Join(got, "\n") != strings.Join(want, "\n") {
						t.Errorf("the server got %q, want %q", got, want)
					}
				}
			})
		})
	}
}

// A token is remembered until it expires, for some minutes at most, and not with other keys.
func TestTokensRemember(t *testing.T) {
	i := issuing()
	keys := keysOf(t, i.set(t))
	j := newJWT(t, JWTOptions{Keys: keys})
	b := newBed(t, j)
	now := tokenTestTime
	j.now = func() time.Time { return now }
	ask := func(token string) int { return b.ask(codec.HTTP11, "GET", "/", "Authorization: Bearer "+token).status }
	pass := func(d time.Duration) {
		b.advance(d)
		now = now.Add(d)
	}
	short := sign(t, jose.RS256, i.rsa, "rsa", jwt.Claims{Expiry: ago(-time.Minute)})
	if ask(short) != 200 {
		t.Fatal("a good token is refused")
	}
	pass(2*time.Minute - time.Second)
	if got := ask(short); got != 200 {
		t.Errorf("before its end, with the skew: %d", got)
	}
	pass(2 * time.Second)
	if got := ask(short); got != 401 {
		t.Errorf("at its end: %d", got)
	}
	long := sign(t, jose.RS256, i.rsa, "rsa", `{}`)
	if ask(long) != 200 {
		t.Fatal("a good token is refused")
	}
	if _, err := keys.use(i.set(t)); err != nil || ask(long) != 200 {
		t.Error("refused with the same keys")
	}
	only, err := json.Marshal(map[string]any{"keys": []jose.JSONWebKey{{KeyID: "rsa", Key: i.other.Public()}}})
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := keys.use(only); !changed || err != nil || ask(long) != 401 {
		t.Error("remembered although its key was taken back")
	}
}

// A token that is remembered costs no allocation, the fields made from it included.
func TestTokenAllocs(t *testing.T) {
	i := issuing()
	j := newJWT(t, JWTOptions{Keys: keysOf(t, i.set(t)), Fields: []ClaimField{{"sub", "X-User"}}})
	token := sign(t, jose.RS256, i.rsa, "rsa", `{"sub":"ann"}`)
	b := newBed(t, j)
	if b.ask(codec.HTTP11, "GET", "/", "Authorization: Bearer "+token).status != 200 {
		t.Fatal("a good token is refused")
	}
	eachVersion(t, func(t *testing.T, v codec.Version) {
		if n := allocs(t, v, "GET", "/", []string{"Authorization: Bearer " + token, "X-User: root"}, j); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// BenchmarkTokens is what verifying a token costs, with the JSON in it.
func BenchmarkTokens(b *testing.B) {
	i := issuing()
	set := keysOf(b, i.set(b)).set.Load()
	secret, err := secretSet([]byte(strings.Repeat("s", 64)))
	if err != nil {
		b.Fatal(err)
	}
	var rules tokenRules
	for _, c := range []struct {
		algorithm jose.SignatureAlgorithm
		key       any
		id        string
		set       *keySet
	}{{jose.HS256, []byte(strings.Repeat("s", 64)), "", secret}, {jose.RS256, i.rsa, "rsa", set}, {jose.ES256, i.p256, "p256", set},
		{jose.ES384, i.p384, "p384", set}, {jose.ES512, i.p521, "p521", set}, {jose.EdDSA, i.ed, "ed", set}} {
		token := sign(b, c.algorithm, c.key, c.id, jwt.Claims{Subject: "ann", Expiry: ago(-time.Hour)})
		b.Run(string(c.algorithm), func(b *testing.B) {
			for b.Loop() {
				if _, _, fault := rules.verify(token, c.set, tokenTestTime); fault != tokenGood {
					b.Fatal(fault)
				}
			}
		})
	}
}
