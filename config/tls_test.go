package config

import "testing"

// tlsWith is a whole document whose only entry point has these keys of tls on line 4, from column 11.
func tlsWith(keys string) string { return minimal + "    tls: {" + keys + "}\n" }

// onePair is a certificate.
const onePair = "cert_file: a.crt, key_file: a.key"

func TestTLSChecks(t *testing.T) {
	for _, tc := range []struct{ name, doc, want string }{
		{"nothing", tlsWith(""), "4:5: entrypoints.web.tls.cert_file: missing, expected a path; or certificates"},
		{"no key", tlsWith("cert_file: a.crt"), "4:5: entrypoints.web.tls.key_file: missing, expected the path of the key of cert_file"},
		{"no certificate", tlsWith("key_file: a.key"),
			"4:5: entrypoints.web.tls.cert_file: missing, expected the path of the certificate that key_file is for"},
		{"half a certificate", tlsWith("certificates: [{cert_file: a}]"),
			"4:26: entrypoints.web.tls.certificates[0].key_file: missing, expected a path"},
		{"empty path", tlsWith("cert_file: '', key_file: b"), `4:22: entrypoints.web.tls.cert_file: expected a path, got ""`},
		{"one twice", tlsWith(onePair + ", certificates: [{" + onePair + "}]"),
			"4:73: entrypoints.web.tls.certificates[0].cert_file: the same file as entrypoints.web.tls.cert_file"},
		{"old version", tlsWith(onePair + ", min_version: 1.1"), "4:59: entrypoints.web.tls.min_version: expected one of 1.2, 1.3, got 1.1"},
		{"no authorities", tlsWith(onePair + ", client_auth: require"), "4:5: entrypoints.web.tls.client_ca_file: " +
			"missing, expected the path of the authorities of clients, with client_auth: require"},
		{"authorities for nothing", tlsWith(onePair + ", client_ca_file: ca.crt"),
			"4:62: entrypoints.web.tls.client_ca_file: only with client_auth: request or require"},
		{"a certificate's authorities for nothing", tlsWith("certificates: [{" + onePair + ", client_ca_file: ca.crt}]"),
			"4:78: entrypoints.web.tls.certificates[0].client_ca_file: only with client_auth: request or require"},
		{"misspelt client_auth", tlsWith(onePair + ", client_ca_file: ca.crt, client_auth: need"),
			`4:83: entrypoints.web.tls.client_auth: expected one of none, request, require, got "need"`},
		{"no protocol", tlsWith(onePair + ", alpn: []"),
			"4:46: entrypoints.web.tls.alpn: expected a list with at least one element, got none"},
		{"another protocol", tlsWith(onePair + ", alpn: [h3]"), `4:53: entrypoints.web.tls.alpn[0]: expected one of h2, http/1.1, got "h3"`},
		{"what is planned", tlsWith(onePair + ", acme: {}"), "4:46: entrypoints.web.tls.acme: not supported yet by this version"},

		{"no server has it", serviceWith("tls: {}, " + oneServer), "5:7: services.s.tls: only for servers whose URL is https://"},
		{"authorities of nobody", serviceWith("tls: {insecure_skip_verify: true, ca_file: ca.crt}, servers: [{url: https://a}]"),
			"5:50: services.s.tls.ca_file: not used with insecure_skip_verify: true"},
		{"half of the proxy's", serviceWith("tls: {cert_file: a.crt}, servers: [{url: https://a}]"),
			"5:7: services.s.tls.key_file: missing, expected the path of the key of cert_file"},
		{"server's name", serviceWith("tls: {server_name: 'a b'}, servers: [{url: https://a}]"),
			`5:26: services.s.tls.server_name: expected a host name, got "a b"`},
		{"depth", serviceWith("pool: {multiplex: pipeline, pipeline_depth: 1}, " + oneServer),
			"5:51: services.s.pool.pipeline_depth: expected an integer from 2 to 1000, got 1"},
		{"small window", minimal + "    http: {http2: {connection_window_bytes: 65534}}\n",
			"4:45: entrypoints.web.http.http2.connection_window_bytes: expected an integer from 65535 to 2147483647, got 65534"},
	} {
		t.Run(tc.name, func(t *testing.T) { expectErrors(t, tc.doc, tc.want) })
	}
}

// TestCertificateTakesAfterItsEntryPoint is of what a certificate leaves out.
func TestCertificateTakesAfterItsEntryPoint(t *testing.T) {
	c := mustParse(t, tlsWith(onePair+`, min_version: 1.3, client_auth: require, client_ca_file: ca.crt, certificates: [
      {cert_file: b.crt, key_file: b.key},
      {cert_file: c.crt, key_file: c.key, client_auth: none, min_version: "1.2"},
      {cert_file: d.crt, key_file: d.key, client_ca_file: other.crt}]`))
	got := c.EntryPoints["web"].TLS
	for i, want := range []Certificate{
		{"b.crt", "b.key", TLS13, "ca.crt", ClientAuthRequire},
		{"c.crt", "c.key", TLS12, "", ClientAuthNone},
		{"d.crt", "d.key", TLS13, "other.crt", ClientAuthRequire},
	} {
		if got.Certificates[i] != want {
			t.Errorf("certificate %d: %+v, want %+v", i, got.Certificates[i], want)
		}
	}
}
