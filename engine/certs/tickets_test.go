package certs

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"traffic_management/config"
)

// wallet is the sessions of a client, of which it offers the last whatever name it asks for.
type wallet struct{ last *tls.ClientSessionState }

func (w *wallet) Get(string) (*tls.ClientSessionState, bool) { return w.last, w.last != nil }

func (w *wallet) Put(_ string, s *tls.ClientSessionState) { w.last = s }

// resumes makes a handshake with what is in the wallet and reports whether the session went on.
func (b *bed) resumes(s *Server, w *wallet, name string, shown ...tls.Certificate) bool {
	b.Helper()
	client := b.client(name)
	client.InsecureSkipVerify, client.ClientSessionCache, client.Certificates, client.Time = true, w, shown, func() time.Time { return b.clock }
	state, err := b.handshake(s.Config(), client)
	if err != nil {
		b.Fatalf("%s: %v", name, err)
	}
	return state.DidResume
}

// TestSessionsGoOn over what does not change them: other certificates, another configuration, another process.
func TestSessionsGoOn(t *testing.T) {
	b := newBed(t)
	c := settings(b.write("a.test"))
	s, w := b.server(c), new(wallet)
	if b.resumes(s, w, "a.test") || !b.resumes(s, w, "a.test") {
		t.Fatal("a session is resumed the second time, and not the first")
	}
	b.write("a.test")
	if changed, faults := s.Refresh(); !changed || len(faults) > 0 {
		t.Fatal("the new certificate was not taken", faults)
	}
	if !b.resumes(s, w, "a.test") {
		t.Error("not with another certificate")
	}
	if s = b.server(c); !b.resumes(s, w, "a.test") {
		t.Error("not with another configuration")
	}
	if s = b.serverOf(b.newKeeper(b.keeper.Secrets()), c); !b.resumes(s, w, "a.test") {
		t.Error("not with another process that took over")
	}
	if s = b.serverOf(b.newKeeper(nil), c); b.resumes(s, w, "a.test") {
		t.Error("with a process that knows nothing of it")
	}
}

// TestSessionsOfOptions holds that a session goes on only with the options it was made with.
func TestSessionsOfOptions(t *testing.T) {
	b := newBed(t)
	c := settings(b.write("open.test"))
	c.Certificates = []config.Certificate{further(b.write("ask.test")), further(b.write("need.test")), further(b.write("need2.test")),
		further(b.write("new.test"))}
	caFile := b.ca.WriteCA(b.dir)
	for i, auth := range []config.ClientAuth{config.ClientAuthRequest, config.ClientAuthRequire, config.ClientAuthRequire} {
		c.Certificates[i].ClientAuth, c.Certificates[i].ClientCAFile = auth, caFile
	}
	c.Certificates[3].MinVersion = config.TLS13
	s, shown := b.server(c), b.ca.Certificate("worker")
	names := []string{"open.test", "ask.test", "need.test", "need2.test", "new.test"}
	for _, made := range names {
		for _, name := range names {
			w := new(wallet)
			b.resumes(s, w, made, shown)
			same := made == name || strings.HasPrefix(made, "need") && strings.HasPrefix(name, "need")
			if got := b.resumes(s, w, name, shown); got != same {
				t.Errorf("a session of %s for %s: resumed %v", made, name, got)
			}
		}
	}
	w := new(wallet)
	b.resumes(s, w, "need.test", shown)
	if !b.resumes(s, w, "need.test") {
		t.Error("a session does not prove what it was made with")
	}
	b.file("ca.crt", string(newBed(t).ca.PEM))
	if changed, faults := s.Refresh(); !changed || len(faults) > 0 {
		t.Fatal("the other authorities were not taken", faults)
	}
	client := b.client("need.test")
	client.ClientSessionCache = w
	if _, err := b.handshake(s.Config(), client); err == nil {
		t.Error("a session that authorities of before vouched for is resumed")
	}
}

func TestRotation(t *testing.T) {
	b := newBed(t)
	s, w := b.server(settings(b.write("a.test"))), new(wallet)
	b.clock = b.keeper.dated[0].born
	b.resumes(s, w, "a.test")
	first := w.last
	for _, c := range []struct {
		after   time.Duration
		resumes bool
		secrets int
	}{
		{rotation - time.Minute, true, 1}, {rotation, true, 2}, {2 * rotation, true, 3}, {retention - time.Minute, true, 3},
		{retention, false, 3}, {10 * retention, false, 1},
	} {
		now := b.clock
		b.clock = now.Add(c.after)
		wait := b.keeper.rotate()
		b.clock = now // so that the ages of tickets and certificates do not count
		if wait <= 0 || wait > rotation {
			t.Errorf("%v: looks again after %v", c.after, wait)
		}
		w.last = first
		if got := b.resumes(s, w, "a.test"); got != c.resumes {
			t.Errorf("%v: resumed %v", c.after, got)
		}
		if n := len(b.keeper.secrets()); n != c.secrets {
			t.Errorf("%v: %d secrets, want %d", c.after, n, c.secrets)
		}
	}
}

func TestTicketFile(t *testing.T) {
	b := newBed(t)
	key := func(c byte) string { return strings.Repeat(string(c), secretSize) }
	inHex, inBase64 := hex.EncodeToString([]byte(key('a'))), base64.StdEncoding.EncodeToString([]byte(key('b')))
	c := settings(b.write("a.test"))
	c.TicketKeyFile = b.file("tickets", "# of this week\n"+inHex+"\n\n  "+inBase64+"\n")
	s, w := b.server(c), new(wallet)
	b.resumes(s, w, "a.test")
	other := b.serverOf(b.newKeeper(nil), c)
	if !b.resumes(other, w, "a.test") {
		t.Error("another process with the same file does not resume the session")
	}
	sealed := w.last
	b.file("tickets", inBase64+"\n"+inHex+"\n")
	if changed, faults := s.Refresh(); !changed || len(faults) > 0 {
		t.Fatal("the file in another order was not taken", faults)
	}
	if !b.resumes(s, w, "a.test") {
		t.Error("a ticket of the second key is not taken")
	}
	b.file("tickets", inBase64+"\n")
	if changed, faults := s.Refresh(); !changed || len(faults) > 0 {
		t.Fatal("the file with one key was not taken", faults)
	}
	if !b.resumes(s, w, "a.test") {
		t.Error("tickets are not sealed with the first key")
	}
	w.last = sealed
	if b.resumes(s, w, "a.test") {
		t.Error("a ticket of a key that was taken away is taken")
	}
	for text, want := range map[string]string{
		"":                             "there is no key in it",
		"#" + inHex:                    "there is no key in it",
		inHex + "\n" + inHex[2:]:       "tickets:2: expected 32 bytes, as 64 digits of hexadecimal or in base64",
		inBase64[4:]:                   "tickets:1: expected 32 bytes, as 64 digits of hexadecimal or in base64",
		strings.Repeat("z", 64):        "tickets:1: expected 32 bytes, as 64 digits of hexadecimal or in base64",
		strings.Repeat(inHex+"\n", 17): "17 keys, expected at most 16",
		strings.Repeat("x", 70_000) + "\n" + inHex: "too long",
	} {
		_, err := readTicketFile(b.file("tickets", text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), inHex[2:]) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
}
