package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// probe checks one server. One goroutine uses it.
type probe struct {
	target  *Target
	policy  *HealthPolicy
	network string
	address string

	// Of the last check with CheckHTTP:
	client *http.Client
	tls    *tls.Config // Options.TLS
}

// probeBytes bounds what is read of a response: the head, and the content when something is looked for in it.
const probeBytes = 64 << 10

func newProbe(t *Target, p *HealthPolicy) *probe {
	c := &probe{target: t, policy: p, network: "unix", address: t.Addr.Path}
	if t.Addr.Path == "" {
		addr := t.Addr.TCP
		if p.Port != 0 {
			addr = netip.AddrPortFrom(addr.Addr(), p.Port)
		}
		c.network, c.address = "tcp", addr.String()
	}
	return c
}

// clientFor returns what makes requests with TLS as configured now, speaking what requests of clients would.
func (c *probe) clientFor() *http.Client {
	var config *tls.Config
	if s := c.target.service.Load(); s != nil {
		config = s.Options().TLS
	}
	if c.client != nil && c.tls == config {
		return c.client
	}
	t := &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) },
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: probeBytes,
		Protocols:              &http.Protocols{},
	}
	switch c.target.Protocol {
	case ProtocolH1:
		t.Protocols.SetHTTP1(true)
	case ProtocolH2C:
		t.Protocols.SetUnencryptedHTTP2(true)
	case ProtocolTLS:
		t.Protocols.SetHTTP1(true)
		t.Protocols.SetHTTP2(true)
		t.TLSClientConfig = clientConfig(config, c.target, alpnH2, alpnH1)
	}
	c.tls = config
	c.client = &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c.client
}

func (c *probe) dial(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, c.network, c.address)
}

// check asks the server once, and says what came of it and whether that is good.
func (c *probe) check(ctx context.Context) (why string, good bool) {
	ctx, cancel := context.WithTimeout(ctx, c.policy.Timeout)
	defer cancel()
	var err error
	if c.policy.Type == CheckTCP {
		why, err = c.connect(ctx)
	} else {
		why, err = c.request(ctx)
	}
	if err == nil {
		return why, true
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Sprintf("no answer to a health check in %v", c.policy.Timeout), false
	}
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err // without the URL
	}
	return "health check: " + err.Error(), false
}

func (c *probe) connect(ctx context.Context) (string, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return "", err
	}
	return "a connection was accepted", conn.Close()
}

func (c *probe) request(ctx context.Context) (string, error) {
	p := c.policy
	r, err := http.NewRequestWithContext(ctx, p.Method, c.target.Protocol.scheme()+"://server"+p.Path, nil)
	if err != nil {
		return "", err
	}
	r.Host = c.target.Host
	if p.Host != "" {
		r.Host = p.Host
	}
	r.Header.Set("User-Agent", "traffic_management")
	for name, value := range p.Headers {
		if strings.EqualFold(name, "Host") {
			r.Host = value
		} else {
			r.Header.Set(name, value)
		}
	}
	response, err := c.clientFor().Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if !p.Expected.Has(response.StatusCode) {
		return "", fmt.Errorf("status %d", response.StatusCode)
	}
	if p.BodyContains != "" {
		content, err := io.ReadAll(io.LimitReader(response.Body, probeBytes))
		if err != nil {
			return "", err
		}
		if !bytes.Contains(content, []byte(p.BodyContains)) {
			return "", fmt.Errorf("the content does not contain %q", p.BodyContains)
		}
	}
	return fmt.Sprintf("status %d", response.StatusCode), nil
}
