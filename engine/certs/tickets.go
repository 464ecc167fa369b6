package certs

import (
	"bufio"
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	// rotation is how long a secret of the process's own seals new tickets.
	rotation = 12 * time.Hour
	// retention is how long it opens those it sealed.
	retention = 36 * time.Hour
	// secretSize is the size of a secret in bytes.
	secretSize = 32
	// maxFileSecrets is how many keys a file may have: each is tried for a ticket that none of them sealed.
	maxFileSecrets = 16
)

// secret is what keys of session tickets are made of.
type secret [secretSize]byte

// ticketKeys are the keys of one set of options, those of the first secret first.
func ticketKeys(secrets []secret, label string) [][32]byte {
	keys := make([][32]byte, len(secrets))
	for i := range secrets {
		key, err := hkdf.Key(sha256.New, secrets[i][:], nil, "session tickets\x00"+label, len(keys[i]))
		if err != nil {
			panic(err) // the length is one that can be had
		}
		copy(keys[i][:], key)
	}
	return keys
}

// dated is a secret of the process's own.
type dated struct {
	secret
	born time.Time
}

// rotate puts a new secret first when that which is has served its time, and drops those that nobody needs.
func rotate(list []dated, now time.Time) []dated {
	list = slices.DeleteFunc(slices.Clone(list), func(d dated) bool { return now.Sub(d.born) >= retention })
	if len(list) > 0 && now.Sub(list[0].born) < rotation {
		return list
	}
	d := dated{born: now}
	_, _ = rand.Read(d.secret[:]) // never fails
	return slices.Insert(list, 0, d)
}

// ticketFile is what a file of keys had.
type ticketFile struct {
	secrets []secret
	sum     sum
}

// readTicketFile reads keys, one a line: 32 bytes in hexadecimal or base64. Empty lines and what begins with '#' count
// for nothing. No message has a part of a key.
func readTicketFile(name string) (f ticketFile, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return f, err
	}
	f.sum = sha256.Sum256(text)
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		s, ok := parseSecret(line)
		if !ok {
			return f, fmt.Errorf("%s:%d: expected %d bytes, as %d digits of hexadecimal or in base64", name, n, secretSize, 2*secretSize)
		}
		f.secrets = append(f.secrets, s)
	}
	switch {
	case lines.Err() != nil:
		return f, fmt.Errorf("%s: %w", name, lines.Err())
	case len(f.secrets) == 0:
		return f, fmt.Errorf("%s: %w", name, errNoKey)
	case len(f.secrets) > maxFileSecrets:
		return f, fmt.Errorf("%s: %d keys, expected at most %d", name, len(f.secrets), maxFileSecrets)
	}
	return f, nil
}

var errNoKey = errors.New("there is no key in it")

func parseSecret(s string) (secret, bool) {
	b, err := hex.DecodeString(s)
	if err != nil {
		b, err = base64.StdEncoding.DecodeString(s)
	}
	if err != nil || len(b) != secretSize {
		return secret{}, false
	}
	return secret(b), true
}
