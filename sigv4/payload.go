package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
)

// What x-amz-content-sha256 may say instead of a hash.
//
// Source: Amazon S3 API reference, "Authenticating Requests: Using the Authorization Header".
const (
	// UnsignedPayload: the signature says nothing about the body.
	UnsignedPayload = "UNSIGNED-PAYLOAD"
	// StreamingPayload: the body comes in chunks, each signed.
	StreamingPayload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	// StreamingPayloadTrailer: as StreamingPayload, with signed trailers.
	StreamingPayloadTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	// StreamingUnsignedTrailer: the body comes in chunks that are not signed, with a
	// checksum in a trailer.
	StreamingUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// EmptyPayloadHash is the hash of an empty body.
const EmptyPayloadHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// HashPayload returns the SHA-256 of body as SigV4 writes it: 64 lower-case hex digits.
func HashPayload(body []byte) string {
	if len(body) == 0 {
		return EmptyPayloadHash
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

type payloadKind uint8

const (
	payloadUnknown payloadKind = iota
	payloadHash
	payloadUnsigned
	payloadStreaming
)

func kindOfPayload(text string) payloadKind {
	switch text {
	case UnsignedPayload:
		return payloadUnsigned
	case StreamingPayload, StreamingPayloadTrailer, StreamingUnsignedTrailer:
		return payloadStreaming
	}
	if isLowerHex(text, sha256.Size*2) {
		return payloadHash
	}
	return payloadUnknown
}

// isLowerHex: a signature in capitals would be a second spelling of the same one.
func isLowerHex[T string | []byte](text T, length int) bool {
	if len(text) != length {
		return false
	}
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
