package mw

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// maxToken bounds tokens, as they are sent.
const maxToken = 8 << 10

var errNoKeys = errors.New("the keys of tokens could not be fetched yet")

// JWTOptions are those of NewJWT.
type JWTOptions struct {
	Keys     *Keys
	Issuer   string // that tokens must name; empty: any
	Audience string // that tokens must name, among others or not; empty: any
	Fields   []ClaimField
}

// JWT is a filter that lets requests through which bring a JSON Web Token that a key is known for (RFC 7519, RFC 6750).
// Others get 401. Of Fields the server is told what the token says, and never what the client does.
//
// Signatures are verified beside the loops. A token that was good is remembered until it expires, five minutes at most, and
// not longer than the keys stay the same.
type JWT struct {
	// Immutable:
	keys   *Keys
	rules  tokenRules
	budget *budget
	now    func() time.Time // by the calendar; called beside the loops
	absent *denial
	faults [tokenFaults]*denial
	twice  *denial
	large  *denial
	noKeys *denial

	known memory[*verified]
}

// NewJWT makes the filter.
func NewJWT(o JWTOptions) *JWT {
	j := &JWT{keys: o.Keys, budget: newBudget(), now: time.Now,
		rules:  tokenRules{issuer: o.Issuer, audience: o.Audience, fields: o.Fields},
		absent: &denial{refusal(401, "there is no token"), []codec.Field{challenge("Bearer")}},
		twice:  bearer(400, "invalid_request", "more than one Authorization field"),
		large:  bearer(400, "invalid_request", "the token is larger than 8 kB"),
		noKeys: &denial{err: &codec.Error{Side: codec.Internal, Kind: codec.KindNoTarget, Status: 503,
			Cause: errNoKeys}},
	}
	for f := tokenMalformed; f < tokenFaults; f++ {
		j.faults[f] = bearer(401, "invalid_token", f.String())
	}
	return j
}

// bearer is a denial with a reason for the client (RFC 6750 section 3).
func bearer(status int, code, why string) *denial {
	return &denial{refusal(status, why), []codec.Field{challenge(`Bearer error="` + code + `", error_description="` + why + `"`)}}
}

// Files are the paths of what Refresh reads.
func (j *JWT) Files() []string { return j.keys.Files() }

// Refresh is that of the keys.
func (j *JWT) Refresh() (changed bool, err error) { return j.keys.Refresh() }

// Request is the exchange.Filter's.
func (j *JWT) Request(x *exchange.Exchange) exchange.Verdict {
	token, found := credentials(&x.RequestHead, "Bearer")
	switch {
	case found == authNone, found == authOther:
		return j.absent.refuse(x)
	case found == authTwice:
		return j.twice.refuse(x)
	case found == authMalformed:
		return j.faults[tokenMalformed].refuse(x)
	case len(token) > maxToken:
		return j.large.refuse(x)
	}
	name := digest(sha256.Sum256(token))
	if m := j.known.find(&name, x.Local().Loop.Now()); m != nil && m.value.set == j.keys.set.Load() {
		return j.pass(x, m.value)
	}
	return j.check(x, name, string(token))
}

// pass tells the server what the token says.
func (j *JWT) pass(x *exchange.Exchange, v *verified) exchange.Verdict {
	for i := range v.fields {
		x.SetField(v.fields[i])
	}
	return exchange.Next
}

// outcome is what came of a check.
type outcome struct {
	verified *verified
	fault    tokenFault
}

// check has a token verified, which the request waits for.
func (j *JWT) check(x *exchange.Exchange, name digest, token string) exchange.Verdict {
	if !j.budget.enter() {
		return tooManyChecks.refuse(x)
	}
	loop := x.Local().Loop
	work := func(ctx context.Context) (outcome, error) { return j.work(ctx, token) }
	x.SetState(exchange.Go(x, work, func(o outcome, err error) {
		switch {
		case err == errNoKeys:
			x.Resume(j.noKeys.refuse(x))
		case err != nil:
			x.Resume(tooManyChecks.refuse(x))
		case o.fault != tokenGood:
			x.Resume(j.faults[o.fault].refuse(x))
		default:
			j.known.keep(&memo[*verified]{name: name, until: loop.Now().Add(o.verified.good), value: o.verified})
			x.Resume(j.pass(x, o.verified))
		}
	}))
	return exchange.Wait
}

// work verifies a token, with other keys when those at hand have not the one it names. It has a place of the budget, which
// it gives back.
func (j *JWT) work(ctx context.Context, token string) (o outcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, longestWait)
	defer cancel()
	before := j.keys.set.Load()
	missing := ""
	if before != nil {
		o, missing, err = j.turn(ctx, token, before)
	} else {
		j.budget.leave()
	}
	if err != nil || before != nil && (o.fault != tokenKey || missing == "") {
		return o, err
	}
	j.keys.await(ctx) // without a place: a fetch that takes long keeps nobody from being verified
	after := j.keys.set.Load()
	switch {
	case after == nil:
		return o, errNoKeys
	case after == before:
		return o, nil
	case !j.budget.enter():
		return o, errBusy
	}
	o, _, err = j.turn(ctx, token, after)
	return o, err
}

// turn verifies a token when it is its turn, and gives back the place. missing is the name of a key that is not there.
func (j *JWT) turn(ctx context.Context, token string, set *keySet) (o outcome, missing string, err error) {
	defer j.budget.leave()
	var name string
	verify := func() { o.verified, name, o.fault = j.rules.verify(token, set, j.now()) }
	if !j.budget.run(ctx, verify) {
		return o, "", errBusy
	}
	if o.fault == tokenKey {
		missing = name
	}
	return o, missing, nil
}

// Done is the exchange.Ender's: a check that still runs has nobody to be told.
func (j *JWT) Done(x *exchange.Exchange) { cancelCheck(x) }
