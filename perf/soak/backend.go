package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// backend is the server behind the proxy. It knows two things:
//
//	GET  /content/SEED/SIZE   the content of a seed; ?chunked=1 without Content-Length
//	POST /digest              the SHA-256 of the request's content, in hexadecimal
func backend() (*http.Server, net.Listener, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /content/{seed}/{size}", serveContent)
	mux.HandleFunc("POST /digest", serveDigest)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go s.Serve(l) // ends with the server; its error is that it was closed
	return s, l, nil
}

func serveContent(w http.ResponseWriter, r *http.Request) {
	seed, err := strconv.ParseUint(r.PathValue("seed"), 10, 64)
	size, err2 := strconv.ParseInt(r.PathValue("size"), 10, 64)
	if err != nil || err2 != nil || size < 0 || size > maxContent {
		http.Error(w, "seed or size", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if r.URL.Query().Get("chunked") == "" {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	} else if err := http.NewResponseController(w).Flush(); err != nil {
		return
	}
	// A client that went away is what the soak is about; the next request tells whether it did harm.
	_, _ = io.Copy(w, content(seed, size))
}

func serveDigest(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	if _, err := io.Copy(h, r.Body); err != nil {
		panic(http.ErrAbortHandler) // no answer for half a request
	}
	_, _ = io.WriteString(w, hex.EncodeToString(h.Sum(nil)))
}
