package certs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/crypto/ocsp"
)

const (
	// fetchTimeout is how long an OCSP responder may take.
	fetchTimeout = 10 * time.Second
	// fetchAgain is the time until the next attempt after one that failed.
	fetchAgain = 5 * time.Minute
	// lookAgain is the longest time until staples are looked at; when a response does not say how long it is good, the time
	// until the next is fetched.
	lookAgain = time.Hour
	// maxResponse is the largest OCSP response that is read, in bytes.
	maxResponse = 64 << 10
)

// staple is the OCSP response of one certificate. Keeper.mu guards it.
type staple struct {
	response []byte    // nil: there is none
	until    time.Time // when it is no longer good
	due      time.Time // when to fetch another
}

// stapled gives a certificate the response that is known, if there is a good one.
func (k *Keeper) stapled(p *pair) {
	if !p.mustStaple {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.staples[sha256.Sum256(p.leaf.Raw)]; s != nil && k.now().Before(s.until) {
		p.attach(s.response)
	}
}

// attach makes handshakes staple this response; nil: none.
func (p *pair) attach(response []byte) {
	c := *p.cert.Load()
	if bytes.Equal(c.OCSPStaple, response) {
		return
	}
	c.OCSPStaple = response
	p.cert.Store(&c)
}

// staple fetches the responses that are due, and takes off those that are no longer good. It returns when to look again.
func (k *Keeper) staple(ctx context.Context) time.Duration {
	wait := lookAgain
	seen := map[sum]bool{}
	for _, p := range k.toStaple() {
		key := sha256.Sum256(p.leaf.Raw)
		k.mu.Lock()
		s := k.staples[key]
		if s == nil {
			s = &staple{}
			k.staples[key] = s
		}
		due := s.due
		k.mu.Unlock()
		if !seen[key] && !k.now().Before(due) {
			due = k.renew(ctx, p, s)
		}
		seen[key] = true
		k.mu.Lock()
		if !k.now().Before(s.until) {
			s.response = nil
		}
		p.attach(s.response)
		k.mu.Unlock()
		wait = min(wait, due.Sub(k.now()))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for key := range k.staples {
		if !seen[key] {
			delete(k.staples, key)
		}
	}
	return max(wait, time.Second)
}

// toStaple are the certificates in force that need a response and say where to get it.
func (k *Keeper) toStaple() (all []*pair) {
	k.mu.Lock()
	servers := k.servers
	k.mu.Unlock()
	for _, s := range servers {
		s.mu.Lock()
		for _, p := range s.loaded.pairs {
			if p.mustStaple && len(p.leaf.OCSPServer) > 0 && p.issuer() != nil {
				all = append(all, p)
			}
		}
		s.mu.Unlock()
	}
	return all
}

// renew fetches a response and returns when the next is due.
func (k *Keeper) renew(ctx context.Context, p *pair, s *staple) time.Time {
	der, r, err := k.fetch(ctx, p)
	if ctx.Err() != nil {
		return k.now().Add(fetchAgain)
	}
	if k.fetched != nil {
		k.fetched(err == nil)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if err != nil {
		s.due = now.Add(fetchAgain)
		k.logger.Warn("no OCSP response for a certificate that must have one", "file", p.certFile, "error", err,
			"kept_until", s.until.Format(time.DateTime))
		return s.due
	}
	s.response, s.until, s.due = der, r.NextUpdate, now.Add(r.NextUpdate.Sub(now)/2)
	return s.due
}

// fetch asks the certificate's responder whether it is good.
func (k *Keeper) fetch(ctx context.Context, p *pair) ([]byte, *ocsp.Response, error) {
	issuer := p.issuer()
	ask, err := ocsp.CreateRequest(p.leaf, issuer, nil)
	if err != nil {
		return nil, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.leaf.OCSPServer[0], bytes.NewReader(ask))
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Content-Type", "application/ocsp-request")
	answer, err := k.http.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s answered %s", p.leaf.OCSPServer[0], answer.Status)
	}
	der, err := io.ReadAll(io.LimitReader(answer.Body, maxResponse))
	if err != nil {
		return nil, nil, err
	}
	r, err := checkResponse(der, p.leaf, issuer, k.now())
	return der, r, err
}

// checkResponse refuses a response that clients would not take. One that does not say until when it is good counts as
// good for as long as two fetches are apart.
func checkResponse(der []byte, leaf, issuer *x509.Certificate, now time.Time) (*ocsp.Response, error) {
	r, err := ocsp.ParseResponseForCert(der, leaf, issuer)
	if err != nil {
		return nil, err
	}
	if r.NextUpdate.IsZero() {
		r.NextUpdate = now.Add(2 * lookAgain)
	}
	switch {
	case r.Status != ocsp.Good:
		return nil, errors.New("the certificate is revoked, or the responder does not know it")
	case now.Add(time.Minute).Before(r.ThisUpdate):
		return nil, fmt.Errorf("the response is good from %s only", r.ThisUpdate.Format(time.DateTime))
	case !now.Before(r.NextUpdate):
		return nil, fmt.Errorf("the response was good until %s", r.NextUpdate.Format(time.DateTime))
	}
	return r, nil
}
