package main

import (
	"bytes"

	"traffic_management/perf/message"
)

// served is the target that asks how many requests have been answered.
const served = "/served"

// maxSize is the largest content that is answered.
const maxSize = 64 << 20

// kind is what the content is, as Content-Type tells.
type kind string

const (
	plain  kind = "application/octet-stream"
	asJSON kind = "application/json"
	asKeys kind = "application/jwk-set+json"
)

// resource is what a request target names.
type resource struct {
	kind kind
	size int // in bytes, of keys their number; -1: there is none of that name
}

func parseTarget(target []byte) resource {
	if rest, ok := bytes.CutPrefix(target, []byte("/json")); ok {
		return resource{asJSON, parseSize(rest)}
	}
	if rest, ok := bytes.CutPrefix(target, []byte("/keys")); ok {
		return resource{asKeys, min(parseSize(rest), maxKeys)}
	}
	return resource{plain, parseSize(target)}
}

// parseSize reads the size of the content from a request target: /N, /Nk, /Nm or /bytes/N, with or without a query. It
// returns -1 for anything else.
func parseSize(target []byte) int {
	target, _, _ = bytes.Cut(target, []byte("?"))
	target = bytes.TrimPrefix(target, []byte("/bytes"))
	if len(target) < 2 || target[0] != '/' {
		return -1
	}
	digits, unit := target[1:], int64(1)
	switch digits[len(digits)-1] {
	case 'k':
		digits, unit = digits[:len(digits)-1], 1<<10
	case 'm':
		digits, unit = digits[:len(digits)-1], 1<<20
	}
	size := message.Decimal(digits)
	if size < 0 || size > maxSize/unit {
		return -1
	}
	return int(size * unit)
}
