// Package resource reads the documents in which services, issuers, roles and route policies
// are written down (YAML or JSON), and writes them in one canonical form. It decides
// what a document means by itself: which kinds and fields there are, what a value may
// be, where in the file a mistake is and what was probably meant. A document that is
// not fully understood is refused, and with it everything that came along.
//
// It knows nothing of the state: whether a name is taken, who owns it and who may
// write it is for package admin. Every function is pure; all are safe for concurrent
// use. Start with [Parse].
//
// The time and memory of a parse are bounded: see [MaxBytes], [MaxDocumentBytes] and
// [MaxDocuments].
//
// Layer 3.
package resource
