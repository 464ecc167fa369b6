package mw

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"traffic_management/codec"
)

// basic is a filter for the users ann, with bcrypt, bob and zoë, with SHA-1; all have the password "secret".
func basic(t testing.TB, change func(*BasicAuthOptions)) *BasicAuth {
	t.Helper()
	const sha = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="
	o := BasicAuthOptions{Users: []string{"ann:" + bcryptOf(t, "secret"), "bob:" + sha, "zoë:" + sha}, Realm: "here",
		Passwords: NewPasswords()}
	if change != nil {
		change(&o)
	}
	b, err := NewBasicAuth(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func encoded(pair string) string { return base64.StdEncoding.EncodeToString([]byte(pair)) }

func TestBasicAuth(t *testing.T) {
	const yes, no = 200, 401
	field := func(value string) []string { return []string{"Authorization: " + value} }
	quick := basic(t, func(o *BasicAuthOptions) { o.Users = append(o.Users[1:], "ann:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/") })
	for _, c := range []struct {
		name   string
		fields []string
		want   int
	}{
		{"apr1", field("Basic " + encoded("ann:secret")), yes},
		{"SHA-1", field("Basic " + encoded("bob:secret")), yes},
		{"UTF-8", field("Basic " + encoded("zoë:secret")), yes},
		{"scheme in another case", field("bASIC " + encoded("bob:secret")), yes},
		{"more space", field("Basic   " + encoded("bob:secret")), yes},
		{"no field", nil, no},
		{"empty field", field(""), no},
		{"no credentials", field("Basic"), no},
		{"a space only", field("Basic "), no},
		{"another scheme", field("Bearer " + encoded("bob:secret")), no},
		{"scheme that begins alike", field("Basicx " + encoded("bob:secret")), no},
		{"wrong password", field("Basic " + encoded("ann:Secret")), no},
		{"password with more", field("Basic " + encoded("bob:secret ")), no},
		{"no password", field("Basic " + encoded("ann:")), no},
		{"no colon", field("Basic " + encoded("annsecret")), no},
		{"nobody", field("Basic " + encoded("eve:secret")), no},
		{"no name", field("Basic " + encoded(":secret")), no},
		{"name in another case", field("Basic " + encoded("Ann:secret")), no},
		{"not base64", field("Basic ann:secret"), no},
		{"not padded", field("Basic " + strings.TrimRight(encoded("ann:secret"), "=")), no},
		{"of URLs", field("Basic " + base64.URLEncoding.EncodeToString([]byte("bob:??>>"))), no},
		{"something behind", field("Basic " + encoded("bob:secret") + " x"), no},
		{"a second one behind", field("Basic " + encoded("bob:secret") + ", Basic " + encoded("bob:secret")), no},
		{"control character", field("Basic " + encoded("bob:sec\x00ret")), no},
		{"line break", field("Basic " + encoded("bob:secret\n")), no},
		{"the hash itself", field("Basic " + encoded("bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=")), no},
		{"largest", field("Basic " + encoded("bob:"+strings.Repeat("x", 764))), no},
		{"too large", field("Basic " + encoded("bob:"+strings.Repeat("x", 767))), 400},
		{"two fields", append(field("Basic "+encoded("bob:secret")), field("Basic "+encoded("bob:secret"))...), 400},
		{"two fields, one empty", append(field(""), field("Basic "+encoded("bob:secret"))...), 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, v codec.Version) {
				b := newBed(t, quick)
				for range 2 { // the second time from memory, where it is right
					a := b.ask(v, "GET", "/", c.fields...)
					if a.status != c.want || a.logged != c.want {
						t.Fatalf("%d %s, want %d", a.status, a.body, c.want)
					}
					want := ""
					if c.want == no {
						want = `Basic realm="here", charset="UTF-8"`
					}
					if got := a.field("WWW-Authenticate"); got != want {
						t.Errorf("the challenge is %q, want %q", got, want)
					}
				}
				if asked := len(b.requests) > 0; asked != (c.want == yes) {
					t.Errorf("the server was asked: %v", asked)
				}
			})
		})
	}
}

