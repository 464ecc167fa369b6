package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
)

// maxContent is the largest body of either direction, in bytes.
const maxContent = 64 << 20

// content is the bytes that belong to a seed: the same on both sides of the proxy, different for every other seed.
func content(seed uint64, size int64) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return io.LimitReader(rand.NewChaCha8(key), size)
}

// errContent is content that is not what the seed says.
var errContent = errors.New("content differs")

// checkContent reads r to its end and compares it with the content of a seed. piece is called before each read and says
// how many bytes to take.
func checkContent(r io.Reader, seed uint64, size int64, piece func() int) error {
	want := content(seed, size)
	var got, expected [64 << 10]byte
	for at := int64(0); ; {
		n, err := r.Read(got[:min(piece(), len(got))])
		if m, _ := io.ReadFull(want, expected[:n]); m < n || !bytes.Equal(got[:n], expected[:n]) {
			return fmt.Errorf("%w: seed %d of %d bytes, in the %d at %d", errContent, seed, size, n, at)
		}
		at += int64(n)
		switch {
		case err == io.EOF && at == size:
			return nil
		case err == io.EOF:
			return fmt.Errorf("%w: seed %d: %d of %d bytes", errContent, seed, at, size)
		case err != nil:
			return fmt.Errorf("after %d of %d bytes: %w", at, size, err)
		}
	}
}
