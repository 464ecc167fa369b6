package mw

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// TestBcrypt holds the comparison to that of golang.org/x/crypto/bcrypt.
func TestBcrypt(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	passwords := []string{"", "a", "secret", "Ünïcödé", "\xff\x00\xfe", strings.Repeat("x", 72)}
	for range 10 {
		b := make([]byte, rnd.IntN(73))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		passwords = append(passwords, string(b))
	}
	for _, p := range passwords {
		cost := bcrypt.MinCost + rnd.IntN(2)
		hash, err := bcrypt.GenerateFromPassword([]byte(p), cost)
		if err != nil {
			t.Fatal(err)
		}
		s, err := parseStored(string(hash))
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []string{p, p + "x", strings.ToUpper(p) + "\x00", "secret", strings.Repeat("x", 73), strings.Repeat("x", 100)} {
			want := bcrypt.CompareHashAndPassword(hash, []byte(other)) == nil
			if got := s.matches(other); got != want {
				t.Errorf("%q against the hash of %q, %s: %v, expected %v", other, p, hash, got, want)
			}
		}
	}
}

// TestBcryptKnown are hashes of the tests of crypt_blowfish.
func TestBcryptKnown(t *testing.T) {
	for hash, password := range map[string]string{
		"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW": "U*U",
		"$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a": "U*U*U",
		"$2y$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq": "\xa3",
	} {
		s, err := parseStored(hash)
		if err != nil || !s.matches(password) || s.matches(password+"x") {
			t.Errorf("%s: %v", hash, err)
		}
	}
}

// TestBcryptLetsOthersRun holds that who wants the processor while a password is checked gets it again and again.
func TestBcryptLetsOthersRun(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const cost = 8
	s, err := parseStored("$2a$08$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")
	if err != nil {
		t.Fatal(err)
	}
	var over atomic.Bool
	turns := make(chan int)
	go func() {
		n := 0
		for ; !over.Load(); n++ {
			runtime.Gosched()
		}
		turns <- n
	}()
	s.matches("U*U")
	over.Store(true)
	if n := <-turns; n < 1<<cost/bcryptRounds/2 { // some are the runtime's own
		t.Errorf("%d turns", n)
	}
}
