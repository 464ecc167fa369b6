package reactor

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
)

// HandshakeReason is why a TLS handshake failed, as far as it matters to who counts.
type HandshakeReason uint8

const (
	HandshakeOther             HandshakeReason = iota
	HandshakeClosed                            // the peer closed or reset the connection, or the loop ended
	HandshakeNotTLS                            // what came is not TLS
	HandshakeVersion                           // no version in common
	HandshakeCipher                            // no cipher suite, group or signature algorithm in common
	HandshakeName                              // there is no certificate for the name the client asked for
	HandshakeClientCertificate                 // the client's certificate is missing or not accepted
	HandshakeServerCertificate                 // the server's certificate is not accepted (dials only)
	HandshakeALPN                              // no application protocol in common
	HandshakeRefused                           // the peer sent an alert
	HandshakeShed                              // too many handshakes waited already
)

func (r HandshakeReason) String() string {
	return [...]string{"other", "closed", "not_tls", "version", "cipher", "name", "client_certificate",
		"server_certificate", "alpn", "refused", "shed"}[r]
}

// HandshakeError says that a TLS handshake failed. The alert that RFC 8446 section 6.2 asks for was sent.
type HandshakeError struct {
	Reason HandshakeReason
	Err    error
}

func (e *HandshakeError) Error() string { return "reactor: TLS handshake: " + e.Err.Error() }

func (e *HandshakeError) Unwrap() error { return e.Err }

// Errors of connections with TLS.
var (
	// ErrTruncated is the end of a connection without close_notify: anybody on the way may have cut it (RFC 8446
	// section 6.1).
	ErrTruncated = errors.New("reactor: TLS connection ended without close_notify")
	// ErrIdleRecords ends a connection whose peer sends records without content, again and again.
	ErrIdleRecords = errors.New("reactor: TLS records without content, too many")

	errShed   = errors.New("too many handshakes wait")
	errHungUp = errors.New("the peer hung up")
)

// alerts are the fatal alerts by which crypto/tls refuses, and what they tell (RFC 8446 section 6).
var alerts = map[byte]HandshakeReason{
	40:  HandshakeCipher, // handshake_failure
	42:  HandshakeClientCertificate,
	43:  HandshakeClientCertificate,
	44:  HandshakeClientCertificate,
	45:  HandshakeClientCertificate,
	46:  HandshakeClientCertificate,
	48:  HandshakeClientCertificate, // unknown_ca
	70:  HandshakeVersion,
	86:  HandshakeVersion, // inappropriate_fallback
	112: HandshakeName,    // unrecognized_name
	116: HandshakeClientCertificate,
	120: HandshakeALPN,
}

// reasonOf tells what a handshake failed of, by the error and the alert that left in clear text, 0 when none did.
func reasonOf(err error, alert byte, client bool) HandshakeReason {
	certificate := HandshakeClientCertificate
	if client {
		certificate = HandshakeServerCertificate
	}
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok && e.Conn != nil {
		return HandshakeNotTLS
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificate
	}
	if errors.Is(err, errHungUp) || errors.Is(err, ErrStopped) {
		return HandshakeClosed
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "remote error" {
		return HandshakeRefused
	}
	switch reason := alerts[alert]; reason {
	case HandshakeClientCertificate:
		return certificate
	case HandshakeOther, HandshakeCipher: // the alert was encrypted, or is handshake_failure, which tells little
		if strings.Contains(err.Error(), "certificate") {
			return certificate
		}
		return reason
	default:
		return reason
	}
}
