package engine

import (
	"bufio"
	"io/fs"
	"path"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// memoryMeter measures the memory of the process that a collection would not free. What is garbage is the collector's
// affair, which keeps to a limit of its own: a heap that is twice as large as what lives in it is no overload.
type memoryMeter struct {
	samples   []metrics.Sample
	cycles    uint64    // of collections
	collected time.Time // when the last one was seen
}

// What the runtime is asked for, by index into memoryMeter.samples.
const (
	memoryTotal = iota
	memoryReleased
	memoryFree
	memoryUnused
	memoryObjects
	memoryLive
	memoryCycles
	memorySamples
)

func newMemoryMeter() *memoryMeter {
	m := &memoryMeter{samples: make([]metrics.Sample, memorySamples)}
	for i, name := range [memorySamples]string{
		memoryTotal:    "/memory/classes/total:bytes",
		memoryReleased: "/memory/classes/heap/released:bytes",
		memoryFree:     "/memory/classes/heap/free:bytes",
		memoryUnused:   "/memory/classes/heap/unused:bytes",
		memoryObjects:  "/memory/classes/heap/objects:bytes",
		memoryLive:     "/gc/heap/live:bytes",
		memoryCycles:   "/gc/cycles/total:gc-cycles",
	} {
		m.samples[i].Name = name
	}
	return m
}

// freshTime is how old a collection may be for its result to be fresh.
const freshTime = time.Second

// read is what lives in the heap and what the runtime needs beside it, in bytes. What lives is known as of the last
// collection; fresh makes one when that was too long ago, so that a level of pressure ends when its reason does.
func (m *memoryMeter) read(fresh bool) uint64 {
	metrics.Read(m.samples)
	value := func(i int) uint64 { return m.samples[i].Value.Uint64() }
	now := time.Now()
	if value(memoryCycles) != m.cycles {
		m.cycles, m.collected = value(memoryCycles), now
	}
	if fresh && now.Sub(m.collected) > freshTime {
		runtime.GC()
		return m.read(false)
	}
	other := value(memoryTotal) - value(memoryReleased) - value(memoryFree) - value(memoryUnused) - value(memoryObjects)
	return value(memoryLive) + other
}

// groupLimit is the memory limit of the control group that the process is in, or of one around it, the lowest; 0 when
// there is none. root is the file system.
func groupLimit(root fs.FS) (limit uint64) {
	groups, err := root.Open("proc/self/cgroup")
	if err != nil {
		return 0
	}
	defer groups.Close()
	for lines := bufio.NewScanner(groups); lines.Scan(); {
		// hierarchy:controllers:path, of version 2 with no controllers
		part := strings.SplitN(lines.Text(), ":", 3)
		if len(part) < 3 {
			continue
		}
		base, file := "sys/fs/cgroup", "memory.max"
		if part[1] != "" {
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
			if !strings.Contains(","+part[1]+",", ",memory,") {
				continue
			}
		}
		for at := path.Join("/", part[2]); ; at = path.Dir(at) {
			if n := readLimit(root, path.Join(base, at, file)); n > 0 && (limit == 0 || n < limit) {
				limit = n
			}
			if at == "/" {
				break
			}
		}
	}
	return limit
}

// noLimit is from where a number in a limit's file means none: version 1 has no word for it.
const noLimit = 1 << 60

func readLimit(root fs.FS, file string) uint64 {
	text, err := fs.ReadFile(root, file)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n >= noLimit {
		return 0 // "max"
	}
	return n
}
