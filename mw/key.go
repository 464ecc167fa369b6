package mw

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"net/netip"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// KeyKind is what the requests that a limit counts together have in common.
type KeyKind uint8

// What requests have in common.
const (
	KeyClientIP KeyKind = iota // their client's address; of IPv6 its /64, which is what one client is given
	KeyGlobal                  // nothing: all are counted together
	KeyHeader                  // the value of a field; those without it are counted by client
)

func (k KeyKind) String() string { return [...]string{"client_ip", "global", "header"}[k] }

// Key says which requests a limit counts together.
type Key struct {
	Kind   KeyKind
	Header string // the field's name, with KeyHeader
}

func (k Key) String() string {
	if k.Kind == KeyHeader {
		return "header:" + k.Header
	}
	return k.Kind.String()
}

func (k Key) check() error {
	if (k.Kind == KeyHeader) != (k.Header != "") {
		return fmt.Errorf("the key %v goes with the name of a field, and no other does", KeyHeader)
	}
	return nil
}

// globalKey is the key of KeyGlobal; no hash is the same.
const globalKey = 0

// keyer finds the keys of requests. They are hashes under seeds of its own: nobody outside can choose values that fall
// together, and of a million keys two are the same once in forty million times. Immutable.
type keyer struct {
	Key
	id              codec.FieldID // of Header
	values, clients maphash.Seed
}

func newKeyer(k Key) keyer {
	return keyer{k, codec.LookupFieldID([]byte(k.Header)), maphash.MakeSeed(), maphash.MakeSeed()}
}

// of is the key of a request, on its loop.
func (k *keyer) of(x *exchange.Exchange) uint64 {
	switch k.Kind {
	case KeyGlobal:
		return globalKey
	case KeyHeader:
		if k.id == codec.FieldHost { // which HTTP/2 has in :authority
			return notGlobal(maphash.Bytes(k.values, x.RequestHead.Authority))
		}
		if value, ok := x.RequestHead.Lookup(k.Header); ok {
			return notGlobal(maphash.Bytes(k.values, value))
		}
	}
	return k.ofAddr(ClientIP(x, 0))
}

// ofAddr is the key of an address: of the /64 of IPv6, or of an address of IPv4 written as a /64 that nobody has.
func (k *keyer) ofAddr(a netip.Addr) uint64 {
	network := a.As16()
	if a.Is4() {
		binary.BigEndian.PutUint32(network[:], 1)
		copy(network[4:8], network[12:])
	}
	return notGlobal(maphash.Bytes(k.clients, network[:8]))
}

func notGlobal(hash uint64) uint64 {
	if hash == globalKey {
		return globalKey + 1
	}
	return hash
}
