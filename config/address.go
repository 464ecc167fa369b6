package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Address is where to listen or connect: a host and a TCP port, or the path of a unix socket when Path is not empty.
// Equal addresses compare equal.
type Address struct {
	Host string // an IP address without brackets or a name in lower case; empty for every address of the machine
	Port uint16 // 0, where to listen, for any free one
	Path string
}

// String is the address as the file has it: "host:port" or "unix:/path".
func (a Address) String() string {
	if a.Path != "" {
		return "unix:" + a.Path
	}
	return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port)))
}

// Scheme is what a server speaks.
type Scheme string

// Schemes.
const (
	SchemeHTTP  Scheme = "http"  // HTTP/1.1
	SchemeHTTPS Scheme = "https" // HTTP/2 or HTTP/1.1 over TLS, as is negotiated
	SchemeH2C   Scheme = "h2c"   // HTTP/2 without TLS
)

// Port is the one of URLs that have none; 0 for what is no scheme.
func (s Scheme) Port() uint16 {
	switch s {
	case SchemeHTTP, SchemeH2C:
		return 80
	case SchemeHTTPS:
		return 443
	}
	return 0
}

// ServerURL is where a server listens, and what it speaks.
type ServerURL struct {
	Scheme  Scheme // SchemeHTTP for a unix socket
	Address        // Host and Port are never empty
}

// String is the URL in one spelling: "http://host:port" or "unix:/path".
func (u ServerURL) String() string {
	if u.Path != "" {
		return u.Address.String()
	}
	return string(u.Scheme) + "://" + u.Address.String()
}

// maxUnixPath is the longest path a unix socket can have in bytes, without the final zero (unix(7)).
const maxUnixPath = 107

func parseAddress(s string) (Address, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		return parseUnixPath(path)
	}
	return parseHostPort(s)
}

func parseServerURL(s string) (ServerURL, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		a, err := parseUnixPath(path)
		return ServerURL{SchemeHTTP, a}, err
	}
	word, authority, ok := strings.Cut(s, "://")
	scheme := Scheme(word)
	if !ok || scheme.Port() == 0 {
		return ServerURL{}, errForm
	}
	authority = strings.TrimSuffix(authority, "/")
	if strings.ContainsAny(authority, "/?#") {
		return ServerURL{}, errors.New("a server's URL has no path or query")
	}
	if i := strings.LastIndexByte(authority, ':'); i <= strings.LastIndexByte(authority, ']') {
		authority += ":" + strconv.Itoa(int(scheme.Port()))
	}
	a, err := parseHostPort(authority)
	switch {
	case err != nil:
		return ServerURL{}, err
	case a.Host == "":
		return ServerURL{}, errors.New("no host")
	case a.Port == 0:
		return ServerURL{}, errors.New("port 0 cannot be connected to")
	}
	return ServerURL{scheme, a}, nil
}

func parseUnixPath(path string) (Address, error) {
	switch {
	case !strings.HasPrefix(path, "/"):
		return Address{}, errors.New("the path must be absolute")
	case len(path) > maxUnixPath:
		return Address{}, fmt.Errorf("the path has %d bytes, a unix socket's has at most %d", len(path), maxUnixPath)
	case strings.IndexByte(path, 0) >= 0:
		return Address{}, errors.New("the path has a zero byte in it")
	}
	return Address{Path: path}, nil
}

func parseHostPort(s string) (Address, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return Address{}, errForm
	}
	n, err := parsePort(port)
	if err != nil {
		return Address{}, err
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return Address{Host: ip.String(), Port: n}, nil
	}
	if strings.HasPrefix(s, "[") || host != "" && !isHostName(host) {
		return Address{}, fmt.Errorf("%q is neither an IP address nor a host name", host)
	}
	return Address{Host: strings.ToLower(host), Port: n}, nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is no port, expected 0 to 65535", s)
	}
	return uint16(n), nil
}

// isHostName reports whether s is a name that can have addresses: labels of letters, digits, '-' and '_' of at most 63
// bytes, 253 in all (RFC 1123 section 2.1). The last one is not all digits, or it would be a misspelt IPv4 address.
func isHostName(s string) bool {
	const digits = "0123456789"
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-" + digits
	last := ""
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, letters) != "" {
			return false
		}
		last = label
	}
	return len(s) <= 253 && strings.Trim(last, digits) != ""
}

func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if ip, ipErr := netip.ParseAddr(s); ipErr == nil && ip.Zone() == "" {
		p, err = netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	if err != nil {
		return netip.Prefix{}, errForm
	}
	if ip := p.Addr(); ip.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(ip.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}
