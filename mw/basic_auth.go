package mw

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

const (
	// maxBasic bounds credentials, as they are sent.
	maxBasic = 1024
	// passwordTime is how long a password that was found right need not be checked again.
	passwordTime = 5 * time.Minute
	// maxUsersFile bounds a file of users, in bytes.
	maxUsersFile = 16 << 20
)

// Passwords checks passwords beside the loops, few at a time, and remembers for five minutes those that were right, so
// that a client who sends one with each request has it checked once. It keeps no password, but a hash with a key of its
// own, of it and what it was compared with: one that was changed is checked anew. There is one for all filters, over
// configurations. Any goroutine.
type Passwords struct {
	key    [32]byte
	right  memory[struct{}]
	budget *budget
}

// NewPasswords makes an empty one.
func NewPasswords() *Passwords {
	p := &Passwords{budget: newBudget()}
	rand.Read(p.key[:])
	return p
}

// name is what the memory has credentials under, with what they are compared with.
func (p *Passwords) name(credentials []byte, hash string) digest {
	var text [32 + maxBasic + 128]byte // as long as credentials and hashes can be
	n := copy(text[:], p.key[:])
	n += copy(text[n:], hash) // which has no zeros
	n++
	n += copy(text[n:], credentials)
	return sha256.Sum256(text[:n])
}

// BasicAuthOptions are those of NewBasicAuth. Users or UsersFile is given.
type BasicAuthOptions struct {
	Users        []string // lines of htpasswd, "name:hash"
	UsersFile    string   // path of a file of such lines
	Realm        string   // of the challenge, without control characters
	RemoveHeader bool     // the server is not shown the Authorization field
	Passwords    *Passwords
}

// UserError is what is wrong with one of BasicAuthOptions.Users. It does not show the hash.
type UserError struct {
	Index int
	Err   error
}

func (e *UserError) Error() string { return fmt.Sprintf("user %d: %v", e.Index+1, e.Err) }

// Unwrap is what is wrong.
func (e *UserError) Unwrap() error { return e.Err }

// BasicAuth is a filter that lets those through who send the name and password of a user (RFC 7617). Others get 401.
type BasicAuth struct {
	// Immutable:
	file         string
	removeHeader bool
	passwords    *Passwords
	unknown      *denial // 401
	tooMuch      *denial // 400, like twice
	twice        *denial

	users atomic.Pointer[users]
}

// NewBasicAuth makes the filter. The error says which user, or which line of the file, is wrong.
func NewBasicAuth(o BasicAuthOptions) (*BasicAuth, error) {
	realm := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(o.Realm)
	b := &BasicAuth{
		file:         o.UsersFile,
		removeHeader: o.RemoveHeader,
		passwords:    o.Passwords,
		unknown: &denial{refusal(401, "no user with this password"),
			[]codec.Field{challenge(`Basic realm="` + realm + `", charset="UTF-8"`)}},
		tooMuch: &denial{err: refusal(400, "the credentials are longer than any user's can be")},
		twice:   &denial{err: refusal(400, "more than one Authorization field")},
	}
	if b.file != "" {
		_, err := b.Refresh()
		return b, err
	}
	u := &users{byName: map[string]stored{}}
	for i, line := range o.Users {
		if err := u.add(line); err != nil {
			return nil, &UserError{i, err}
		}
	}
	b.users.Store(u)
	return b, nil
}

// Files are the paths of what Refresh reads.
func (b *BasicAuth) Files() []string {
	if b.file == "" {
		return nil
	}
	return []string{b.file}
}

// Refresh reads the file of users anew. What is wrong with it leaves the users as they were. changed says that they are
// others. It is called by one goroutine at a time, never a loop's.
func (b *BasicAuth) Refresh() (changed bool, err error) {
	if b.file == "" {
		return false, nil
	}
	text, err := readFile(b.file, maxUsersFile)
	if err != nil {
		return false, err
	}
	sum := sha256.Sum256(text)
	before := b.users.Load()
	if before != nil && before.sum == sum {
		return false, nil
	}
	u, err := parseUsers(text)
	if err != nil {
		return false, fmt.Errorf("%s: %w", b.file, err)
	}
	u.sum = sum
	b.users.Store(u)
	return true, nil
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s: larger than %d bytes", path, limit)
	}
	return text, err
}

// Request is the exchange.Filter's.
func (b *BasicAuth) Request(x *exchange.Exchange) exchange.Verdict {
	given, found := credentials(&x.RequestHead, "Basic")
	switch {
	case found == authTwice:
		return b.twice.refuse(x)
	case found != authGiven:
		return b.unknown.refuse(x)
	case len(given) > maxBasic:
		return b.tooMuch.refuse(x)
	}
	var pair [maxBasic]byte
	n, err := base64.StdEncoding.Decode(pair[:], given)
	name, password, ok := bytes.Cut(pair[:n], []byte(":"))
	if err != nil || !ok || hasControls(pair[:n]) {
		return b.unknown.refuse(x)
	}
	u := b.users.Load()
	if hash, known := u.byName[string(name)]; known {
		right := b.passwords.name(pair[:n], hash.text)
		if b.passwords.right.find(&right, x.Local().Loop.Now()) != nil {
			return b.pass(x)
		}
	}
	return b.check(x, u, string(name), string(password))
}

func (b *BasicAuth) pass(x *exchange.Exchange) exchange.Verdict {
	if b.removeHeader {
		x.RequestHead.Remove(codec.FieldAuthorization)
	}
	return exchange.Next
}

// check has a password checked, which the request waits for.
func (b *BasicAuth) check(x *exchange.Exchange, u *users, name, password string) exchange.Verdict {
	p := b.passwords
	if !p.budget.enter() {
		return tooManyChecks.refuse(x)
	}
	loop := x.Local().Loop
	work := func(ctx context.Context) (right bool, err error) {
		defer p.budget.leave()
		ctx, cancel := context.WithTimeout(ctx, longestWait)
		defer cancel()
		if !p.budget.run(ctx, func() { right = u.check(name, password) }) {
			return false, errBusy
		}
		return right, nil
	}
	x.SetState(exchange.Go(x, work, func(right bool, err error) {
		switch {
		case err != nil:
			x.Resume(tooManyChecks.refuse(x))
		case !right:
			x.Resume(b.unknown.refuse(x))
		default:
			p.right.keep(&memo[struct{}]{name: p.name([]byte(name+":"+password), u.byName[name].text),
				until: loop.Now().Add(passwordTime)})
			x.Resume(b.pass(x))
		}
	}))
	return exchange.Wait
}

// Done is the exchange.Ender's: a check that still runs has nobody to be told.
func (b *BasicAuth) Done(x *exchange.Exchange) { cancelCheck(x) }

func cancelCheck(x *exchange.Exchange) {
	if job, ok := x.State().(*reactor.Job); ok {
		job.Cancel()
	}
}
