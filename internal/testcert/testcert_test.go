package testcert_test

import (
	"crypto/tls"
	"net"
	"testing"

	"traffic_management/internal/testcert"
)

// TestHandshake lets a client verify a server, and the server the client.
func TestHandshake(t *testing.T) {
	ca := testcert.New(t)
	server := ca.Server("a.example", "127.0.0.1")
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
	for _, c := range []struct {
		client *tls.Config
		ok     bool
	}{
		{ca.Client("a.example"), true},
		{ca.Client("127.0.0.1"), true},
		{ca.Client("b.example"), false},
		{testcert.New(t).Client("a.example"), false},
	} {
		c.client.Certificates = []tls.Certificate{ca.Certificate("client")}
		near, far := net.Pipe()
		done := make(chan error, 1)
		go func() {
			done <- tls.Server(far, server).HandshakeContext(t.Context())
			far.Close()
		}()
		err := tls.Client(near, c.client).HandshakeContext(t.Context())
		near.Close()
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.client.ServerName, err)
		}
		if serverErr := <-done; c.ok && serverErr != nil {
			t.Errorf("%s: the server: %v", c.client.ServerName, serverErr)
		}
	}
}