// The content of a request waits with it.
func TestBasicAuthHoldsContent(t *testing.T) {
	eachVersion(t, func(t *testing.T, v codec.Version) {
		b := newBed(t, basic(t, nil))
		c := b.begin(v, "PUT", "/", 7, "Authorization: Basic "+encoded("ann:secret"))
		c.send("content", true)
		b.await("the exchange is over", func() bool { return c.over })
		if c.status != 200 || len(b.requests) != 1 || !strings.HasSuffix(b.requests[0], "\r\n\r\ncontent") {
			t.Errorf("%d, the server got %q", c.status, b.requests)
		}
		c = b.begin(v, "PUT", "/", 7, "Authorization: Basic "+encoded("ann:wrong"))
		b.await("the exchange is over", func() bool { return c.over })
		if c.status != 401 || len(b.requests) != 1 {
			t.Errorf("%d, the server got %q", c.status, b.requests)
		}
	})
}

func TestBasicAuthHeader(t *testing.T) {
	for _, removed := range []bool{false, true} {
		b := newBed(t, basic(t, func(o *BasicAuthOptions) { o.RemoveHeader = removed }))
		var got []string
		b.answer = func(r *http.Request) string {
			got = append(got, r.Header.Get("Authorization"))
			return bedAnswer
		}
		value := "Basic " + encoded("bob:secret")
		for range 2 { // the second time from memory
			b.ask(codec.HTTP11, "GET", "/", "Authorization: "+value)
		}
		want := map[bool]string{false: value, true: ""}[removed]
		if len(got) != 2 || got[0] != want || got[1] != want {
			t.Errorf("the server got %q with remove_header %v", got, removed)
		}
	}
}

func TestBasicAuthRealm(t *testing.T) {
	b := newBed(t, basic(t, func(o *BasicAuthOptions) { o.Realm = `a "b\"` }))
	if got := b.ask(codec.HTTP11, "GET", "/").field("WWW-Authenticate"); got != `Basic realm="a \"b\\\"", charset="UTF-8"` {
		t.Error(got)
	}
}

// What was found right is remembered for a time, and for what it was compared with.
func TestPasswordsRemember(t *testing.T) {
	p := NewPasswords()
	hash := bcryptOf(t, "secret")
	b := newBed(t, basic(t, func(o *BasicAuthOptions) { o.Passwords, o.Users = p, []string{"ann:" + hash} }))
	ask := func() int {
		return b.ask(codec.HTTP11, "GET", "/", "Authorization: Basic "+encoded("ann:secret")).status
	}
	remembered := func(pair, hash string) bool {
		name := p.name([]byte(pair), hash)
		return p.right.find(&name, b.loop.Now()) != nil
	}
	if ask() != 200 || !remembered("ann:secret", hash) {
		t.Fatal("not remembered")
	}
	if remembered("ann:secret", bcryptOf(t, "secret")) || remembered("ann:secretx", hash) || remembered("bob:secret", hash) {
		t.Error("something else is remembered")
	}
	b.advance(passwordTime - time.Second)
	if !remembered("ann:secret", hash) {
		t.Error("forgotten too soon")
	}
	b.advance(2 * time.Second)
	if remembered("ann:secret", hash) {
		t.Error("remembered too long")
	}
	if ask() != 200 || !remembered("ann:secret", hash) {
		t.Error("not checked anew")
	}
	for range 3 {
		b.ask(codec.HTTP11, "GET", "/", "Authorization: Basic "+encoded("ann:wrong"))
	}
	if remembered("ann:wrong", hash) {
		t.Error("a wrong password is remembered")
	}
}

// A client that leaves is not told, and what was checked for it harms nobody.
func TestBasicAuthClientLeaves(t *testing.T) {
	f := basic(t, nil)
	b := newBed(t, f)
	c := b.begin(codec.HTTP11, "POST", "/", 7, "Authorization: Basic "+encoded("ann:secret"))
	c.leave()
	if !c.over || len(b.requests) != 0 {
		t.Fatalf("over %v, the server got %q", c.over, b.requests)
	}
	if got := b.ask(codec.HTTP11, "GET", "/", "Authorization: Basic "+encoded("bob:secret")); got.status != 200 {
		t.Errorf("the next one: %d", got.status)
	}
	b.await("places are given back", func() bool { return f.passwords.budget.taken.Load() == 0 })
}

