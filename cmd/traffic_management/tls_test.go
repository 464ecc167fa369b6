package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"

	"traffic_management/internal/testcert"
)

// secure sends one request over a TLS connection of its own, and reports whether it resumed a session.
func secure(t *testing.T, address string, c *tls.Config) (resumed bool) {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", address, c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
		t.Fatalf("got %q, %v", answer, err)
	}
	return conn.ConnectionState().DidResume
}

// Sessions that clients have with a process go on with the one that takes its place, and that one's: nothing of them is in an
// environment.
func TestUpgradeKeepsSessions(t *testing.T) {
	ca, s := testcert.New(t), newServer(t, greet)
	certFile, keyFile := ca.Write(t.TempDir(), "web", "a.test")
	p := install(t).start(site{server: s, entry: fmt.Sprintf("tls: {cert_file: %s, key_file: %s}", certFile, keyFile)})
	client := ca.Client("a.test")
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	if secure(t, p.web, client) {
		t.Error("a session that nobody has was resumed")
	}
	pid := p.cmd.Process.Pid
	for range 2 {
		pid = p.upgrade(pid)
		if !secure(t, p.web, client) {
			t.Error("a session did not go on with the new process")
		}
	}
}

// A certificate that cannot be used is told with its place in the file.
func TestValidateReadsCertificates(t *testing.T) {
	ca, dir := testcert.New(t), t.TempDir()
	certFile, keyFile := ca.Write(dir, "web", "a.test")
	text := fmt.Sprintf("entrypoints:\n  web:\n    address: ':0'\n    tls:\n      cert_file: %s\n      key_file: %s\n", certFile, keyFile)
	file := writeFile(t, text)
	if out, err := exec.Command(program, "-c", file, "--validate").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ca.Write(dir, "other", "a.test")
	file = writeFile(t, strings.Replace(text, keyFile, dir+"/other.key", 1))
	out, err := exec.Command(program, "-c", file, "--validate").CombinedOutput()
	want := file + ":6:17: entrypoints.web.tls.key_file: " + dir + "/other.key with " + certFile + ": private key does not match public key\n"
	if err == nil || !strings.Contains(string(out), want) {
		t.Errorf("%v: %s, want %s", err, out, want)
	}
}
