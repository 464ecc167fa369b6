package certs

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// responder answers OCSP requests as the test says.
type responder struct {
	b      *bed
	url    string
	asked  int
	answer func() ocsp.Response
	fault  bool // answers 500
}

func (b *bed) responder() *responder {
	r := &responder{b: b}
	server := httptest.NewServer(r)
	b.Cleanup(server.Close)
	r.url = server.URL
	r.answer = func() ocsp.Response {
		return ocsp.Response{Status: ocsp.Good, ThisUpdate: b.clock.Add(-time.Hour), NextUpdate: b.clock.Add(10 * time.Hour)}
	}
	return r
}

func (r *responder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.asked++
	der, _ := io.ReadAll(request.Body)
	ask, err := ocsp.ParseRequest(der)
	if err != nil || r.fault {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	answer := r.answer()
	if answer.SerialNumber == nil {
		answer.SerialNumber = ask.SerialNumber
	}
	der, err = ocsp.CreateResponse(r.b.ca.Cert, r.b.ca.Cert, answer, r.b.ca.Key)
	if err != nil {
		r.b.Error(err)
	}
	_, _ = w.Write(der)
}

// mustStaple writes a certificate that must have a response of this responder.
func (b *bed) mustStaple(name, url string, issuer bool) (certFile, keyFile string) {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	certPEM, keyPEM := b.ca.Issue(key, func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: tlsFeature, Value: []byte{0x30, 3, 2, 1, statusRequest}}}
		if url != "" {
			c.OCSPServer = []string{url}
		}
	}, name)
	if issuer {
		certPEM = slices.Concat(certPEM, b.ca.PEM)
	}
	return b.file(name+".crt", string(certPEM)), b.file(name+".key", string(keyPEM))
}

// staple is the response that a client gets; nil without one.
func (b *bed) staple(s *Server, name string) []byte {
	b.Helper()
	state, err := b.handshake(s.Config(), b.client(name))
	if err != nil {
		b.Fatal(err)
	}
	return state.OCSPResponse
}

func TestStaple(t *testing.T) {
	b := newBed(t)
	r := b.responder()
	var fetched []bool
	b.keeper.fetched = func(ok bool) { fetched = append(fetched, ok) }
	c := settings(b.mustStaple("a.test", r.url, true))
	s := b.server(c)
	look := func(want bool, wantAsked int, wait time.Duration) []byte {
		t.Helper()
		if got := b.keeper.staple(t.Context()); got > wait || got < wait-time.Minute {
			t.Errorf("looks again after %v, want %v", got, wait)
		}
		got := b.staple(s, "a.test")
		if (got != nil) != want || r.asked != wantAsked {
			t.Fatalf("stapled %v after %d requests, want %v after %d", got != nil, r.asked, want, wantAsked)
		}
		if got != nil {
			if _, err := ocsp.ParseResponseForCert(got, s.loaded.pairs[0].leaf, b.ca.Cert); err != nil {
				t.Fatal(err)
			}
		}
		return got
	}
	r.fault = true
	look(false, 1, fetchAgain)
	r.fault = false
	look(false, 1, fetchAgain) // not yet
	b.clock = b.clock.Add(fetchAgain)
	first := look(true, 2, lookAgain)
	s = b.server(c) // another configuration has it from the first handshake on
	if string(b.staple(s, "a.test")) != string(first) {
		t.Error("another configuration lost the response")
	}
	b.clock = b.clock.Add(5*time.Hour - time.Minute)
	look(true, 2, time.Minute)
	b.clock = b.clock.Add(time.Minute) // half of its time
	r.fault = true
	look(true, 3, fetchAgain) // the one before is still good
	b.clock = b.clock.Add(5 * time.Hour)
	look(false, 4, fetchAgain)
	r.fault = false
	b.clock = b.clock.Add(fetchAgain)
	look(true, 5, lookAgain)
	if want := []bool{false, true, false, false, true}; !slices.Equal(fetched, want) {
		t.Errorf("counted %v, want %v", fetched, want)
	}
	s = b.server(settings(b.write("b.test")))
	if b.keeper.staple(t.Context()); len(b.keeper.staples) != 0 || r.asked != 5 {
		t.Error("the response of a certificate that nobody has any more is kept, or one is fetched that nobody asked for")
	}
}

// TestBadResponses are never stapled.
func TestBadResponses(t *testing.T) {
	b := newBed(t)
	r := b.responder()
	s := b.server(settings(b.mustStaple("a.test", r.url, true)))
	for i, bad := range []ocsp.Response{
		{Status: ocsp.Revoked, ThisUpdate: b.clock, NextUpdate: b.clock.Add(time.Hour), RevokedAt: b.clock},
		{Status: ocsp.Unknown, ThisUpdate: b.clock, NextUpdate: b.clock.Add(time.Hour)},
		{Status: ocsp.Good, ThisUpdate: b.clock.Add(-2 * time.Hour), NextUpdate: b.clock.Add(-time.Hour)},
		{Status: ocsp.Good, ThisUpdate: b.clock.Add(time.Hour), NextUpdate: b.clock.Add(2 * time.Hour)},
		{Status: ocsp.Good, ThisUpdate: b.clock, NextUpdate: b.clock.Add(time.Hour), SerialNumber: big.NewInt(7)},
	} {
		r.answer = func() ocsp.Response { return bad }
		b.keeper.staple(t.Context())
		if b.staple(s, "a.test") != nil || r.asked != i+1 {
			t.Errorf("response %d is stapled, or was not asked for", i)
		}
		clear(b.keeper.staples)
	}
	r.answer = func() ocsp.Response { return ocsp.Response{Status: ocsp.Good, ThisUpdate: b.clock} }
	if b.keeper.staple(t.Context()); b.staple(s, "a.test") == nil {
		t.Error("a good response that does not say until when is not stapled")
	}
}

// TestNobodyToAsk has certificates that must have a response, and do not say enough to get one.
func TestNobodyToAsk(t *testing.T) {
	b := newBed(t)
	r := b.responder()
	c := settings(b.mustStaple("a.test", "", true))
	c.Certificates = append(c.Certificates, further(b.mustStaple("b.test", r.url, false)))
	s := b.server(c)
	if wait := b.keeper.staple(t.Context()); wait != lookAgain || r.asked != 0 {
		t.Errorf("asked %d times, looks again after %v", r.asked, wait)
	}
	got := s.Warnings(b.clock)
	if len(got) != 2 || !strings.Contains(got[0], "a.test.crt must have an OCSP response") || !strings.Contains(got[1], "b.test.crt must") {
		t.Errorf("warnings %q", got)
	}
}

// TestRun has the goroutine fetch a response and end.
func TestRun(t *testing.T) {
	b := newBed(t)
	r := b.responder()
	fetched := make(chan bool, 1)
	b.keeper.fetched = func(ok bool) { fetched <- ok }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.keeper.Run(ctx)
	}()
	s := b.server(settings(b.mustStaple("a.test", r.url, true)))
	if !<-fetched {
		t.Error("no response was fetched")
	}
	for deadline := time.Now().Add(20 * time.Second); b.staple(s, "a.test") == nil; {
		if time.Now().After(deadline) {
			t.Fatal("no response is stapled")
		}
	}
	cancel()
	<-ended
}
