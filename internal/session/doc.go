// Package session mints and opens the sealed session tokens of the STS (RULES D5): what a
// session is, and until when, travels with the caller, encrypted, and nothing of it is
// stored. The secret access key is derived from the token's salt, so it is not stored either.
//
// A token is, as base64url without padding and at most [MaxTokenBytes] long:
//
//	version 1 | sealing key id, 12 bytes | salt, 16 bytes | AES-256-GCM of the session
//
// Its key and the secret access key are separate outputs of HKDF-SHA-256 (RFC 5869) over the
// sealing key and the salt; the access key id and the deployment id are in their info, and
// with version and key id in the additional data. So a token opens with its own access key id
// only, in its own deployment only, and each one has a key of its own: the nonce is fixed.
//
// It decides whether a token is ours, whole and not over (without any tolerance: RULES C3).
// It does not decide whether the session may still be used: who opens one also asks the
// registry whether it is revoked and its role for what it may do now. It does not verify
// signatures (package sigv4), and the sealing keys are package keys'.
//
// Layer 3. Start at [New].
package session
