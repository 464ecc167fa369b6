package mw

import (
	"bytes"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Bounds of a list of users.
const (
	maxUserName = 255
	maxUsers    = 100_000
	// maxBcryptCost is that of a second or so for one check; each further step doubles it.
	maxBcryptCost = 14
)

// hashKind is how a stored password was hashed.
type hashKind uint8

// Kinds, those that take longer behind.
const (
	hashSHA    hashKind = iota // {SHA}: SHA-1 without salt
	hashAPR1                   // $apr1$: 1000 rounds of MD5
	hashBcrypt                 // $2y$ and the like
)

func (k hashKind) String() string { return [...]string{"sha", "apr1", "bcrypt"}[k] }

// stored is a password as a file of users has it; immutable.
type stored struct {
	kind hashKind
	cost int    // of bcrypt
	text string // what follows the name
}

// slower reports whether a check takes longer than with another.
func (s stored) slower(than stored) bool {
	return s.kind > than.kind || s.kind == than.kind && s.cost > than.cost
}

// matches reports whether the password is the one that was hashed.
func (s stored) matches(password string) bool {
	switch s.kind {
	case hashBcrypt:
		return bcryptMatches(s.text, s.cost, password)
	case hashAPR1:
		return same(s.text, apr1(password, apr1Salt(s.text)))
	}
	sum := sha1.Sum([]byte(password))
	return same(s.text, shaPrefix+base64.StdEncoding.EncodeToString(sum[:]))
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

const shaPrefix = "{SHA}"

// errHash does not show what was given, which may be a password.
var errHash = errors.New("expected a password hashed with bcrypt ($2y$...), apr1 ($apr1$...) or SHA-1 ({SHA}...)")

func parseStored(text string) (stored, error) {
	switch {
	case strings.HasPrefix(text, "$2"):
		cost, err := bcrypt.Cost([]byte(text))
		if err != nil || len(text) != 60 || !isCryptText(text[7:]) {
			return stored{}, errors.New("not a hash of bcrypt")
		}
		if cost > maxBcryptCost {
			return stored{}, fmt.Errorf("a bcrypt cost of %d takes too long to check, expected at most %d", cost, maxBcryptCost)
		}
		return stored{hashBcrypt, cost, text}, nil
	case strings.HasPrefix(text, apr1Prefix):
		salt := apr1Salt(text)
		sum := strings.TrimPrefix(text[len(apr1Prefix)+len(salt):], "$")
		if salt == "" || len(salt) > 8 || len(sum) != 22 || !isCryptText(salt) || !isCryptText(sum) {
			return stored{}, errors.New("not a hash of apr1")
		}
		return stored{kind: hashAPR1, text: text}, nil
	case strings.HasPrefix(text, shaPrefix):
		sum, err := base64.StdEncoding.Strict().DecodeString(text[len(shaPrefix):])
		if err != nil || len(sum) != sha1.Size {
			return stored{}, errors.New("not a hash of SHA-1")
		}
		return stored{kind: hashSHA, text: text}, nil
	}
	return stored{}, errHash
}

func isCryptText(s string) bool { return strings.Trim(s, cryptAlphabet) == "" }

// users are names and passwords; immutable.
type users struct {
	byName  map[string]stored
	slowest stored // takes longest to check
	sum     digest // of the file
}

// check reports whether the password is the user's. It takes as long for a user who is not there as for those whose check
// takes longest, and for a wrong password no less. Not on a loop.
func (u *users) check(name, password string) bool {
	s, known := u.byName[name]
	if !known {
		s = u.slowest
	}
	ok := s.matches(password)
	if !ok && u.slowest.slower(s) {
		u.slowest.matches(password)
	}
	return ok && known
}

// add puts in the user of one line, "name:hash".
func (u *users) add(line string) error {
	name, hash, ok := strings.Cut(line, ":")
	switch {
	case !ok || name == "":
		return errors.New("expected a user as name:hash, as htpasswd makes it")
	case len(name) > maxUserName || hasControls(name):
		return fmt.Errorf("expected a name of at most %d bytes without control characters", maxUserName)
	case len(u.byName) == maxUsers:
		return fmt.Errorf("more than %d users", maxUsers)
	}
	if _, twice := u.byName[name]; twice {
		return fmt.Errorf("the user %q is there already", name)
	}
	s, err := parseStored(hash)
	if err != nil {
		return fmt.Errorf("user %q: %w", name, err)
	}
	u.byName[name] = s
	if s.slower(u.slowest) || len(u.byName) == 1 {
		u.slowest = s
	}
	return nil
}

// parseUsers reads a file of users as htpasswd writes it: a line for each; empty ones, and those that begin with "#", do
// not count.
func parseUsers(text []byte) (*users, error) {
	u := &users{byName: map[string]stored{}}
	for number := 1; len(text) > 0; number++ {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		text = rest
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue
		}
		if err := u.add(string(line)); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	if len(u.byName) == 0 {
		return nil, errors.New("no users")
	}
	return u, nil
}

// hasControls reports whether a text has what neither names nor passwords may have (RFC 7617 section 2).
func hasControls[S string | []byte](s S) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return true
		}
	}
	return false
}
