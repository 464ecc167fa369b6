package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"slices"
	"sync"

	"traffic_management/config"
)

// sessionsKept is how many sessions with the servers of one service are kept to be resumed.
const sessionsKept = 256

// Client is what the connections to the servers of one service are secured with, in one configuration. Its files may be
// read anew at any time.
type Client struct {
	// Immutable:
	key    string // of the configuration, as in "services.api.tls"
	config config.ServiceTLS

	mu   sync.Mutex // guards what follows, and is held while files are read
	ca   sum        // of the file
	pair *pair      // the proxy's own certificate; nil: none
	tls  *tls.Config
}

// NewClient reads the files of a service's TLS, which has this key in the configuration; c is nil for a service that leaves
// everything as it is by default. The faults are everything that is wrong with them; without any there is a Client.
func (k *Keeper) NewClient(service, key string, c *config.ServiceTLS) (*Client, []Fault) {
	if c == nil {
		c = &config.ServiceTLS{}
	}
	next := &Client{key: key, config: *c}
	if _, faults := next.Refresh(); len(faults) > 0 {
		return nil, faults
	}
	k.mu.Lock()
	before := k.clients[service]
	k.mu.Unlock()
	if before != nil {
		next.takeAfter(before)
	}
	return next, nil
}

// takeAfter takes over what another one has, sessions with servers included, when all that it was made of is the same.
func (c *Client) takeAfter(before *Client) {
	before.mu.Lock()
	defer before.mu.Unlock()
	same := before.config == c.config && before.ca == c.ca && (c.pair == nil) == (before.pair == nil) &&
		(c.pair == nil || c.pair.sum == before.pair.sum)
	if same {
		c.tls = before.tls
	}
}

// Config is what new connections are to be secured with: with the host of the server's URL where it has no ServerName, and
// with the protocols that are offered. It is another one after a Refresh that changed something. Any goroutine.
func (c *Client) Config() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tls
}

// Files are the paths of all files that were read. Any goroutine.
func (c *Client) Files() []string {
	files := []string{c.config.CAFile, c.config.CertFile, c.config.KeyFile}
	return slices.DeleteFunc(files, func(name string) bool { return name == "" })
}

// Refresh reads the files anew. What is wrong with one leaves all as it was. changed says that Config is another one.
func (c *Client) Refresh() (changed bool, faults []Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := &tls.Config{ServerName: c.config.ServerName, InsecureSkipVerify: c.config.InsecureSkipVerify,
		MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(sessionsKept)}
	ca, own := c.ca, c.pair
	if file := c.config.CAFile; file != "" {
		pool, text, fault := loadPool(c.key+".ca_file", file)
		if fault != nil {
			faults = append(faults, *fault)
		}
		next.RootCAs, ca = pool, sha256.Sum256(text)
	}
	if file := c.config.CertFile; file != "" {
		p, fault := loadPair(c.key, file, c.config.KeyFile, own)
		if fault != nil {
			faults = append(faults, *fault)
		} else {
			own, next.Certificates = p, []tls.Certificate{*p.cert.Load()}
		}
	}
	if len(faults) > 0 || c.tls != nil && ca == c.ca && own == c.pair {
		return false, faults
	}
	c.ca, c.pair, c.tls = ca, own, next
	return true, nil
}
