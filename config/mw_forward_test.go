package config

import "testing"

func TestForwardingThatIsWrong(t *testing.T) {
	for _, tc := range []struct{ name, doc, want string }{
		{"no address", middlewares("a: {forward_auth: {}}"), `11:19: middlewares.a.forward_auth.address: missing, expected http://host:port/path or https://host:port/path`},
		{"a scheme of none", middlewares(`a: {forward_auth: {address: "h2c://a/b"}}`),
			`11:43: middlewares.a.forward_auth.address: expected http://host:port/path or https://host:port/path, got "h2c://a/b"`},
		{"a fragment", middlewares(`a: {forward_auth: {address: "http://a/#b"}}`),
			`11:43: middlewares.a.forward_auth.address: expected http://host:port/path or https://host:port/path, got "http://a/#b"`},
		{"a user", middlewares(`a: {forward_auth: {address: "http://u@a/"}}`),
			`11:43: middlewares.a.forward_auth.address: expected http://host:port/path or https://host:port/path, got "http://u@a/": "u@a" is neither an IP address nor a host name`},
		{"a name of no field", middlewares(`a: {forward_auth: {address: "http://a", response_headers: ["X Y"]}}`),
			`11:74: middlewares.a.forward_auth.response_headers[0]: expected the name of a field, got "X Y"`},
		{"no time", middlewares(`a: {forward_auth: {address: "http://a", timeout_ms: 0}}`),
			`11:67: middlewares.a.forward_auth.timeout_ms: expected an integer from 1 to 86400000, got 0`},
		{"TLS without any", middlewares(`a: {forward_auth: {address: "http://a", tls: {}}}, b: {jwt: {jwks_url: "http://a", tls: {cert_file: x}}}`),
			`11:55: middlewares.a.forward_auth.tls: only for an address that is https://
11:98: middlewares.b.jwt.tls: only for a jwks_url that is https://
11:98: middlewares.b.jwt.tls.key_file: missing, expected the path of the key of cert_file`},
		{"TLS of keys that are not fetched", middlewares("a: {jwt: {jwks_file: x, tls: {}}}"),
			`11:39: middlewares.a.jwt.tls: only for a jwks_url that is https://`},
		{"authorities that nobody asks", middlewares(`a: {forward_auth: {address: "https://a", tls: {ca_file: x, insecure_skip_verify: true}}}`),
			`11:71: middlewares.a.forward_auth.tls.ca_file: not used with insecure_skip_verify: true`},
		{"a service of none", middlewares("a: {error_pages: {status: [404], service: apl, path: /}}, b: {mirror: {service: x}}"),
			`11:57: middlewares.a.error_pages.service: unknown service "apl", did you mean "api"?
11:95: middlewares.b.mirror.service: unknown service "x"`},
		{"a status of no error", middlewares("a: {error_pages: {status: [399-500], service: api, path: /}}"),
			`11:42: middlewares.a.error_pages.status[0]: expected a status code from 400 to 599 or a range such as 500-599, got "399-500": below 400 nothing is wrong`},
		{"a path of none", middlewares("a: {error_pages: {status: [404], service: api, path: x}}"),
			`11:68: middlewares.a.error_pages.path: expected ` + pathExpected + `, got "x"`},
		{"nothing to keep", middlewares("a: {buffering: {max_request_body_bytes: 0}}"),
			`11:19: middlewares.a.buffering: does nothing, expected max_request_body_bytes or max_response_body_bytes above 0`},
		{"too much to keep", middlewares("a: {buffering: {max_response_body_bytes: 2000000000}}"),
			`11:56: middlewares.a.buffering.max_response_body_bytes: expected an integer from 0 to 1073741824, got 2000000000`},
		{"more than all", middlewares("a: {mirror: {service: api, percent: 101}}"),
			`11:51: middlewares.a.mirror.percent: expected a number from 0 to 100, got 101`},
	} {
		t.Run(tc.name, func(t *testing.T) { expectErrors(t, tc.doc, tc.want) })
	}
}

func TestRequestURL(t *testing.T) {
	for text, want := range map[string]RequestURL{
		"http://a":              {ServerURL{SchemeHTTP, Address{Host: "a", Port: 80}}, "/", ""},
		"https://a.test:81/b?c": {ServerURL{SchemeHTTPS, Address{Host: "a.test", Port: 81}}, "/b", "c"},
		"http://[::1]?c=d?e":    {ServerURL{SchemeHTTP, Address{Host: "::1", Port: 80}}, "/", "c=d?e"},
	} {
		got, err := parseRequestURL(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if again, err := parseRequestURL(got.String()); err != nil || again != got {
			t.Errorf("%s becomes %s", text, got)
		}
	}
}

func TestForwardAuthService(t *testing.T) {
	f := ForwardAuth{Address: RequestURL{Server: ServerURL{SchemeHTTP, Address{Host: "a", Port: 80}}}, Timeout: 7}
	s := f.Service()
	if s.Timeouts.Request != 7 || s.Timeouts.Connect != 7 || s.Pool.MaxIdlePerServer != 128 || !s.PassHostHeader ||
		len(s.Servers) != 1 || s.Servers[0].URL != f.Address.Server {
		t.Errorf("%+v", s)
	}
}
