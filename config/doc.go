// Package config reads the configuration file: one YAML document, loaded strictly into plain Go types.
//
//	file ──yaml.v3──▶ nodes ──loader──▶ Config ──checks across keys──▶ Config with defaults, or Errors
//	                            ▲
//	   keys methods of the types (one description) ──▶ schema.json, docs/configuration.md
//
// Every type that is a mapping in the file has a method keys that lists its keys once: name, where the value goes,
// default, limits, meaning. Loading, defaults, validation, the JSON Schema and the reference are all derived from it.
// A key of the contract that this version does not implement yet has a row in notYet and is refused by name.
//
// A Config is the caller's alone, and is not changed after Parse. But for Watch the package starts and keeps nothing.
package config

//go:generate go test -run TestGenerated -update