// More checks at a time than there are places for are refused, and none is lost.
func TestBasicAuthBudget(t *testing.T) {
	f := basic(t, func(o *BasicAuthOptions) { o.Users = o.Users[1:] }) // whose checks take no time
	b := newBed(t, f)
	for range cap(f.passwords.budget.turns) {
		f.passwords.budget.turns <- struct{}{} // as though as many checks ran as may
	}
	var calls []*call
	for i := range maxWaiting + 1 {
		calls = append(calls, b.begin(codec.HTTP11, "GET", "/", 0, "Authorization: Basic "+encoded(fmt.Sprintf("bob:%d", i))))
	}
	last := calls[maxWaiting]
	if !last.over || last.status != 503 || last.field("Retry-After") == "" {
		t.Errorf("over all: %v, %d", last.over, last.status)
	}
	for range cap(f.passwords.budget.turns) {
		<-f.passwords.budget.turns
	}
	for i, c := range calls[:maxWaiting] {
		b.await("all are answered", func() bool { return c.over })
		if c.status != 401 {
			t.Errorf("%d: %d", i, c.status)
		}
	}
	b.await("places are given back", func() bool { return f.passwords.budget.taken.Load() == 0 })
}

func TestUsersFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := BasicAuthOptions{UsersFile: file, Passwords: NewPasswords()}
	if _, err := NewBasicAuth(o); !os.IsNotExist(err) {
		t.Errorf("without a file: %v", err)
	}
	write("ann\n")
	if _, err := NewBasicAuth(o); errorText(err) != file+": line 1: expected a user as name:hash, as htpasswd makes it" {
		t.Errorf("a bad file: %v", err)
	}
	write("ann:" + bcryptOf(t, "one") + "\n")
	f, err := NewBasicAuth(o)
	if err != nil {
		t.Fatal(err)
	}
	b := newBed(t, f)
	ask := func(pair string, want int) {
		t.Helper()
		if got := b.ask(codec.HTTP11, "GET", "/", "Authorization: Basic "+encoded(pair)); got.status != want {
			t.Errorf("%s: %d, want %d", pair, got.status, want)
		}
	}
	refresh := func(wantChanged bool, want string) {
		t.Helper()
		if changed, err := f.Refresh(); changed != wantChanged || errorText(err) != want {
			t.Errorf("refreshed: %v, %v; want %v, %s", changed, err, wantChanged, want)
		}
	}
	ask("ann:one", 200)
	refresh(false, "")
	write("ann:" + bcryptOf(t, "two") + "\nbob:" + bcryptOf(t, "two"))
	refresh(true, "")
	ask("ann:one", 401) // although it was right before
	ask("ann:two", 200)
	ask("bob:two", 200)
	write("garbage")
	refresh(false, file+": line 1: expected a user as name:hash, as htpasswd makes it")
	ask("ann:two", 200)
	write("bob:" + bcryptOf(t, "two"))
	refresh(true, "")
	ask("ann:two", 401)
}

// A password that is remembered costs no allocation.
func TestBasicAuthAllocs(t *testing.T) {
	f := basic(t, func(o *BasicAuthOptions) { o.RemoveHeader = true })
	right := f.passwords.name([]byte("ann:secret"), f.users.Load().byName["ann"].text)
	f.passwords.right.keep(&memo[struct{}]{name: right, until: 1 << 62})
	eachVersion(t, func(t *testing.T, v codec.Version) {
		if n := allocs(t, v, "GET", "/", []string{"Authorization: Basic " + encoded("ann:secret")}, f); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// The memory has room for a fixed number, and keeps what has more time left.
func TestMemory(t *testing.T) {
	var m memory[int]
	name := func(i byte) *digest { return &digest{0: 2 * (i % 2), 31: i} } // two neighbouring places for each of two groups
	for i := range byte(8) {
		m.keep(&memo[int]{name: *name(i), until: 10, value: int(i)})
		if f := m.find(name(i), 5); f == nil || f.value != int(i) {
			t.Fatalf("%d is not there", i)
		}
		if m.find(name(i), 10) != nil {
			t.Fatalf("%d is there too long", i)
		}
	}
	m.keep(&memo[int]{name: *name(0), until: 20, value: 100})
	m.keep(&memo[int]{name: *name(2), until: 15, value: 200})
	m.keep(&memo[int]{name: *name(4), until: 15, value: 400})
	if f := m.find(name(0), 12); f == nil || f.value != 100 {
		t.Error("what had more time left was given up")
	}
	if m.find(name(2), 12) != nil || m.find(name(4), 12) == nil {
		t.Error("what had less time left was kept")
	}
}
