package exchange

import (
	"sync/atomic"

	"traffic_management/codec"
)

// PressureLevel is how short of memory the process is, by what follows from it.
type PressureLevel uint32

// Levels of pressure.
const (
	PressureNormal      PressureLevel = iota // nothing follows
	PressureNoKeepAlive                      // every response is the last of its connection
	PressureRefuse                           // as PressureNoKeepAlive, and new requests get 503 without reaching a server
)

func (l PressureLevel) String() string { return [...]string{"normal", "no keep-alive", "refuse"}[l] }

// Pressure is the level that all loops see. Atomic, any goroutine; nil is always PressureNormal.
type Pressure struct{ level atomic.Uint32 }

// Level is the level now.
func (p *Pressure) Level() PressureLevel {
	if p == nil {
		return PressureNormal
	}
	return PressureLevel(p.level.Load())
}

// Set changes the level.
func (p *Pressure) Set(l PressureLevel) { p.level.Store(uint32(l)) }

var errOverload = &codec.Error{Side: codec.Internal, Kind: codec.KindOverload, Status: 503,
	Cause: errText("the proxy is short of memory")}

// LetGo gives up the memory that the loop keeps for exchanges to come. Those that run keep theirs.
func (l *Local) LetGo() { l.free = nil }
