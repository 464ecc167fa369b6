package config

import (
	"slices"
	"strings"
)

// notYet is what the configuration contract names and this version does not implement: keys, and values as key=value,
// where a "*" at the end stands for anything. "*" inside a path is any name, "[]" any element. To support one is to
// remove its row and describe the key.
var notYet = []string{
	"tracing",
	"entrypoints.*.protocol=tcp",
	"entrypoints.*.protocol=udp",
	"entrypoints.*.proxy_protocol",
	"entrypoints.*.tcp",
	"entrypoints.*.tls.acme",
	"entrypoints.*.udp",
	"routers.*.tls_passthrough",
	"services.*.servers[].url=tcp://*",
	"services.*.servers[].url=udp://*",
}

const notYetMsg = "not supported yet by this version"

// keyNotYet reports whether the key of this pattern is a row.
func keyNotYet(pattern string) bool { return slices.Contains(notYet, pattern) }

// valueNotYet reports whether a row refuses this value of the key of this pattern.
func valueNotYet(pattern, value string) bool {
	return slices.ContainsFunc(notYet, func(row string) bool {
		refused, ok := strings.CutPrefix(row, pattern+"=")
		if head, wild := strings.CutSuffix(refused, "*"); wild {
			return ok && strings.HasPrefix(value, head)
		}
		return ok && refused == value
	})
}
