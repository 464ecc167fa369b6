package config

import (
	"math"
	"net/netip"
	"time"
)

// Admin is where the status page and its API are served.
type Admin struct {
	Address     Address // of this machine alone, unless AllowRemote
	AllowRemote bool
}

func (a *Admin) keys(o *object) {
	o.require("address", address(&a.Address), "where they are served; a loopback address or a unix socket unless `allow_remote`")
	o.key("allow_remote", boolean(&a.AllowRemote, false),
		"lets other machines in: whoever can connect can change weights and read the configuration")
}

// isLocal reports whether only this machine can connect to the address.
func (a Address) isLocal() bool {
	ip, err := netip.ParseAddr(a.Host)
	return a.Path != "" || a.Host == "localhost" || err == nil && ip.IsLoopback()
}

// checkAdmin tells of an address that other machines can reach without leave.
func (l *loader) checkAdmin(c *Config) {
	const key = "admin.address"
	if a := c.Admin; a != nil && a.Address != (Address{}) && !a.AllowRemote && !a.Address.isLocal() {
		l.wrong(key, "%s is open to other machines, expected a loopback address such as 127.0.0.1:9101, or allow_remote: true",
			a.Address)
	}
}

// Limits is what the process as a whole may use.
type Limits struct {
	MaxConnections int   // of clients; 0: no limit
	MemoryBytes    int64 // 0: that of the cgroup, when it has one
}

func (l *Limits) keys(o *object) {
	o.key("max_connections", integer(&l.MaxConnections, 0, 0, math.MaxInt32),
		"open connections of clients over all entry points; above it new ones wait in the kernel's queue; 0: no limit")
	o.key("memory_bytes", integer(&l.MemoryBytes, 0, 0, math.MaxInt64),
		"memory to stay within: near it connections are closed, then requests refused; 0: the limit of the cgroup, if it has one")
}

// Reload is how a changed file comes into force.
type Reload struct {
	Watch        bool          // without being told to
	OldExchanges time.Duration // how long exchanges may go on with a configuration that was replaced
}

func (r *Reload) keys(o *object) {
	o.key("watch", boolean(&r.Watch, true), "a changed file is loaded without a signal")
	o.key("old_exchanges_seconds", seconds(&r.OldExchanges, 3600, 0, 30*daySeconds),
		"how long requests and tunnels may go on with a configuration that was replaced")
}

// Shutdown is how the process ends.
type Shutdown struct {
	DrainTimeout  time.Duration
	IdleClose     time.Duration // over which idle connections of clients are closed, evenly
	TunnelTimeout time.Duration // at most DrainTimeout, which it is when the file does not say
}

func (s *Shutdown) keys(o *object) {
	o.key("drain_timeout_seconds", seconds(&s.DrainTimeout, 30, 0, daySeconds),
		"how long running requests may take to end before they are cut off")
	o.key("idle_close_seconds", seconds(&s.IdleClose, 5, 0, daySeconds),
		"idle connections of clients are closed evenly over this time, so that they do not all come back at once")
	o.key("tunnel_timeout_seconds", withoutDefault(seconds(&s.TunnelTimeout, 0, 0, daySeconds), unset),
		"how long tunnels may go on; without it as long as `drain_timeout_seconds`, which it may not exceed")
}

// unset is a time that is to have the value of another key.
const unset time.Duration = -1

// checkShutdown tells of a time that would have no effect.
func (l *loader) checkShutdown(c *Config) {
	if s := &c.Shutdown; s.TunnelTimeout > s.DrainTimeout {
		l.wrong("shutdown.tunnel_timeout_seconds", "%d is more than drain_timeout_seconds, %d, when everything ends",
			int(s.TunnelTimeout.Seconds()), int(s.DrainTimeout.Seconds()))
	}
}
