package engine

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"os"
	"sync"
)

// machineSecret is a secret of this program on this machine: the same in every process as long as the machine has its
// ID. The ID itself is confidential (machine-id(5)), so what others see is made with a hash of it. A machine without
// one, as containers may be, has a secret that ends with the process.
var machineSecret = sync.OnceValue(func() []byte {
	id, err := os.ReadFile("/etc/machine-id")
	if id = bytes.TrimSpace(id); err != nil || len(id) < 32 {
		id = make([]byte, 32)
		rand.Read(id)
	}
	secret := hmac.New(sha256.New, id)
	secret.Write([]byte("traffic_management: sticky cookies"))
	return secret.Sum(nil)
})
